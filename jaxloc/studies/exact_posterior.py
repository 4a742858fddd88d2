"""Networks on picks against the exact posterior: python -m jaxloc.studies.exact_posterior RUN... --output FOLDER.

Events of runs on simulated picks have a posterior that a grid search knows, since travel times, errors and the prior
are those they were made with. Both are judged by the same fresh events: how much likelier the grid finds the truth (the
mean of that gap is the Kullback-Leibler divergence of the network's posterior from the exact one), widths, means,
coverage, and ranks of the truth, which are uniform where a posterior is calibrated (Talts and others 2018).
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
from jaxtyping import Array, Float, PRNGKeyArray

from jaxloc.atomic_write import write_whole
from jaxloc.distributions.credible_regions import highest_density_level
from jaxloc.distributions.gaussian_mixture import (
    HypocentreMixture,
    components,
    covariance,
    gaussian_mixture,
    marginal,
    mean,
)
from jaxloc.locators.grid_search import TravelTimes, grid_search, table_times
from jaxloc.locators.over_events import over_events
from jaxloc.physics.adaptive_grid import Search
from jaxloc.physics.pick_likelihood import OriginTime, PickErrors, over_origin, residuals
from jaxloc.physics.priors import log_prior_of, same_everywhere
from jaxloc.plots.study import Sight, amortised
from jaxloc.runs import predict, train
from jaxloc.runs.datasets import fresh_events, picking_of, velocity_model
from jaxloc.scores.events import LEVELS
from jaxloc.simulation.events import positions_km
from jaxloc.simulation.picks import table_around
from jaxloc.types import COORDINATES, Batch, LocateEvent, Locator, Observations, Posterior

ANY_TIME_S = (-20.0, 30.0)  # picks alone tell no event's origin time from another's: the prior of it is flat
FLAT_KM = 1e4  # of a depth prior as good as flat
FINE = Search(last=(31, 31, 27, 1))
SPACE, MAP, SECTION = (0, 1, 2), (0, 1), (0, 2)
DRAWS = 100
ROUND = 9  # of fresh events: none that a calibration uses


class Judged(NamedTuple):
    """What a locator says of events, against the truth: `rank` is the posterior's mass below it, `level` around it."""

    nll: Float[Array | np.ndarray, "*event"]
    rank: Float[Array | np.ndarray, "*event 4"]
    level: Float[Array | np.ndarray, "*event"]
    mean: Float[Array | np.ndarray, "*event 4"]
    sd: Float[Array | np.ndarray, "*event 4"]


class Truth(NamedTuple):
    """How the events of an experiment with simulated picks were made."""

    times: TravelTimes
    locate: LocateEvent


def truth_of(data: Mapping[str, Any], station_km: Float[np.ndarray, "station 3"], sizes: Search = FINE) -> Truth:
    """Travel times of an experiment's simulated picks, and the grid search that knows them and the prior."""
    region, model = picking_of(data).region, velocity_model(data["velocity"])
    times = table_times(table_around(model, region, station_km))
    anywhen = region._replace(origin_s=ANY_TIME_S)
    flat = log_prior_of(anywhen, same_everywhere(float(np.mean(region.depth_km)), FLAT_KM))
    return Truth(times, grid_search(times, anywhen, flat, sizes=sizes))


def judge_exact(key: PRNGKeyArray, truth: Truth, batch: Batch) -> Judged:
    """The exact posterior against the labelled hypocentres.

    A grid search states a Gaussian for each cell, which is wider than what is in it. Here a cell counts for the
    likelihood at its middle, the sum over all for the integral, and the likelihood at the labelled place for itself.
    """

    def one(event: tuple[Observations, Array]) -> Judged:
        observations, label = event
        cells = components(truth.locate(key, observations).hypocentre)
        heaviest = cells.mean[jnp.argmax(cells.log_weight), :3]
        origin = evidence(truth.times, observations, jnp.stack([label[:3], heaviest]))
        steps = 2 * jnp.diagonal(cells.scale_tril[0])[:3]
        # Of a cell less the likelihood in it: the same for all, since the prior is flat.
        constant = cells.log_weight.max() - jnp.log(steps).sum() - origin.log_evidence[1]
        density = origin.log_evidence[0] + constant
        late = norm.logpdf(label[3], origin.mean_s[0], jnp.sqrt(origin.variance_s2[0]))
        denser = cells.log_weight - jnp.log(steps).sum() > density
        # A uniform cell has a third of the variance of its Gaussian; the last column is the origin time's own.
        narrower = jnp.array([3**-0.5, 3**-0.5, 3**-0.5, 1.0])
        found = gaussian_mixture(cells.log_weight, cells.mean, cells.scale_tril * narrower)
        level = jnp.where(denser, jnp.exp(cells.log_weight), 0.0).sum()
        sd = jnp.sqrt(jnp.diagonal(covariance(found)))
        return Judged(-density - late, rank_of(found, label), level, mean(found), sd)

    events = (batch.observations, batch.labels["hypocentre"].value)
    return jax.tree.map(np.asarray, jax.jit(lambda each: jax.lax.map(one, each))(events))


def evidence(times: TravelTimes, observations: Observations, place_km: Float[Array, "point 3"]) -> OriginTime:
    """The likelihood of an event's picks at places, origin time integrated out."""
    picked = (observations.picks_s, observations.pick_sigma_s, observations.pick_mask)
    time_s, sd_s, mask = (jnp.ravel(jnp.asarray(x)) for x in picked)
    travel_s = times(observations.station_km)(place_km).reshape(len(place_km), -1)
    return over_origin(PickErrors(), residuals(PickErrors(), time_s, sd_s, mask, travel_s))


def judge(key: PRNGKeyArray, locator: Locator, batch: Batch) -> Judged:
    """Posteriors of a batch of events against their labelled hypocentres."""

    def one(event: tuple[PRNGKeyArray, Posterior, Array]) -> Judged:
        key, posterior, truth = event
        found = gaussian_mixture(*components(posterior.hypocentre))
        space, spread = marginal(found, SPACE), covariance(found)
        return Judged(
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
    """The mass below the truth along each coordinate: what the rank among infinitely many draws tends to."""
    log_weight, centre, scale_tril = found.parts
    sd = jnp.sqrt((scale_tril**2).sum(-1))
    return jnp.exp(log_weight) @ norm.cdf((truth - centre) / sd)


def against_exact(found: Judged, exact: Judged) -> dict[str, Any]:
    """How far a locator is from the exact posterior of the same events.

    `gap` in nats an event with its standard error; of each coordinate `width`, the median of stated over exact standard
    deviations, and `apart`, the root mean square of the means' difference in exact ones.
    """
    gap = found.nll - exact.nll
    apart = np.sqrt((((found.mean - exact.mean) / exact.sd) ** 2).mean(0))
    return {
        "gap": [float(gap.mean()), float(gap.std() / np.sqrt(len(gap)))],
        "width": np.median(found.sd / exact.sd, 0).tolist(),
        "apart": apart.tolist(),
    }


def calibrated(found: Judged) -> dict[str, Any]:
    """Coverage of regions of the hypocentre, and p-values of uniform ranks (Cramer and von Mises) by coordinate."""
    tests = [scipy.stats.cramervonmises(rank, "uniform") for rank in found.rank.T]
    return {
        "nll": [float(found.nll.mean()), float(found.nll.std() / np.sqrt(len(found.nll)))],
        "coverage": {f"{round(100 * p)}": float((found.level <= p).mean()) for p in LEVELS},
        "sbc_p": {name: float(test.pvalue) for name, test in zip(COORDINATES, tests, strict=True)},
    }


def compare(runs: Sequence[Path], number: int, folder: Path) -> dict[str, Any]:
    """Judge runs on the same picks by `number` simulated events that none has seen; writes numbers and a picture.

    Raises:
        ValueError: where a folder is no finished run, or runs differ in their data.
    """
    loaded = {path.name: train.load(path) for path in runs}
    config = next(iter(loaded.values()))[0]
    for name, (other, _) in loaded.items():
        if (other["data"], other["seed"]) != (config["data"], config["seed"]):
            raise ValueError(f"{name} has other data or another seed than {runs[0].name}; compare runs on the same")
    dataset = fresh_events(config["data"], int(config["seed"]), number, ROUND)
    batch, key = dataset.take(np.arange(number)), jax.random.key(0)
    locators = {name: predict.locator_of(one) for name, (_, one) in loaded.items()}
    truth = truth_of(config["data"], positions_km(dataset.frame, dataset.stations))
    judged = {name: judge(key, locator, batch) for name, locator in locators.items()}
    judged["exact"] = judge_exact(key, truth, batch)
    rows = {name: calibrated(own) | against_exact(own, judged["exact"]) for name, own in judged.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "amortised.json", json.dumps({"events": number, **rows}, indent=1).encode())
    first, gap = runs[0].name, judged[runs[0].name].nll - judged["exact"].nll
    typical = np.argsort(gap)[number // 2][None]
    sights = sights_of(
        key, locators[first], over_events(truth.locate, chunk=1), jax.tree.map(lambda x: x[typical], batch)
    )
    ranks = {name: np.asarray(judged[name].rank) for name in (first, "exact")}
    amortised(folder / "amortised_picks.png", sights, ranks, f"{first}: an amortised posterior against the exact one")
    return rows


def sights_of(key: PRNGKeyArray, network: Locator, exact: Locator, event: Batch) -> list[Sight]:
    """A batch of one event in map view and section: the exact density on a mesh, samples of the network's posterior."""
    own, grid = (
        HypocentreMixture(jax.tree.map(lambda x: x[0], components(locate(key, event.observations).hypocentre)))
        for locate in (network, exact)
    )
    draws, truth = np.asarray(own.sample(key, (400,))), np.asarray(event.labels["hypocentre"].value[0])
    centre, sd = np.asarray(mean(grid)), np.sqrt(np.diagonal(covariance(grid)))
    sights = []
    for dims in (MAP, SECTION):
        reach = 4 * sd[list(dims)].max()
        axes = [np.linspace(centre[i] - reach, centre[i] + reach, 121) for i in dims]
        mesh = jnp.stack(jnp.meshgrid(*map(jnp.asarray, axes), indexing="ij"), -1).reshape(-1, 2)
        density = np.exp(np.asarray(marginal(grid, dims).log_prob(mesh))).reshape(121, 121)
        across, down = (COORDINATES[i].replace("_km", " (km)") for i in dims)
        sights.append(Sight((across, down), (axes[0], axes[1]), density, draws[:, list(dims)], truth[list(dims)]))
    return sights


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Rows of `compare` in Markdown."""
    head = ("posterior", "gap (nats)", "width", "means apart (sd)", "50 / 68 / 90 / 95", "SBC p")
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    several = lambda values, form: " / ".join(format(x, form) for x in values)
    for name, row in rows.items():
        cells = (
            name,
            f"{row['gap'][0]:.3f} ± {row['gap'][1]:.3f}",
            several(row["width"], ".2f"),
            several(row["apart"], ".2f"),
            several(row["coverage"].values(), ".3f"),
            several(row["sbc_p"].values(), ".2g"),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="amortised networks on picks against the exact posterior")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path("runs/amortised"))
    parsed = parser.parse_args()
    print(table(compare(parsed.runs, parsed.events, parsed.output)))


if __name__ == "__main__":
    main()
