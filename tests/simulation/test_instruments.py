"""Responses of instruments against those of SciPy's filters, and what is drawn against its ranges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from jax import random
from scipy import signal

from jaxloc.simulation.instruments import KINDS, Instrument, InstrumentRanges, draw_instrument, response
from jaxloc.simulation.recording import butterworth

RATE_HZ, NUM_SAMPLES = 50.0, 4096
FREQUENCY_HZ = np.fft.rfftfreq(NUM_SAMPLES, 1 / RATE_HZ)
PLAIN = Instrument(
    jnp.asarray(0), jnp.asarray(0), jnp.asarray(1.0), jnp.asarray(0.5), jnp.asarray(0.0), jnp.asarray(0.0),
    jnp.asarray(100.0), jnp.asarray(1e3), jnp.asarray(0.1), jnp.asarray(False), jnp.asarray([0.0, jnp.inf]),
    jnp.asarray(False),
)  # fmt: skip
SEISMOMETER = signal.TransferFunction([1, 0, 0], [1, 2 * 0.5 * 2 * np.pi, (2 * np.pi) ** 2])


@pytest.mark.parametrize("order", [1, 2, 4, 5])
def test_butterworth_is_scipys(order):
    _, want = signal.freqs(*signal.butter(order, 2 * np.pi * 3.0, analog=True), 2 * np.pi * FREQUENCY_HZ)
    np.testing.assert_allclose(butterworth(FREQUENCY_HZ / 3.0, order), want, rtol=1e-9)


@pytest.mark.parametrize("power", [-1, 0, 1])
def test_seismometer_is_a_damped_pendulum(power):
    s = 2j * np.pi * FREQUENCY_HZ[1:]
    _, want = signal.freqresp(SEISMOMETER, s.imag)
    found = response(PLAIN._replace(ground_power=jnp.asarray(power)), FREQUENCY_HZ)
    np.testing.assert_allclose(found[1:], want * s**power, rtol=1e-4)
    assert found[0] == 0


def test_causal_band_pass_is_scipys_and_a_zero_phase_one_its_square():
    band = PLAIN._replace(corner_hz=jnp.asarray(0.0), band_hz=jnp.asarray([2.0, 8.0]))
    omega = 2 * np.pi * FREQUENCY_HZ[1:]
    high = signal.freqs(*signal.butter(4, 2 * np.pi * 2.0, "high", analog=True), omega)[1]
    want = high * signal.freqs(*signal.butter(4, 2 * np.pi * 8.0, analog=True), omega)[1]
    causal = response(band._replace(band_is_causal=jnp.asarray(True)), FREQUENCY_HZ)[1:]
    np.testing.assert_allclose(causal, want, atol=1e-4)
    np.testing.assert_allclose(response(band, FREQUENCY_HZ)[1:], np.abs(want) ** 2, atol=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_a_linear_phase_filter_alone_rings_before_an_onset(causal):
    cut = PLAIN._replace(corner_hz=jnp.asarray(0.0), cut_hz=jnp.asarray(10.0), cut_is_causal=jnp.asarray(causal))
    impulse = np.zeros(NUM_SAMPLES)
    impulse[1000] = 1.0
    # A flat top at the Nyquist frequency would itself ring: a second pole pair far below it takes it away.
    smooth = np.exp(-((FREQUENCY_HZ / 8.0) ** 2))
    out = np.fft.irfft(np.fft.rfft(impulse) * smooth * np.asarray(response(cut, FREQUENCY_HZ)), NUM_SAMPLES)
    before = np.abs(out[:995] - out[:900].mean()).max() / np.abs(out).max()
    assert (before < 1e-3) == causal


def test_instruments_stay_within_their_ranges_and_occur_as_often_as_told():
    ranges, number = InstrumentRanges(), 4000
    drawn = quick_jit(jax.vmap(lambda key: draw_instrument(key, ranges)))(random.split(random.key(0), number))
    share = np.bincount(np.asarray(drawn.kind), minlength=len(KINDS)) / number
    want = np.array(ranges.chances)
    assert (np.abs(share - want) < 4 * np.sqrt(want * (1 - want) / number)).all()
    cut = np.asarray(drawn.cut_hz / (drawn.native_hz / 2))
    assert ranges.cut[0] - 1e-5 <= cut.min() < 0.4
    assert 0.85 < cut.max() <= ranges.cut[1] + 1e-5
    mems = np.asarray(drawn.kind) == KINDS.index("MEMS")
    assert (np.asarray(drawn.lsb) > 0).tolist() == mems.tolist()
    short = np.asarray(drawn.kind) == KINDS.index("short period")
    assert np.asarray(drawn.corner_hz)[short].min() >= ranges.short_period_hz[0]


def test_responses_of_all_ranges_are_finite():
    draw = lambda key: response(draw_instrument(key, InstrumentRanges()), FREQUENCY_HZ)
    found = np.asarray(quick_jit(jax.vmap(draw))(random.split(random.key(1), 500)))
    assert np.isfinite(found).all()
    assert (np.abs(found).max(-1) > 1e-2).all()
