"""Wave packets against what their parameters say, and disturbances of all kinds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from jax import random
from scipy.signal import hilbert

from jaxloc.simulation.disturbances import KINDS, DisturbanceRanges, disturbance, draw_kind
from jaxloc.simulation.wave_packets import Carrier, Packet, Recipe, random_signs, rendered, sine

RATE_HZ, NUM_SAMPLES, NUMBER = 50.0, 4096, 48
SECOND = np.arange(NUM_SAMPLES) / RATE_HZ
HZ = np.fft.rfftfreq(NUM_SAMPLES, 1 / RATE_HZ)
BURST = Packet(1.0, 20.0, 0.01, 0.0, 2.0, low_hz=2.0, high_hz=8.0)


def _rendered(recipe: Recipe) -> np.ndarray:
    run = quick_jit(jax.vmap(lambda key: rendered(key, recipe, NUM_SAMPLES, RATE_HZ)))
    return np.asarray(run(random.split(random.key(0), NUMBER)), float)


def _power(traces: np.ndarray, low_hz: float, high_hz: float) -> float:
    use = (low_hz <= HZ) & (high_hz >= HZ)
    return float((np.abs(np.fft.rfft(traces)) ** 2)[..., use].mean())


def test_sine_is_the_sine():
    cycles = np.linspace(-3, 3, 10001)
    np.testing.assert_allclose(sine(jnp.asarray(cycles)), np.sin(2 * np.pi * cycles), atol=1.2e-3)


def test_a_packet_begins_at_its_onset_and_decays():
    energy = (_rendered(Recipe(BURST)) ** 2).mean((0, 1))
    assert energy[SECOND < 20.0].max() < 1e-4 * energy.max()  # filters end at the Nyquist frequency
    late = energy[(SECOND > 27) & (SECOND < 29)].mean() / energy[(SECOND > 23) & (SECOND < 25)].mean()
    # 96 x 100 independent samples in each mean, of 8 Hz bandwidth
    assert late == pytest.approx(np.exp(-2 * 4 / 2.0), rel=0.2)


def test_a_packet_lies_in_its_band():
    traces = _rendered(Recipe(BURST))
    inside = _power(traces, 3.0, 6.0)
    assert _power(traces, 0.1, 0.3) < 0.01 * inside
    assert _power(traces, 22.0, 25.0) < 0.02 * inside


def test_resonances_are_peaks_at_multiples_of_their_frequency():
    traces = _rendered(Recipe(BURST._replace(decay_s=30.0, resonance_hz=2.0, sharpness=20.0)))
    for multiple in (1, 2, 3):
        peak = _power(traces, 2.0 * multiple - 0.05, 2.0 * multiple + 0.05)
        # Half way between: 1 / (1 + 20²) of the power, more than filters of a finite record leak.
        assert _power(traces, 2.0 * multiple + 0.9, 2.0 * multiple + 1.1) < 0.02 * peak


def test_long_periods_of_a_dispersed_packet_come_first():
    wave = Packet(1.0, 20.0, 0.01, 0.0, 0.5, low_hz=0.1, high_hz=4.0)
    spectra = np.fft.rfft(_rendered(Recipe(wave, dispersion_s=10.0)))
    centre_s = []
    for low_hz, high_hz in ((1.1, 1.3), (4.4, 5.2)):
        part = np.fft.irfft(spectra * ((low_hz <= HZ) & (high_hz >= HZ)), NUM_SAMPLES)
        envelope = (np.abs(hilbert(part)) ** 2).mean((0, 1))
        centre_s.append(SECOND[np.searchsorted(np.cumsum(envelope), 0.5 * envelope.sum())])
    assert centre_s[1] - centre_s[0] == pytest.approx(10 * np.log(4), abs=1.0)


def test_elliptic_motion_is_a_quarter_of_a_period_apart():
    wave = BURST._replace(polarised=1.0, elliptic=1.0, azimuth_rad=0.3, vertical=0.7)
    vertical, north, east = np.moveaxis(_rendered(Recipe(wave)), 1, 0)
    turned = np.imag(hilbert(vertical))
    correlation = [np.corrcoef(h.ravel(), turned.ravel())[0, 1] for h in (north, east)]
    np.testing.assert_allclose(np.abs(correlation), 1.0, atol=0.01)
    assert abs(np.corrcoef(vertical.ravel(), north.ravel())[0, 1]) < 0.02
    np.testing.assert_allclose(east.std() / north.std(), np.tan(0.3), rtol=1e-3)


def test_a_tone_glides_by_the_doppler_effect():
    carrier = Carrier(10.0, 0.0, 0.2, 35.0, 1.0)
    blades = Packet(1.0, 0.0, 0.01, 100.0, 1.0, low_hz=0.1, high_hz=100.0, polarised=1.0)
    trace = _rendered(Recipe(third=blades, carrier=carrier))[0, 0]
    for start_s, end_s, want_hz in ((5, 25, 12.0), (45, 65, 8.0)):
        part = trace[(start_s <= SECOND) & (end_s > SECOND)]
        power = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        # 20 s resolve .05 Hz; at ten times the distance the speed of approach is .995 of its limit.
        assert np.fft.rfftfreq(len(part), 1 / RATE_HZ)[power.argmax()] == pytest.approx(want_hz, abs=0.11)


def test_footsteps_are_pulses_at_regular_times():
    walk = Packet(1.0, 30.0, bell_s=10.0, low_hz=8.0, high_hz=20.0)
    energy = (_rendered(Recipe(walk, step_hz=2.0, pulse_s=0.05)) ** 2).mean((0, 1))[1000:2000]
    by_phase = energy.reshape(40, 25).mean(0)
    assert by_phase.max() > 20 * by_phase.min()


def test_random_signs_are_even_and_change_at_random():
    signs = np.asarray(random_signs(random.bits(random.key(3)), jnp.arange(10000, dtype=jnp.uint32)))
    assert abs(signs.mean()) < 4 / 100
    assert abs((signs[1:] * signs[:-1]).mean()) < 4 / 100


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=[kind.__name__ for kind in KINDS])
def test_each_kind_has_unit_peak_and_is_in_the_window(kind):
    run = jax.vmap(lambda key: disturbance(key, DisturbanceRanges(), 2048, RATE_HZ, jnp.asarray(kind)))
    traces = np.asarray(quick_jit(run)(random.split(random.key(4), 32)))
    assert np.isfinite(traces).all()
    np.testing.assert_allclose(np.abs(traces).max((1, 2)), 1.0, atol=1e-5)


def test_kinds_occur_as_often_as_told():
    ranges, number = DisturbanceRanges(), 4000
    kinds = np.asarray(jax.vmap(lambda key: draw_kind(key, ranges))(random.split(random.key(5), number)))
    want = np.array(ranges.chances) / sum(ranges.chances)
    assert len(want) == len(KINDS)
    share = np.bincount(kinds, minlength=len(KINDS)) / number
    assert (np.abs(share - want) < 4 * np.sqrt(want * (1 - want) / number)).all()
