"""Each fault alone against what it should do to a record, and what is told to labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from jax import random

from jaxloc.simulation import recorder_faults
from jaxloc.simulation.recorder_faults import (
    CHANNELS,
    FILLINGS,
    ORDERS,
    FaultRanges,
    digitised,
    outside,
    quiet_rms,
    recorded,
    spikes,
    step,
    with_gaps,
)

RATE_HZ, NUM_SAMPLES, NUMBER = 50.0, 1000, 40


def _only(index: int, number: int) -> tuple[float, ...]:
    return tuple(float(i == index) for i in range(number))


SOUND = FaultRanges(
    gain_chance=0.0,
    inverted_chance=0.0,
    order_chances=_only(0, len(ORDERS)),
    channel_chances=_only(0, len(CHANNELS)),
    spike_chance=0.0,
    step_chance=0.0,
    drift_chance=0.0,
    clip_chance=0.0,
    coarse_chance=0.0,
    gap_chance=0.0,
    short_chance=0.0,
)
WAVEFORMS = random.normal(random.key(0), (NUM_SAMPLES, 3)) * jnp.asarray([1.0, 2.0, 3.0])
KEYS = random.split(random.key(1), NUMBER)


def _recorded(ranges: FaultRanges):
    run = quick_jit(jax.vmap(lambda key: recorded(key, ranges, WAVEFORMS, RATE_HZ)))
    return jax.tree.map(np.asarray, run(KEYS))


def test_a_sound_recorder_changes_nothing():
    out = _recorded(SOUND)
    np.testing.assert_allclose(out.waveforms, np.broadcast_to(WAVEFORMS, out.waveforms.shape), rtol=1e-6)
    assert out.component_present.all()
    assert (out.vertical_sign == 1).all()
    assert out.horizontals_true.all()
    assert not out.lost.any()


@pytest.mark.parametrize("order", range(len(ORDERS)))
def test_exchanged_components_are_told(order):
    out = _recorded(SOUND._replace(order_chances=_only(order, len(ORDERS))))
    np.testing.assert_allclose(out.waveforms[0], WAVEFORMS[:, jnp.asarray(ORDERS[order])], rtol=1e-6)
    assert (out.vertical_sign == (ORDERS[order][0] == 0)).all()
    assert (out.horizontals_true == (order == 0)).all()


def test_inverted_components_are_told():
    out = _recorded(SOUND._replace(inverted_chance=0.5))
    sign = np.sign((out.waveforms * np.asarray(WAVEFORMS)).sum(1))
    assert set(sign.ravel()) == {-1.0, 1.0}
    assert (out.vertical_sign == sign[:, 0]).all()
    assert (out.horizontals_true <= (sign[:, 1:] > 0).all(-1)).all()


def test_gains_lie_in_their_range():
    out = _recorded(SOUND._replace(gain_chance=1.0))
    gain_db = 20 * np.log10(out.waveforms.std(1) / np.asarray(WAVEFORMS).std(0))
    assert gain_db.min() >= -20.001
    assert gain_db.max() <= 0.001
    assert gain_db.std() == pytest.approx(20 / 12**0.5, rel=0.2)
    assert not out.horizontals_true.any()


@pytest.mark.parametrize("kind", range(len(CHANNELS)))
def test_channels_that_are_absent_are_silent_and_lost(kind):
    out = _recorded(SOUND._replace(channel_chances=_only(kind, len(CHANNELS))))
    silent = (out.waveforms == 0).all(1)
    assert (silent == ~out.component_present).all()
    assert (out.lost == silent[:, None]).all()
    want = {"all": {3}, "vertical alone": {1}, "one horizontal alone": {1}, "one dead": {2}}
    assert set(out.component_present.sum(-1)) == want.get(CHANNELS[kind], {3})
    kept = np.isclose(out.waveforms, np.asarray(WAVEFORMS)).all(1)
    assert ((out.vertical_sign != 0) == kept[:, 0]).all()
    assert (out.horizontals_true == kept[:, 1:].all(-1)).all()


def test_spikes_are_few_short_and_tall():
    draw = lambda key: spikes(key, FaultRanges(spike_chance=1.0), NUM_SAMPLES)
    out = np.abs(quick_jit(jax.vmap(draw))(KEYS)).max(1)
    length = (out > 0).sum(-1)
    assert length.min() >= 1
    assert length.max() <= 15
    assert out.max(-1).min() >= 3
    assert out.max() <= 3000


def test_a_step_returns_exponentially():
    ranges = FaultRanges(step_chance=1.0, step_s=(2.0, 2.0))
    out = np.abs(quick_jit(jax.vmap(lambda key: step(key, ranges, NUM_SAMPLES, RATE_HZ)))(KEYS)).max(1)
    onset = (out > 0).argmax(-1)
    for trace, at in zip(out, onset, strict=True):
        if at < NUM_SAMPLES - 100:
            np.testing.assert_allclose(trace[at + 50] / trace[at], np.exp(-0.5), rtol=1e-3)


@pytest.mark.parametrize("soft", [0.0, 1.0])
def test_clipping_bounds_the_record(soft):
    ranges = SOUND._replace(clip_chance=1.0, clip_level=(0.3, 0.3), soft_chance=soft)
    traces = WAVEFORMS.T
    out = np.asarray(digitised(KEYS[0], ranges, traces, quiet_rms(traces, RATE_HZ), 0.0))
    limit = 0.3 * np.abs(traces).max()
    assert np.abs(out).max() <= limit * 1.0001
    assert (np.isclose(np.abs(out), limit, rtol=1e-5).sum() > 20) == (soft == 0)
    assert (np.sign(out) == np.sign(traces)).all()


def test_digitised_records_are_multiples_of_the_resolution():
    traces = WAVEFORMS.T
    out = np.asarray(digitised(KEYS[0], SOUND, traces, quiet_rms(traces, RATE_HZ), 0.5))
    np.testing.assert_allclose(out / 0.5, np.round(out / 0.5), atol=1e-5)
    assert np.abs(out - traces).max() <= 0.25 + 1e-5


@pytest.mark.parametrize("filling", range(len(FILLINGS)))
def test_gaps_are_told_and_filled(monkeypatch, filling):
    monkeypatch.setattr(recorder_faults, "NUM_GAPS", 1)  # two may overlap
    chances = _only(filling, len(FILLINGS))
    ranges = SOUND._replace(gap_chance=1.0, gap_s=(0.5, 2.0), gap_all_chance=1.0, filling_chances=chances)
    for key in KEYS[:8]:
        out, lost = (np.asarray(x) for x in with_gaps(key, ranges, WAVEFORMS.T, RATE_HZ))
        assert 25 <= lost[0].sum() <= 100
        assert (out[~lost] == np.asarray(WAVEFORMS.T)[~lost]).all()
        edges = np.flatnonzero(np.diff(lost[0].astype(int)))
        inside = out[:, edges[0] + 1 : edges[1] + 1]
        if FILLINGS[filling] == "zero":
            assert (inside == 0).all()
        elif FILLINGS[filling] == "constant":
            assert (inside == out[:, edges[0], None]).all()
        elif FILLINGS[filling] == "linear":
            ends = out[:, [edges[0], edges[1] + 1]]
            whole = np.linspace(ends[:, 0], ends[:, 1], inside.shape[1] + 2, axis=1)
            np.testing.assert_allclose(inside, whole[:, 1:-1], atol=1e-4)
        else:
            before = out[:, edges[0] + 1 - inside.shape[1] : edges[0] + 1]
            assert (inside == before).all()


def test_a_short_record_is_padded_with_zeros_that_are_told():
    ranges = SOUND._replace(short_chance=1.0, short_s=(5.0, 10.0))
    out = _recorded(ranges)
    assert (out.waveforms[out.lost] == 0).all()
    kept = (~out.lost[..., 0]).sum(-1) / RATE_HZ
    assert kept.min() >= 4.9
    assert kept.max() <= 10.1
    assert not np.asarray(outside(KEYS[0], SOUND, NUM_SAMPLES, RATE_HZ)).any()


def test_every_fault_happens_as_often_as_told():
    keys = random.split(random.key(2), 2000)
    out = quick_jit(jax.vmap(lambda key: recorded(key, FaultRanges(), WAVEFORMS, RATE_HZ)))(keys)
    assert np.isfinite(np.asarray(out.waveforms)).all()
    alone = (np.asarray(out.component_present).sum(-1) == 1).mean()
    assert abs(alone - 0.14) < 4 * np.sqrt(0.14 * 0.86 / 2000)
