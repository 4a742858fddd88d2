"""Climatology: the training catalogue as the posterior of every event, a baseline that any locator must improve on."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxloc.distributions.bandwidth import silverman
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, covariance, gaussian_mixture
from jaxloc.locators.setup import Setup
from jaxloc.physics.priors import Known, unknown_coordinates
from jaxloc.types import Locator, Observations, Posterior

WINDOW_S = 240.0  # of records whose length is not known


def build(setup: Setup) -> Locator:
    """The density of the setup's catalogue.

    Raises:
        ValueError: where there is no catalogue.
    """
    if setup.climatology is None:
        raise ValueError(
            "the locator climatology must have a catalogue of earlier events; use --catalogue with QuakeML or a CSV "
            "with id, latitude_deg, longitude_deg and depth_km"
        )
    return climatology(setup.climatology)


def climatology(density: HypocentreMixture) -> Locator:
    """The same density for every event; deterministic: the key is not used."""

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        return repeated(density, observations.station_mask.shape[0])

    return locate


def repeated(density: HypocentreMixture, number: int) -> Posterior:
    """A batch of `number` equal posteriors, without an epistemic part.

    Raises:
        ValueError: where there is no event.
    """
    if number < 1:
        raise ValueError(f"there is no event to locate; give observations of at least one, got {number}")
    batch = jax.tree.map(lambda a: jnp.broadcast_to(a, (number, *a.shape)), density)
    total = covariance(batch)
    return Posterior(batch, jnp.zeros_like(total), total)


def kernel_density(
    hypocentres: Float[np.ndarray, "n 4"],
    known: Bool[np.ndarray, "n 4"],
    unknown: Known | None = None,
    max_components: int = 1000,
) -> HypocentreMixture:
    """A Gaussian kernel density estimate of a catalogue of hypocentres.

    Bandwidths follow Silverman's rule (1986) for each coordinate with a robust spread, at least 0.05 km and 0.01 s.
    Where an event lacks a coordinate, its kernel has the mean and standard deviation of the catalogue; a coordinate
    that no event has is normal with the mean and standard deviation of `unknown`, those of `unknown_coordinates` in a
    window of `WINDOW_S` without it. Events without any known coordinate (noise windows)
    are left out unless there are no others. Catalogues longer than `max_components` are thinned evenly.

    Raises:
        ValueError: where no event is given, or a known value is not finite.
    """
    hypocentres, known = np.asarray(hypocentres, float), np.asarray(known, bool)
    if len(hypocentres) == 0 or not np.isfinite(hypocentres[known]).all():
        raise ValueError(
            f"hypocentres of shape {hypocentres.shape} must hold at least one event and be finite where "
            "known; give the training split's labels"
        )
    placed = known.any(-1) if known.any() else np.ones(len(known), bool)
    hypocentres, known = hypocentres[placed], known[placed]
    every = np.linspace(0, len(hypocentres) - 1, min(max_components, len(hypocentres))).astype(int)
    hypocentres, known = hypocentres[every], known[every]
    centre, spread = (np.array(each, float) for each in unknown or unknown_coordinates(WINDOW_S))
    width = spread.copy()
    for i, floor in enumerate((0.05, 0.05, 0.05, 0.01)):
        if known[:, i].any():
            values = hypocentres[known[:, i], i]
            centre[i], spread[i] = values.mean(), max(values.std(), floor)
            robust = min(spread[i], np.subtract(*np.percentile(values, [75, 25])) / 1.34)
            width[i] = max(robust * silverman(len(values), 4), floor)
    sd = np.where(known, width, spread)
    sd = sd[:1] if known.all() else sd
    return gaussian_mixture(
        jnp.zeros(len(every)),
        jnp.asarray(np.where(known, hypocentres, centre), jnp.float32),
        jnp.asarray(sd[:, :, None] * np.eye(4), jnp.float32),
    )
