"""Causal absorption: the phase that belongs to any decrease of amplitude with frequency."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

COARSE = 4  # phases are computed at every fourth frequency, and are linear between


def minimum_phase(log_amplitude: Float[Array, " frequency"]) -> Float[Array, " frequency"]:
    """Phase in rad of the causal filter of least delay, from the natural logarithm of its amplitude.

    It is the Hilbert transform of that logarithm, found by folding the cepstrum (Oppenheim & Schafer 2010, section
    13.5). Frequencies are 0 to the Nyquist frequency, one more than a multiple of two.
    """
    number = 2 * (log_amplitude.shape[-1] - 1)
    cepstrum = jnp.fft.irfft(log_amplitude, number)
    lag = jnp.arange(number)
    fold = jnp.where((lag == 0) | (lag == number // 2), 1.0, jnp.where(lag < number // 2, 2.0, 0.0))
    return jnp.fft.rfft(cepstrum * fold).imag


def absorption(
    frequency_hz: Float[Array, " frequency"],
    star_s: Float[Array, ""],
    power: Float[Array, ""],
    kappa_s: Float[Array, ""],
) -> Complex[Array, " frequency"]:
    """exp(-pi f (t* f^-power + kappa)) with the phase that makes it causal, whatever the power.

    Args:
        frequency_hz: 0 to the Nyquist frequency; one more than a multiple of 8 of them.
        star_s: travel time over Q at 1 Hz.
        power: exponent of Q's growth with frequency.
        kappa_s: near the surface.
    """
    above_hz = jnp.maximum(frequency_hz, frequency_hz[1])
    log_amplitude = -jnp.pi * frequency_hz * (star_s * above_hz**-power + kappa_s)
    coarse = minimum_phase(log_amplitude[::COARSE])
    steps = jnp.diff(coarse)[:, None] * jnp.arange(COARSE) / COARSE
    phase = jnp.append((coarse[:-1, None] + steps).ravel(), coarse[-1])
    return jnp.exp(log_amplitude + 1j * phase)
