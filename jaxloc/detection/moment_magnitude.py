"""Moment magnitude and corner frequency with errors, from displacement spectra of P and S at all stations."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Key
from numpyro.infer.util import log_density

from jaxloc.detection.brune import SourcePriors, Speeds, brune_model, log_brune
from jaxloc.detection.laplace_sampling import laplace_draws
from jaxloc.detection.source_spectra import WINDOW_S, Spectra, event_spectra
from jaxloc.simulation.sources import corner_hz
from jaxloc.types import PHASES

DRAWS, PROPOSALS = 500, 4000
FEWEST_EFFECTIVE = 100.0
COMMON_SD = 0.1
"""Standard deviation of what all stations have in common and no spectrum tells: speeds and density at the source, mean
site amplification, radiation pattern that the stations sample badly."""
STRESS_STARTS = (-1.5, 0.0, 1.5)  # standard deviations of the prior, where modes are searched from
UNRESOLVED = 0.7  # posterior over prior standard deviation of the logarithm of the stress drop


class SourceDraws(NamedTuple):
    """Draws of source parameters of one event, or a batch; `effective` as in `laplace_sampling`."""

    magnitude: Float[Array, "*event draw"]
    corner_hz: Float[Array, "*event draw phase"]
    stress_drop_mpa: Float[Array, "*event draw"]
    quality: Float[Array, "*event draw phase"]
    kappa_s: Float[Array, "*event draw"]
    effective: Float[Array, "*event"]


class MomentMagnitude(NamedTuple):
    """A moment magnitude; NaN where no spectrum exceeds the noise.

    Attributes:
        magnitude: mean of the draws.
        sd: standard deviation, with that of the location and `COMMON_SD`.
        draws: of the magnitude.
        moment_nm: seismic moment, median.
        corner_hz: of S: median, and the ends of the interval of 68 %.
        stress_drop_mpa: likewise.
        station: magnitudes by row (P of all stations, then S) from their mean misfits; NaN where there is a reason.
        reasons: why a row does not contribute; "" where it does.
        flags: what is not resolved by the data.
    """

    magnitude: float
    sd: float
    draws: Float[np.ndarray, " draw"]
    moment_nm: float
    corner_hz: tuple[float, float, float]
    stress_drop_mpa: tuple[float, float, float]
    station: Float[np.ndarray, " row"]
    reasons: tuple[str, ...]
    flags: tuple[str, ...]


def source_draws(
    key: Key[Array, ""],
    spectra: Spectra,
    speeds: Speeds,
    priors: SourcePriors = SourcePriors(),
    draws: int = DRAWS,
    proposals: int = PROPOSALS,
) -> SourceDraws:
    """Draws of the source of one event by its spectra; `vmap` over keys, spectra and speeds makes a batch of it."""
    density = lambda values: log_density(brune_model, (spectra, speeds, priors), {}, values)[0] + jnp.zeros(())
    middle = _start(spectra, speeds, priors)
    flat, unravel = ravel_pytree(middle)
    stress = priors.log_stress_mpa
    starts = jnp.stack(
        [ravel_pytree(middle | {"log_stress_mpa": jnp.asarray(stress[0] + s * stress[1])})[0] for s in STRESS_STARTS]
    )
    found = laplace_draws(key, lambda x: density(unravel(x)), starts.astype(flat.dtype), draws, proposals)
    values = jax.vmap(unravel)(found.value)
    stress_mpa = jnp.exp(values["log_stress_mpa"])
    of_s = corner_hz(values["magnitude"], stress_mpa, jnp.asarray(speeds.vs_km_s))
    corners = jnp.stack([of_s * jnp.exp(values["log_corner_ratio"]), of_s], -1)
    quality, kappa_s = jnp.exp(values["log_quality"]), jnp.exp(values["log_kappa_s"])
    return SourceDraws(values["magnitude"], corners, stress_mpa, quality, kappa_s, found.effective)


def _start(spectra: Spectra, speeds: Speeds, priors: SourcePriors) -> dict[str, Array]:
    """Prior means, with the magnitude of the mean misfit of a source of infinite corner frequency."""
    far = jnp.full(2, 1e6)
    expected = log_brune(spectra, speeds, jnp.zeros(()), far, 0.02 + 0 * jnp.asarray(spectra.travel_s))
    weight = jnp.asarray(spectra.used, float)
    mean = (weight * (spectra.log_amplitude - expected)).sum() / jnp.maximum(weight.sum(), 1.0)
    names = ("log_stress_mpa", "log_corner_ratio", "log_kappa_s", "log_scatter", "log_site")
    start = {name: jnp.asarray(getattr(priors, name)[0]) for name in names}
    quality = jnp.full(2, priors.log_quality[0])
    return {"magnitude": mean / (1.5 * np.log(10.0)), "log_quality": quality} | start


_one_event = jax.jit(source_draws, static_argnames=("priors", "draws", "proposals"))


@partial(jax.jit, static_argnames=("priors", "draws", "proposals"))
def batch_source_draws(
    keys: Key[Array, " event"],
    spectra: Spectra,
    speeds: Speeds,
    priors: SourcePriors = SourcePriors(),
    draws: int = DRAWS,
    proposals: int = PROPOSALS,
) -> SourceDraws:
    """As `source_draws`, of a batch of events of the same stations and bins; one event at a time is in memory."""
    one = lambda event: source_draws(*event, priors=priors, draws=draws, proposals=proposals)
    return jax.lax.map(one, (keys, spectra, speeds))


def moment_magnitude(
    key: Key[Array, ""],
    displacement_m: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    rate_hz: float,
    hypocentres: Float[np.ndarray, "draw 4"],
    station_km: Float[np.ndarray, "station 3"],
    arrival_s: Float[np.ndarray, "station 2"],
    speeds: Speeds,
    *,
    window_s: float = WINDOW_S,
    lowest_hz: float = 0.5,
    clipped: Bool[np.ndarray, "station component sample"] | None = None,
    reasons: tuple[str, ...] | None = None,
    priors: SourcePriors = SourcePriors(),
    common_sd: float = COMMON_SD,
) -> MomentMagnitude:
    """Moment magnitude of an event.

    Args:
        key: of the draws.
        displacement_m: ground displacement (`jaxloc.io.ground_motion.to_displacement`), Z, N, E.
        usable: samples that were recorded and are free of edge effects.
        rate_hz: sampling rate.
        hypocentres: draws of the location's posterior: east, north, depth in km, origin time in s from the first
            sample.
        station_km: east, north and depth of the stations.
        arrival_s: P and S from the first sample; NaN where unknown.
        speeds: at the source.
        window_s: length of windows after an arrival: some periods of the corner frequency.
        lowest_hz: from which the records are not filtered.
        clipped: samples at which the recorder was at its limit.
        reasons: known before, why a station has no record ("": it has one).
        priors: of the source and attenuation.
        common_sd: of what stations have in common.

    Raises:
        ValueError: where shapes do not belong together, or there is no hypocentre.
    """
    if hypocentres.ndim != 2 or not len(hypocentres) or not np.isfinite(hypocentres).all():
        raise ValueError(f"hypocentres must be finite draws [draw, 4], one or more, got shape {hypocentres.shape}")
    far_km = np.maximum(np.linalg.norm(hypocentres[:, None, :3] - station_km[None], axis=-1), 0.1)
    travel_s = np.maximum(arrival_s - hypocentres[:, 3].mean(), 0.01)
    spectra, why = event_spectra(
        displacement_m,
        usable,
        rate_hz,
        arrival_s,
        travel_s,
        np.exp(np.log(far_km).mean(0)),
        window_s=window_s,
        lowest_hz=lowest_hz,
        clipped=clipped,
    )
    if reasons is not None:
        why = tuple(given or found for given, found in zip(reasons * 2, why, strict=True))
    used = np.array([not text for text in why])
    spectra = spectra._replace(used=spectra.used & used[:, None])
    key_draws, key_other = jax.random.split(key)
    found = _one_event(key_draws, spectra, speeds, priors=priors)
    moved = (np.log(far_km) - np.log(far_km).mean(0))[:, _station_of(used, len(station_km))].mean(-1)
    return summarised(key_other, found, spectra, speeds, why, moved / (1.5 * np.log(10)), priors, common_sd)


def _station_of(used: Bool[np.ndarray, " row"], number: int) -> np.ndarray:
    """Stations of the rows that contribute, all of them where none does."""
    return np.flatnonzero(used) % number if used.any() else np.arange(number)


def summarised(
    key: Key[Array, ""],
    found: SourceDraws,
    spectra: Spectra,
    speeds: Speeds,
    reasons: tuple[str, ...],
    moved: Float[np.ndarray, " location"],
    priors: SourcePriors = SourcePriors(),
    common_sd: float = COMMON_SD,
) -> MomentMagnitude:
    """The magnitude of draws of a source, with errors of location (`moved`: of the magnitude) and `common_sd`."""
    used = np.asarray(np.asarray(spectra.used).any(-1))
    if not used.any():
        nothing = (np.nan, np.nan, np.nan)
        empty = np.full(len(found.magnitude), np.nan)
        return MomentMagnitude(np.nan, np.nan, empty, np.nan, nothing, nothing, np.full(len(used), np.nan), reasons, ())
    key_place, key_common = jax.random.split(key)
    draws = np.asarray(found.magnitude, float)
    place = np.asarray(jax.random.choice(key_place, len(moved), (len(draws),)))
    draws = draws + moved[place] + common_sd * np.asarray(jax.random.normal(key_common, (len(draws),)))
    corner, stress = (_interval(np.asarray(x)) for x in (found.corner_hz[..., 1], found.stress_drop_mpa))
    return MomentMagnitude(
        float(draws.mean()),
        float(draws.std()),
        draws,
        float(10 ** (1.5 * np.median(draws) + 9.1)),
        corner,
        stress,
        np.where(used, _row_magnitudes(found, spectra, speeds), np.nan),
        reasons,
        flags_of(found, spectra, priors),
    )


def _interval(values: Float[np.ndarray, " draw"]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, (0.16, 0.5, 0.84))
    return float(middle), float(low), float(high)


def _row_magnitudes(found: SourceDraws, spectra: Spectra, speeds: Speeds) -> Float[np.ndarray, " row"]:
    """The magnitude that each row's mean misfit alone asks for, at the medians of all other parameters."""
    middle = jax.tree.map(lambda x: jnp.median(x, 0), found._replace(effective=found.effective[None]))
    star_s = jnp.asarray(spectra.travel_s) / middle.quality[jnp.asarray(spectra.phase)] + middle.kappa_s
    expected = log_brune(spectra, speeds, middle.magnitude, middle.corner_hz, star_s)
    weight = np.asarray(spectra.used, float)
    misfit = (weight * (spectra.log_amplitude - np.asarray(expected))).sum(-1) / np.maximum(weight.sum(-1), 1)
    return float(middle.magnitude) + misfit / (1.5 * np.log(10))


def flags_of(found: SourceDraws, spectra: Spectra, priors: SourcePriors) -> tuple[str, ...]:
    """What the spectra do not resolve."""
    flags, frequency_hz = [], np.asarray(spectra.frequency_hz)
    for place, name in enumerate(PHASES):
        of_phase = np.asarray(spectra.used)[np.asarray(spectra.phase) == place].any(0)
        if not of_phase.any():
            continue
        low, high = frequency_hz[of_phase][[0, -1]]
        corner = np.asarray(found.corner_hz)[..., place]
        side = "below" if np.mean(corner < low) > 0.5 else "above" if np.mean(corner > high) > 0.5 else ""
        if side:
            flags.append(f"corner frequency of {name} {side} the usable band of {low:.2g} to {high:.3g} Hz")
    if np.log(np.asarray(found.stress_drop_mpa)).std() > UNRESOLVED * priors.log_stress_mpa[1]:
        flags.append("stress drop not resolved: its error is that of the prior")
    if float(found.effective) < FEWEST_EFFECTIVE:
        flags.append(f"posterior badly sampled: {float(found.effective):.0f} effective draws")
    return tuple(flags)
