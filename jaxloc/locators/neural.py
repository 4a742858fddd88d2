"""Location by a network whose weights have a posterior: the mixture of the posteriors of all draws of weights."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Key, PyTree

from jaxloc.distributions.any_distribution import of_draws, plain
from jaxloc.distributions.gaussian_mixture import covariance as covariance_of
from jaxloc.distributions.gaussian_mixture import covariance_of_means
from jaxloc.distributions.gaussian_mixture import mean as mean_of
from jaxloc.distributions.labels import LabelPosterior, averaged, of_draw
from jaxloc.locators.over_events import OnEvent, in_chunks
from jaxloc.types import Head, Locator, Network, Observations, Posterior, Weights

LocateByDraws = Callable[[Weights, Observations], Posterior]
"""Draws of weights (leading axis) and the observations of one event, to its posterior; see `with_weights`."""


def neural(
    network: Network, head: Head, average: Callable[[PyTree], PyTree] | None = None, *, draw_chunk: int = 8
) -> LocateByDraws:
    """Locate one event by every draw of weights, `draw_chunk` of them at once.

    Args:
        network: raw outputs of an event.
        head: raw outputs to a distribution over hypocentres, and to other labels if it has any. One that is no Gaussian
            mixture is as `jaxloc.distributions.any_distribution` says.
        average: raw outputs with a leading draw axis to those of the mean density, where a head has such a thing; it
            keeps the number of components from growing with that of draws.
        draw_chunk: draws held in memory at a time.
    """

    def locate(weights: Weights, observations: Observations) -> Posterior:
        def one(draw: Weights) -> tuple[Any, Array, Array, dict[str, LabelPosterior]]:
            raw = network.apply(draw, observations)
            labels = head.distribution(raw)
            place = plain(labels.pop("hypocentre"))
            others = {name: of_draw(label) for name, label in labels.items()}
            return raw if average else place, mean_of(place), covariance_of(place), others

        outputs, means, covariances, others = jax.lax.map(one, weights, batch_size=draw_chunk)
        hypocentre = head.distribution(average(outputs))["hypocentre"] if average else of_draws(outputs)
        others = {name: averaged(draws) for name, draws in others.items()}
        return Posterior(hypocentre, covariance_of_means(means), covariances.mean(0), others)

    return locate


def with_weights(
    locate: LocateByDraws,
    sample: Callable[[Key[Array, ""]], Weights],
    *,
    chunk: int = 4,
    on_event: OnEvent = lambda located: None,
    compiled_by: Callable[[Callable], Callable] = jax.jit,
) -> Locator:
    """The locator that closes over a weight posterior: weights are sampled once a call, the same for all its events.

    Args:
        locate: draws of weights and observations of one event to its posterior.
        sample: key to draws of weights, with a leading draw axis.
        chunk: events per call of the compiled function (`jaxloc.locators.over_events.in_chunks`).
        on_event: called after each chunk.
        compiled_by: `jax.jit`, or what else compiles a function (`jaxloc.runs.traced`).

    Raises:
        ValueError: from the locator, where there is no event.
    """
    run = in_chunks(locate, chunk=chunk, on_event=on_event, compiled_by=compiled_by)

    def locator(key: Key[Array, ""], observations: Observations) -> Posterior:
        return run(sample(key), observations)

    return locator
