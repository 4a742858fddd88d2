"""Errors of differential times: picks that many links share, cross-correlations, and travel times that vary in space.

Links of one pick share its error, and travel-time errors of one station are alike for neighbouring events. A posterior
that takes links as independent is therefore too narrow, and the more so the more links a pick has. The parts are
estimated from the residuals by a variogram (Matheron 1963): the variance of residuals against the distance of two
events is 2 (nugget + sill (1 - exp(-s^2 / 2 L^2))).
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalSubscript=false
# SciPy is not typed: shapes of sparse arrays and tuples of columns are unknown.

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import nnls
from scipy.sparse import csr_array

from jaxloc.physics.double_differences import Equations

BINS, FEWEST_LINKS = 12, 30  # of the variogram, and links a bin
LEAST_S = 3e-4  # of any time: a few links may agree by chance
LENGTHS_KM = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
WAVES = 4  # of a random field, by station


class LinkErrors(NamedTuple):
    """Variances by phase in s^2, and the correlation length of travel-time errors.

    `pick` is that of a pick, `cross` that of a cross-correlation time, `travel` that of the travel time from one event.
    P and S errors of travel times of a station are fully correlated.
    """

    pick: Float[np.ndarray, "2"]
    cross: Float[np.ndarray, "2"]
    travel: Float[np.ndarray, "2"]
    length_km: float


def fit_errors(
    links: Equations,
    residual_s: Float[np.ndarray, " link"],
    robust: Float[np.ndarray, " link"],
    separation_km: Float[np.ndarray, " link"],
    inflation: float,
) -> LinkErrors:
    """Variances from residuals.

    Args:
        links: those in use.
        residual_s: their double differences.
        robust: weights by residual, which leave out outliers.
        separation_km: distances of the two events.
        inflation: number of data over that of degrees of freedom: residuals are smaller than errors.
    """
    best = None
    for length_km in LENGTHS_KM:
        parts = [
            _variogram(*(x[_which(links, kind, phase)] for x in (residual_s, robust, separation_km)), length_km)
            for kind in (0, 1)
            for phase in (0, 1)
        ]
        misfit = sum(part[2] for part in parts)
        if best is None or misfit < best[0] * (1 - 1e-6):
            best = (misfit, length_km, parts)
    assert best is not None
    _, length_km, parts = best
    nugget, sill = (inflation * np.array([part[i] for part in parts]).reshape(2, 2) for i in (0, 1))
    nugget = np.maximum(nugget, LEAST_S**2)
    # Of a cross-correlation the nugget is that of the difference; travel-time errors are those of both kinds of links.
    return LinkErrors(nugget[0], 2 * nugget[1], sill.max(0), length_km)


def _which(links: Equations, kind: int, phase: int) -> np.ndarray:
    return (links.kind == kind) & (links.phase == phase)


def _variogram(
    residual_s: Float[np.ndarray, " link"],
    robust: Float[np.ndarray, " link"],
    separation_km: Float[np.ndarray, " link"],
    length_km: float,
) -> tuple[float, float, float]:
    """Nugget, sill and misfit of one kind and phase; no sill where links are few."""
    if not len(residual_s):
        return 0.0, 0.0, 0.0
    weight = robust**4  # an estimate's error is made of residuals times the square of their weights
    if len(residual_s) < 3 * FEWEST_LINKS:
        return float(np.sum(weight * residual_s**2) / weight.sum() / 2), 0.0, 0.0
    order = np.argsort(separation_km)
    rows = np.array_split(order, min(BINS, len(order) // FEWEST_LINKS))
    half = np.array([np.sum(weight[row] * residual_s[row] ** 2) / weight[row].sum() / 2 for row in rows])
    rise = np.array([np.mean(1 - np.exp(-(separation_km[row] ** 2) / (2 * length_km**2))) for row in rows])
    columns = np.stack([np.ones(len(rows)), rise], -1) / half[:, None]  # relative errors of the bins are alike
    (nugget, sill), misfit = nnls(columns, np.ones(len(rows)))
    return float(nugget), float(sill), float(misfit**2)


class NoiseMaps(NamedTuple):
    """What errors of picks (and of travel times at picks) and of cross-correlations make of the right-hand side."""

    of_picks: csr_array
    of_travel: csr_array
    of_cross: csr_array
    pick_phase: Int[np.ndarray, " pick"]
    pick_event: Int[np.ndarray, " pick"]
    pick_station: Int[np.ndarray, " pick"]
    cross_phase: Int[np.ndarray, " cross"]


def noise_maps(links: Equations, back: csr_array) -> NoiseMaps:
    """Maps from errors to the right-hand side of the normal equations.

    Args:
        links: those in use.
        back: weighted derivatives, transposed: what a right-hand side is made of, [4 event, link].
    """
    number = len(links.first)
    stations = int(links.station.max()) + 1
    name = lambda event: (event * stations + links.station) * 2 + links.phase
    names, index = np.unique(np.concatenate([name(links.first), name(links.second)]), return_inverse=True)
    sign = np.concatenate([np.ones(number), -np.ones(number)])
    row = np.tile(np.arange(number), 2)
    difference = csr_array((sign, (row, index)), shape=(number, len(names)))
    catalogue = links.kind == 0
    return NoiseMaps(
        csr_array(back[:, catalogue] @ difference[catalogue]),
        csr_array(back @ difference),
        csr_array(back[:, ~catalogue]),
        names % 2,
        names // (2 * stations),
        names // 2 % stations,
        links.phase[~catalogue],
    )


def noise(
    rng: np.random.Generator,
    errors: LinkErrors,
    maps: NoiseMaps,
    place_km: Float[np.ndarray, "event 3"],
    draws: int,
) -> Float[np.ndarray, "unknown draw"]:
    """Draws of what errors make of the right-hand side."""
    found = maps.of_picks @ (rng.standard_normal((len(maps.pick_phase), draws)) * _sd(errors.pick, maps.pick_phase))
    if len(maps.cross_phase):
        found += maps.of_cross @ (
            rng.standard_normal((len(maps.cross_phase), draws)) * _sd(errors.cross, maps.cross_phase)
        )
    if (errors.travel > 0).any():
        for draw in range(draws):
            found[:, draw] += maps.of_travel @ _field(rng, errors, maps, place_km)
    return found


def _sd(variance: Float[np.ndarray, "2"], phase: Int[np.ndarray, " datum"]) -> Float[np.ndarray, "datum 1"]:
    return np.sqrt(variance[phase])[:, None]


def _field(
    rng: np.random.Generator, errors: LinkErrors, maps: NoiseMaps, place_km: Float[np.ndarray, "event 3"]
) -> Float[np.ndarray, " pick"]:
    """Errors of travel times, a Gaussian field of the hypocentre for each station (random Fourier features).

    Rahimi & Recht (2007): waves of random direction and phase have the covariance of the squared exponential kernel.
    """
    stations = int(maps.pick_station.max()) + 1
    vector = rng.standard_normal((stations, WAVES, 3)).astype(np.float32) / errors.length_km
    start = rng.uniform(0, 2 * np.pi, (stations, 1, WAVES)).astype(np.float32)
    waves = np.cos(place_km.astype(np.float32) @ np.moveaxis(vector, 1, 2) + start).sum(-1) * np.sqrt(2 / WAVES)
    return waves[maps.pick_station, maps.pick_event] * np.sqrt(errors.travel[maps.pick_phase])
