"""Simulated records of single stations: what they promise about labels, levels and kinds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from jax import random

from jaxloc.simulation.recorder_faults import FaultRanges
from jaxloc.simulation.records import EventRanges, Ranges, draw_plan, draw_records
from jaxloc.simulation.snr import snr_db, without_trend

NUMBER, SAMPLES, RATE_HZ = 64, 3000, 50.0
FAULTLESS = FaultRanges(
    gain_chance=0.0,
    inverted_chance=0.0,
    order_chances=(1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    channel_chances=(1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    spike_chance=0.0,
    step_chance=0.0,
    drift_chance=0.0,
    clip_chance=0.0,
    coarse_chance=0.0,
    gap_chance=0.0,
    short_chance=0.0,
)


@pytest.fixture(scope="module")
def records():
    drawn = quick_jit(lambda key: draw_records(key, Ranges(faults=FAULTLESS), NUMBER, SAMPLES, RATE_HZ))(random.key(0))
    return jax.tree.map(np.asarray, drawn)


def test_records_are_finite_and_of_the_promised_shapes(records):
    assert all(np.isfinite(each).all() for each in records)
    assert records.waveforms.shape == (NUMBER, SAMPLES, 3)
    assert records.arrival_s.shape == records.arrival_mask.shape == records.snr_db.shape == (NUMBER, 4, 2)


def test_labels_lie_within_the_window_and_s_follows_p(records):
    inside_s = records.arrival_s[records.arrival_mask]
    assert ((inside_s >= 0) & (inside_s < SAMPLES / RATE_HZ)).all()
    assert (records.arrival_s[~records.arrival_mask] == 0).all()
    both = records.arrival_mask.all(-1)
    assert both.any()
    assert (np.diff(records.arrival_s[both]) > 0).all()


def test_noise_windows_have_no_arrivals_and_earthquakes_have_a_kind(records):
    quiet = (records.kind == 0) | (records.kind > 2)
    assert not records.arrival_mask[quiet].any()
    # Binomial: four standard errors.
    expected = EventRanges().none
    assert abs(quiet.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / NUMBER)


def test_p_of_loud_events_begins_at_its_label(records):
    """Nothing of the event precedes the label but the ringing of filters, 15 dB lower."""
    loud = records.arrival_mask[:, 0, 0] & ~records.arrival_mask[:, 1:].any((1, 2)) & (records.snr_db[:, 0, 0] > 20)
    loud &= (records.arrival_s[:, 0, 0] > 5) & (records.arrival_s[:, 0, 0] < 58)
    assert loud.sum() > 3
    for i in np.flatnonzero(loud):
        high = np.asarray(without_trend(records.waveforms[i].T, RATE_HZ))
        at = round(records.arrival_s[i, 0, 0] * RATE_HZ)
        noise = (high[:, at - 100 : at - 5] ** 2).mean(-1)
        after = (high[:, at : at + 50] ** 2).mean(-1)
        assert (10 * np.log10(after / noise)).max() > 17
        # Seven samples of noise: chi-squared with that many degrees exceeds eight times its mean once in 10^9.
        assert ((high[:, at - 10 : at - 3] ** 2).mean(-1) < 8 * noise + 0.03 * after).all()


def test_signal_to_noise_ratio_of_a_known_step():
    noise = random.normal(random.key(1), (3, SAMPLES))
    onset = 20.0
    signal = jnp.where(jnp.arange(SAMPLES) >= onset * RATE_HZ, 10.0, 0.0) * random.normal(random.key(2), (3, SAMPLES))
    ratio = snr_db(signal.at[1:].set(0.0), noise, jnp.asarray([[onset, onset + 10.0]]), RATE_HZ, jnp.ones(3, bool))
    # 20 dB; the power of 50 and of 100 samples has a standard error of 0.9 and 0.6 dB.
    assert abs(float(ratio[0, 0]) - 20) < 4 * 1.1
    assert abs(float(ratio[0, 1])) < 4 * 1.1


def test_neighbours_share_a_place_and_follow_within_the_range():
    plan = jax.vmap(lambda key: draw_plan(key, EventRanges(further=2.0, before=0.0), 60.0))(
        random.split(random.key(3), 500)
    )
    near = (plan.place[:, 1:] == 0) & plan.exists[:, 1:]
    apart_s = np.abs(plan.onset_s[:, 1:] - plan.onset_s[:, :1])[np.asarray(near)]
    low, high = EventRanges().apart_s
    assert (apart_s > low - 1e-3).all()
    assert (apart_s < high + 1e-3).all()
