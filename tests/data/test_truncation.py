"""Records that end while an event goes on: what is gone, what stays, and from when time counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit

from jaxloc.data.augmentation import Augmentation, augment
from jaxloc.data.dataset import Dataset
from jaxloc.data.truncation import P_SPEED_KM_S, cut, first_p_s, truncate
from jaxloc.geometry import Frame
from jaxloc.studies.early_warning import truncated_at
from jaxloc.types import Batch, Label, Observations

STATIONS, SAMPLES, RATE_HZ = 7, 400, 20.0
PLACE_KM = np.array([3.0, -4.0, 6.0])


def event(labelled=True, wrong=0):
    """P by a straight ray from an origin at 5 s; some picks may be wrong by many seconds; samples are all one."""
    station_km = np.random.default_rng(0).uniform(-30, 30, (STATIONS, 3)) * [1, 1, 0]
    p_s = 5.0 + np.linalg.norm(station_km - PLACE_KM, axis=-1) / P_SPEED_KM_S
    picks_s = p_s - 6.0 * (np.arange(STATIONS) < wrong)
    single = lambda x: jnp.asarray(x, jnp.float32)
    both = lambda x: jnp.stack([single(x), single(x) * 0], -1)
    known = jnp.stack([jnp.ones(STATIONS, bool), jnp.zeros(STATIONS, bool)], -1)
    seen = Observations(
        jnp.ones((STATIONS, 3, SAMPLES)),
        single(station_km),
        jnp.ones(STATIONS, bool),
        jnp.arange(STATIONS),
        single(RATE_HZ),
        both(picks_s),
        jnp.full((STATIONS, 2), 0.1),
        known,
    )
    arrivals = Label(both(p_s) * labelled, known & labelled)
    hypocentre = Label(single([*PLACE_KM, 0.0]), jnp.array([True, True, True, False]))
    return Batch(seen, {"hypocentre": hypocentre, "arrivals": arrivals}), p_s


@pytest.mark.parametrize(("labelled", "wrong"), [(True, 7), (False, 0), (False, 3)])
def test_time_counts_from_the_first_arrival_or_from_picks(labelled, wrong):
    one, p_s = event(labelled, wrong)
    assert float(first_p_s(one)) == pytest.approx(p_s.min(), abs=1e-3)


def test_without_arrivals_and_picks_time_counts_from_the_beginning():
    one, _ = event(labelled=False)
    bare = one._replace(observations=one.observations._replace(picks_s=None, pick_mask=None))
    assert float(first_p_s(bare)) == 0.0


def test_a_cut_takes_away_what_comes_later_and_nothing_else():
    one, p_s = event()
    end_s = float(np.median(p_s)) + 0.01
    short = cut(one, jnp.asarray(end_s))
    there = np.arange(SAMPLES) < end_s * RATE_HZ
    np.testing.assert_array_equal(short.observations.waveforms, np.broadcast_to(there, (STATIONS, 3, SAMPLES)))
    np.testing.assert_array_equal(short.observations.pick_mask[:, 0], p_s < end_s)
    np.testing.assert_array_equal(
        short.observations.picks_s[:, 0], np.where(p_s < end_s, one.observations.picks_s[:, 0], 0)
    )
    np.testing.assert_array_equal(short.labels["arrivals"].value, one.labels["arrivals"].value)
    np.testing.assert_array_equal(cut(one, jnp.inf).observations.waveforms, one.observations.waveforms)
    with pytest.raises(ValueError, match="waveforms is None"):
        cut(one._replace(observations=one.observations._replace(waveforms=None)), jnp.ones(()))


def test_records_end_at_a_uniform_time_after_the_first_p():
    one, p_s = event()
    keys = jax.random.split(jax.random.key(0), 300)
    many = quick_jit(jax.vmap(lambda key: truncate(key, one, 10.0)))(keys)
    after_s = np.asarray(many.observations.waveforms[:, 0, 0]).sum(-1) / RATE_HZ - p_s.min()
    assert after_s.min() > -0.06
    assert after_s.max() < 10.06
    # Uniform over 10 s: mean and spread within four standard errors, 10 / sqrt(12 n), and 5 per cent of the spread.
    assert after_s.mean() == pytest.approx(5.0, abs=4 * 10 / np.sqrt(12 * 300))
    assert after_s.std() == pytest.approx(10 / np.sqrt(12), rel=0.15)


def test_onset_and_end_of_shifted_records_are_uncorrelated():
    """In training, the first P lies anywhere in the shift's range, whatever the time since: they are uncorrelated."""
    one, _ = event()
    keys = jax.random.split(jax.random.key(1), 300)
    settings = Augmentation(earlier_s=2.0, later_s=4.0, cut_s=5.0)
    many = quick_jit(jax.vmap(lambda key: augment(key, settings, one)))(keys)
    onset_s = np.asarray(jax.vmap(first_p_s)(many))
    after_s = (np.asarray(many.observations.waveforms[:, 0, 0]) != 0).sum(-1) / RATE_HZ - onset_s
    assert onset_s.std() == pytest.approx(6 / np.sqrt(12), rel=0.2)
    assert abs(np.corrcoef(onset_s, after_s)[0, 1]) < 4 / np.sqrt(300)


def test_a_data_set_can_be_seen_truncated_at():
    one, p_s = event()
    batch = jax.tree.map(lambda x: np.asarray(x)[None], one)
    whole = Dataset("one", Frame(0.0, 0.0), (), (), RATE_HZ, SAMPLES, lambda index: batch)
    short = truncated_at(whole, 2.0).take(np.array([0]))
    seconds = short.observations.waveforms[0, 0, 0].sum() / RATE_HZ
    assert seconds == pytest.approx(p_s.min() + 2.0, abs=1 / RATE_HZ)
    np.testing.assert_array_equal(
        truncated_at(whole, np.inf).take(np.array([0])).observations.waveforms, batch.observations.waveforms
    )
