"""Brune's source model of displacement spectra with attenuation, as a NumPyro model of all stations of an event."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from jaxloc.detection.source_spectra import Spectra
from jaxloc.simulation.sources import DENSITY_KG_M3, MEAN_RADIATION, corner_hz

SURFACE = 2.0  # amplification by the free surface


class SourcePriors(NamedTuple):
    """Priors of the spectral fit: pairs are mean and standard deviation; `log_` is the natural logarithm.

    Attributes:
        magnitude: moment magnitude.
        log_stress_mpa: stress drop: 0.1 to 100 MPa are two standard deviations from the median.
        log_corner_ratio: corner frequency of P over that of S (Madariaga 1976; Kaneko & Shearer 2014: 1.1 to 1.5).
        log_quality: of P and S along the path.
        log_kappa_s: attenuation near the surface that stations have in common (Anderson & Hough 1984).
        kappa_sd_s: standard deviation of a station's own attenuation.
        log_scatter: of a bin's log-amplitude about the model, itself a logarithm.
        log_site: of a station's log-amplitude over all frequencies (site and radiation pattern), itself a logarithm.
    """

    magnitude: tuple[float, float] = (2.0, 2.5)
    log_stress_mpa: tuple[float, float] = (float(np.log(10**0.5)), float(np.log(1000.0) / 4))
    log_corner_ratio: tuple[float, float] = (float(np.log(1.3)), 0.15)
    log_quality: tuple[float, float] = (float(np.log(300.0)), 0.8)
    log_kappa_s: tuple[float, float] = (float(np.log(0.02)), 0.7)
    kappa_sd_s: float = 0.01
    log_scatter: tuple[float, float] = (float(np.log(0.3)), 0.5)
    log_site: tuple[float, float] = (float(np.log(0.5)), 0.4)


class Speeds(NamedTuple):
    """Speeds of P and S at the source in km/s."""

    vp_km_s: Float[Array | np.ndarray, "*event"] | float
    vs_km_s: Float[Array | np.ndarray, "*event"] | float


def brune_model(spectra: Spectra, speeds: Speeds, priors: SourcePriors = SourcePriors()) -> None:
    """Log-spectra of an event: normal about Brune's (1970), with a site term and an attenuation of each row's own.

    Site terms and attenuations of rows are integrated out: they make a covariance of rank two between the bins of a
    row. Spectra are those of the mean radiation pattern, doubled by the free surface.
    """
    normal = lambda name, prior: jnp.asarray(numpyro.sample(name, dist.Normal(*prior)))
    magnitude, log_stress = normal("magnitude", priors.magnitude), normal("log_stress_mpa", priors.log_stress_mpa)
    ratio = jnp.exp(normal("log_corner_ratio", priors.log_corner_ratio))
    quality = jnp.exp(numpyro.sample("log_quality", dist.Normal(*priors.log_quality).expand([2]).to_event(1)))
    kappa_s = jnp.exp(normal("log_kappa_s", priors.log_kappa_s))
    scatter, site = jnp.exp(normal("log_scatter", priors.log_scatter)), jnp.exp(normal("log_site", priors.log_site))
    corner = corner_hz(magnitude, jnp.exp(log_stress), jnp.asarray(speeds.vs_km_s)) * jnp.stack([ratio, jnp.ones(())])
    star_s = jnp.asarray(spectra.travel_s) / quality[spectra.phase] + kappa_s
    expected = log_brune(spectra, speeds, magnitude, corner, star_s)
    log_amplitude = log_marginal(spectra, expected, scatter, site, priors.kappa_sd_s)
    numpyro.factor("log_likelihood", log_amplitude.sum())


def log_marginal(
    spectra: Spectra,
    expected: Float[Array, "row bin"],
    scatter: Float[Array, ""],
    site: Float[Array, ""],
    kappa_sd_s: float,
) -> Float[Array, " row"]:
    """Log-density of the spectra of rows, up to a constant, with site terms and attenuations of rows integrated out.

    These are a shift `site` z and a tilt -pi f `kappa_sd_s` z' of a row, z and z' standard normal: a covariance of
    rank two beside `scatter`, whose inverse and determinant follow from a matrix of two by two (Woodbury).
    """
    weight = jnp.where(spectra.used, scatter**-2, 0.0)
    misfit = jnp.where(spectra.used, spectra.log_amplitude - expected, 0.0)
    tilt = -jnp.pi * kappa_sd_s * jnp.asarray(spectra.frequency_hz)
    total = lambda values: (weight * values).sum(-1)
    both = total(jnp.broadcast_to(tilt, misfit.shape)) * site
    shifted, tilted = 1 + total(jnp.ones_like(misfit)) * site**2, 1 + total(jnp.broadcast_to(tilt**2, misfit.shape))
    determinant = shifted * tilted - both**2
    first, second = total(misfit) * site, total(misfit * tilt)
    explained = (tilted * first**2 - 2 * both * first * second + shifted * second**2) / determinant
    number = jnp.asarray(spectra.used).sum(-1)
    return -0.5 * (total(misfit**2) - explained + jnp.log(determinant)) - number * jnp.log(scatter)


def log_brune(
    spectra: Spectra,
    speeds: Speeds,
    magnitude: Float[Array, ""],
    corner_hz: Float[Array, " 2"],
    star_s: Float[Array, " row"],
) -> Float[Array, "row bin"]:
    """Log-amplitude in m s of Brune's spectrum at the distances of rows, with attenuation exp(-pi f t*)."""
    speed = jnp.stack([jnp.asarray(speeds.vp_km_s, float), jnp.asarray(speeds.vs_km_s, float)])
    log_moment = (1.5 * magnitude + 9.1) * jnp.log(10.0)
    log_scale = jnp.log(SURFACE * jnp.asarray(MEAN_RADIATION) / (4 * jnp.pi * DENSITY_KG_M3)) - 3 * jnp.log(1e3 * speed)
    level = log_moment + log_scale[spectra.phase] - jnp.log(1e3 * spectra.distance_km)
    frequency = jnp.asarray(spectra.frequency_hz)
    fall = jnp.log1p((frequency / corner_hz[spectra.phase][:, None]) ** 2)
    return level[:, None] - fall - jnp.pi * frequency * star_s[:, None]
