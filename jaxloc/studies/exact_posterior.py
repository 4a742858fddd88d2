"""Networks on picks against the exact posterior: python -m jaxloc.studies.exact_posterior RUN... --output FOLDER.

A grid search gives the exact posterior of simulated picks, since it uses the travel times, errors and prior of their
simulation. Network and grid search are evaluated on the same fresh events: the gap of their log densities at the truth
(its mean estimates the Kullback-Leibler divergence of the network's posterior from the exact one), widths, means,
coverage, and ranks of the truth, which are uniform for a calibrated posterior (Talts and others 2018).
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Key

from jaxloc import prng
from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import positions_km
from jaxloc.distributions.credible_regions import highest_density_level
from jaxloc.distributions.gaussian_mixture import (
    HypocentreMixture,
    components,
    covariance,
    gaussian_mixture,
    marginal,
    mean,
)
from jaxloc.locators.grid_search import TravelTimes, grid_search
from jaxloc.locators.over_events import over_events
from jaxloc.physics.adaptive_grid import Search
from jaxloc.physics.pick_errors import PickErrors, residuals
from jaxloc.physics.pick_likelihood import OriginTime, over_origin
from jaxloc.physics.priors import FLAT_KM, log_prior_of, same_everywhere
from jaxloc.physics.table import table_around
from jaxloc.physics.table_times import table_times
from jaxloc.plots.study import DensityPanel, amortised
from jaxloc.runs.datasets import fresh_events, picking_of, velocity_model
from jaxloc.runs.fitted import locator_of
from jaxloc.runs.load import load
from jaxloc.scores.markdown import markdown_table
from jaxloc.studies.command import run_as_command
from jaxloc.types import COORDINATES, LEVELS, Batch, LocateEvent, Locator, Observations, Posterior

ANY_TIME_S = (-20.0, 30.0)  # the prior of the origin time is flat: times of picks are relative
FINE = Search(last=(31, 31, 27, 1))
SPACE, MAP, SECTION = (0, 1, 2), (0, 1), (0, 2)
DRAWS = 100
PURPOSE = "exact_posterior"  # of fresh events


class EventScores(NamedTuple):
    """Posteriors of events against the truth, by event and coordinate (`COORDINATES`).

    `nll` is the negative log density of the truth in nats, `rank` the posterior's mass below it, `level` the credible
    level of the smallest region of the hypocentre that contains it; `mean` and `sd` are in km and s.
    """

    nll: Float[Array | np.ndarray, "*event"]
    rank: Float[Array | np.ndarray, "*event 4"]
    level: Float[Array | np.ndarray, "*event"]
    mean: Float[Array | np.ndarray, "*event 4"]
    sd: Float[Array | np.ndarray, "*event 4"]


class ExactPosterior(NamedTuple):
    """Travel times of an experiment with simulated picks, and the grid search with its prior and pick errors."""

    times: TravelTimes
    locate: LocateEvent


def exact_posterior_of(
    data: Mapping[str, Any], station_km: Float[np.ndarray, "station 3"], sizes: Search = FINE
) -> ExactPosterior:
    """The exact posterior of an experiment's simulated picks; `sizes` of its grid."""
    region, model = picking_of(data).region, velocity_model(data["velocity"])
    times = table_times(table_around(model, region, station_km))
    anywhen = region._replace(origin_s=ANY_TIME_S)
    flat = log_prior_of(anywhen, same_everywhere(float(np.mean(region.depth_km)), FLAT_KM))
    return ExactPosterior(times, grid_search(times, anywhen, flat, sizes=sizes))


def score_exact(key: Key[Array, ""], exact: ExactPosterior, batch: Batch) -> EventScores:
    """The exact posterior against the labelled hypocentres.

    The grid search returns a Gaussian for each cell, which is wider than the cell. Here the density is constant in a
    cell, the likelihood at its centre; the sum over cells is the evidence, and the density at the truth is its own.
    """

    def one(event: tuple[Observations, Float[Array, " 4"]]) -> EventScores:
        observations, label = event
        cells = components(exact.locate(key, observations).hypocentre)
        heaviest = cells.mean[jnp.argmax(cells.log_weight), :3]
        origin = evidence(exact.times, observations, jnp.stack([label[:3], heaviest]))
        steps = 2 * jnp.diagonal(cells.scale_tril[0])[:3]
        # Log density of a cell minus its log likelihood: the same for all cells, since the prior is flat.
        constant = cells.log_weight.max() - jnp.log(steps).sum() - origin.log_evidence[1]
        density = origin.log_evidence[0] + constant
        log_time_density = norm.logpdf(label[3], origin.mean_s[0], jnp.sqrt(origin.variance_s2[0]))
        denser = cells.log_weight - jnp.log(steps).sum() > density
        # A uniform cell has a third of the variance of its Gaussian; the last column is the origin time.
        narrower = jnp.array([3**-0.5, 3**-0.5, 3**-0.5, 1.0])
        found = gaussian_mixture(cells.log_weight, cells.mean, cells.scale_tril * narrower)
        level = jnp.where(denser, jnp.exp(cells.log_weight), 0.0).sum()
        sd = jnp.sqrt(jnp.diagonal(covariance(found)))
        return EventScores(-density - log_time_density, rank_of(found, label), level, mean(found), sd)

    events = (batch.observations, batch.labels["hypocentre"].value)
    return jax.tree.map(np.asarray, jax.jit(lambda each: jax.lax.map(one, each))(events))


def evidence(times: TravelTimes, observations: Observations, place_km: Float[Array, "point 3"]) -> OriginTime:
    """The likelihood of an event's picks at places, origin time integrated out."""
    picked = (observations.picks_s, observations.pick_sigma_s, observations.pick_mask)
    time_s, sd_s, mask = (jnp.ravel(jnp.asarray(x)) for x in picked)
    travel_s = times(observations.station_km)(place_km).reshape(len(place_km), -1)
    return over_origin(PickErrors(), residuals(PickErrors(), time_s, sd_s, mask, travel_s))


def score(key: Key[Array, ""], locator: Locator, batch: Batch) -> EventScores:
    """Posteriors of a batch of events against their labelled hypocentres."""

    def one(event: tuple[Key[Array, ""], Posterior, Float[Array, " 4"]]) -> EventScores:
        key, posterior, truth = event
        found = gaussian_mixture(*components(posterior.hypocentre))
        space, spread = marginal(found, SPACE), covariance(found)
        return EventScores(
            -found.log_prob(truth),
            rank_of(found, truth),
            highest_density_level(key, space, truth[:3], DRAWS),
            mean(found),
            jnp.sqrt(jnp.diagonal(spread)),
        )

    keys = jax.random.split(key, len(batch.labels["hypocentre"].value))
    events = (keys, locator(key, batch.observations), batch.labels["hypocentre"].value)
    return jax.tree.map(np.asarray, jax.jit(lambda each: jax.lax.map(one, each))(events))


def rank_of(found: HypocentreMixture, truth: Float[Array, " 4"]) -> Float[Array, " 4"]:
    """The mass below the truth along each coordinate: the limit of the rank among samples."""
    log_weight, centre, scale_tril = found.parts
    sd = jnp.sqrt((scale_tril**2).sum(-1))
    return jnp.exp(log_weight) @ norm.cdf((truth - centre) / sd)


def difference_from_exact(found: EventScores, exact: EventScores) -> dict[str, Any]:
    """Difference of a locator's posteriors from the exact ones of the same events.

    `gap` in nats an event with its standard error; for each coordinate `width`, the median ratio of the standard
    deviation to the exact one, and `apart`, the root mean square difference of the means in exact standard deviations.
    """
    gap = found.nll - exact.nll
    apart = np.sqrt((((found.mean - exact.mean) / exact.sd) ** 2).mean(0))
    return {
        "gap": [float(gap.mean()), float(gap.std() / np.sqrt(len(gap)))],
        "width": np.median(found.sd / exact.sd, 0).tolist(),
        "apart": apart.tolist(),
    }


def calibration_of(found: EventScores) -> dict[str, Any]:
    """Coverage of regions of the hypocentre, and p-values of uniform ranks (Cramér-von Mises) by coordinate."""
    tests = [scipy.stats.cramervonmises(rank, "uniform") for rank in found.rank.T]
    return {
        "nll": [float(found.nll.mean()), float(found.nll.std() / np.sqrt(len(found.nll)))],
        "coverage": {f"{round(100 * p)}": float((found.level <= p).mean()) for p in LEVELS},
        "sbc_p": {name: float(test.pvalue) for name, test in zip(COORDINATES, tests, strict=True)},
    }


def compare(runs: Sequence[Path], number: int, folder: Path) -> dict[str, Any]:
    """Evaluate runs and the exact posterior on `number` fresh events; writes amortised.json and amortised_picks.png.

    Raises:
        ValueError: where a folder is no finished run, or runs differ in their data.
    """
    loaded = {path.name: load(path) for path in runs}
    config = next(iter(loaded.values()))[0]
    for name, (other, _) in loaded.items():
        if (other["data"], other["seed"]) != (config["data"], config["seed"]):
            raise ValueError(f"data and seed of {name} must be those of {runs[0].name}; compare runs on the same data")
    dataset = fresh_events(config["data"], int(config["seed"]), number, PURPOSE)
    batch, key = dataset.take(np.arange(number)), prng.stream("exact posterior")
    locators = {name: locator_of(one) for name, (_, one) in loaded.items()}
    exact = exact_posterior_of(config["data"], positions_km(dataset.frame, dataset.stations))
    scores = {name: score(key, locator, batch) for name, locator in locators.items()}
    scores["exact"] = score_exact(key, exact, batch)
    rows = {name: calibration_of(own) | difference_from_exact(own, scores["exact"]) for name, own in scores.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "amortised.json", json.dumps({"events": number, **rows}, indent=1).encode())
    first = runs[0].name
    median = np.argsort(scores[first].nll - scores["exact"].nll)[number // 2][None]
    event = jax.tree.map(lambda x: x[median], batch)
    panels = panels_of(key, locators[first], over_events(exact.locate, chunk=1), event)
    ranks = {name: np.asarray(scores[name].rank) for name in (first, "exact")}
    amortised(folder / "amortised_picks.png", panels, ranks, f"{first}: an amortised posterior and the exact one")
    return rows


def panels_of(key: Key[Array, ""], network: Locator, exact: Locator, event: Batch) -> list[DensityPanel]:
    """A batch of one event in map view and section: the exact density on a mesh, samples of the network's posterior."""
    own, grid = (
        HypocentreMixture(jax.tree.map(lambda x: x[0], components(locate(key, event.observations).hypocentre)))
        for locate in (network, exact)
    )
    draws, truth = np.asarray(own.sample(key, (400,))), np.asarray(event.labels["hypocentre"].value[0])
    centre, sd = np.asarray(mean(grid)), np.sqrt(np.diagonal(covariance(grid)))
    panels = []
    for dims in (MAP, SECTION):
        reach = 4 * sd[list(dims)].max()
        axes = [np.linspace(centre[i] - reach, centre[i] + reach, 121) for i in dims]
        mesh = jnp.stack(jnp.meshgrid(*map(jnp.asarray, axes), indexing="ij"), -1).reshape(-1, 2)
        density = np.exp(np.asarray(marginal(grid, dims).log_prob(mesh))).reshape(121, 121)
        across, down = (COORDINATES[i].replace("_km", " (km)") for i in dims)
        panels.append(
            DensityPanel((across, down), (axes[0], axes[1]), density, draws[:, list(dims)], truth[list(dims)])
        )
    return panels


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Rows of `compare` in Markdown."""
    header = ("posterior", "gap (nats)", "width", "means apart (sd)", "50 / 68 / 90 / 95", "SBC p")
    several = lambda values, form: " / ".join(format(x, form) for x in values)
    lines = [
        (
            name,
            f"{row['gap'][0]:.3f} ± {row['gap'][1]:.3f}",
            several(row["width"], ".2f"),
            several(row["apart"], ".2f"),
            several(row["coverage"].values(), ".3f"),
            several(row["sbc_p"].values(), ".2g"),
        )
        for name, row in rows.items()
    ]
    return markdown_table(header, lines)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="amortised networks on picks against the exact posterior")
    parser.add_argument("runs", nargs="+", type=Path, help="run folders")
    parser.add_argument("--events", type=int, default=2000, help="number of fresh simulated events (default: 2000)")
    parser.add_argument("--output", type=Path, default=Path("runs/amortised"), help="folder (default: runs/amortised)")
    parsed = parser.parse_args()
    print(table(compare(parsed.runs, parsed.events, parsed.output)))


if __name__ == "__main__":
    run_as_command(main)
