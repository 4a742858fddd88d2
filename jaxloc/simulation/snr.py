"""Signal-to-noise ratios of arrivals in simulated records, where signal and noise are known apart."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

SIGNAL_S = 1.0  # after an onset
NOISE_S = (0.2, 2.0)  # before an onset: shortest window before S, of 0.7 times its gap to P, and the longest, before P
FLOOR = 1e-9  # of power, relative to the mean


def without_trend(waveforms: Float[Array, "component sample"], rate_hz: float) -> Float[Array, "component sample"]:
    """Waveforms less the mean of the second before: a causal high-pass near 0.5 Hz."""
    width = max(int(rate_hz), 2)
    centred = waveforms - waveforms.mean(-1, keepdims=True)
    summed = jnp.cumsum(jnp.pad(centred, ((0, 0), (width, 0)), mode="edge"), -1)
    past = (summed[:, width:] - summed[:, :-width]) / width
    return centred - past


def power_between(
    energy: Float[Array, "component end"], start_s: Float[Array, "..."], end_s: Float[Array, "..."], rate_hz: float
) -> Float[Array, "component ..."]:
    """Mean power between two times, from the cumulative energy (`cumulative_energy`)."""
    last = energy.shape[-1] - 1
    start, end = (jnp.clip(jnp.round(t * rate_hz), 0, last).astype(jnp.int32) for t in (start_s, end_s))
    return (energy[:, end] - energy[:, start]) / jnp.maximum(end - start, 1)


def cumulative_energy(waveforms: Float[Array, "component sample"]) -> Float[Array, "component end"]:
    """Energy before each sample, and that of all."""
    return jnp.pad(jnp.cumsum(waveforms**2, -1), ((0, 0), (1, 0)))


def loudness(
    signal: Float[Array, "component sample"],
    noise: Float[Array, "component sample"],
    onset_s: Float[Array, ""],
    rate_hz: float,
) -> Float[Array, ""]:
    """Power of a signal in the second after an onset over the mean power of noise, on the best component."""
    power = power_between(cumulative_energy(signal), onset_s, onset_s + SIGNAL_S, rate_hz)
    level = (noise**2).mean(-1)
    return (power / (level + FLOOR * level.max() + 1e-30)).max()


def snr_db(
    signal: Float[Array, "component sample"],
    noise: Float[Array, "component sample"],
    arrival_s: Float[Array, "event phase"],
    rate_hz: float,
    present: Bool[Array, " component"],
) -> Float[Array, "event phase"]:
    """Power of signals in the second after arrivals over that of everything before them, on the best present component.

    The window before it is `NOISE_S`; where it begins before the record the noise of all of it counts instead.
    """
    gap_s = arrival_s[:, 1] - arrival_s[:, 0]
    before_s = jnp.stack([jnp.full_like(gap_s, NOISE_S[1]), jnp.clip(0.7 * gap_s, *NOISE_S)], -1)
    power = power_between(cumulative_energy(signal), arrival_s, arrival_s + SIGNAL_S, rate_hz)
    level = (noise**2).mean(-1)[:, None, None]
    before = power_between(cumulative_energy(signal + noise), arrival_s - before_s, arrival_s, rate_hz)
    before = jnp.where(arrival_s < before_s, level, before)
    ratio = power / (before + FLOOR * level.max() + 1e-30)
    ratio = jnp.where(present[:, None, None], ratio, 0.0).max(0)
    return 10 * jnp.log10(jnp.maximum(ratio, 1e-6))
