"""Locating with a network whose weights have a posterior: draws of weights, one posterior over hypocentres."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from jaxloc.devices import event_by_event, on_all
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, components, mixture_of_draws, split_covariance
from jaxloc.distributions.labels import LabelPosterior, averaged, of_draw
from jaxloc.types import Head, Locator, Network, Observations, Posterior, Weights

LocateEvent = Callable[[Weights, Observations], Posterior]
"""Draws of weights (leading axis) and the observations of one event, to its posterior."""


def neural(
    network: Network, head: Head, average: Callable[[PyTree], PyTree] | None = None, *, draw_chunk: int = 8
) -> LocateEvent:
    """Locate one event by every draw of weights, `draw_chunk` of them at once.

    Args:
        network: raw outputs of an event.
        head: raw outputs to a mixture over hypocentres, and to other labels if it has any.
        average: raw outputs with a leading draw axis to those of the mean density, where a head has such a thing; it
            keeps the number of components from growing with that of draws.
        draw_chunk: draws held in memory at a time.
    """

    def locate(weights: Weights, observations: Observations) -> Posterior:
        def one(draw: Weights) -> tuple[Any, Array, Array, dict[str, LabelPosterior]]:
            raw = network.apply(draw, observations)
            labels = head.distribution(raw)
            parts = components(labels.pop("hypocentre"))
            others = {name: of_draw(label) for name, label in labels.items()}
            single = jax.tree.map(lambda x: x[None], parts)
            _, covariance = split_covariance(*single)
            mean = (jax.nn.softmax(parts.log_weight)[:, None] * parts.mean).sum(0)
            return raw if average else parts, mean, covariance, others

        outputs, means, covariances, others = jax.lax.map(one, weights, batch_size=draw_chunk)
        if average:
            mixture = head.distribution(average(outputs))["hypocentre"]
        else:
            mixture = mixture_of_draws(HypocentreMixture(outputs))
        others = {name: averaged(draws) for name, draws in others.items()}
        return Posterior(mixture, covariance_of_means(means), covariances.mean(0), others)

    return locate


def covariance_of_means(means: Float[Array, "draw 4"]) -> Float[Array, "4 4"]:
    """The epistemic part of a covariance: that of each draw's mean."""
    apart = means - means.mean(0)
    return (apart[:, :, None] * apart[:, None, :]).mean(0)


def batched(
    locate: LocateEvent,
    sample: Callable[[PRNGKeyArray], Weights],
    *,
    chunk: int = 4,
    on_event: Callable[[int], None] = lambda done: None,
) -> Locator:
    """A locator of any number of events, compiled once: `chunk` of them a call, the last call padded.

    Raises:
        ValueError: from the locator, where there is no event.
    """
    chunk = -(-chunk // jax.device_count()) * jax.device_count()
    compiled = jax.jit(event_by_event(locate, chunk))

    def locator(key: PRNGKeyArray, observations: Observations) -> Posterior:
        number = observations.station_mask.shape[0]
        if number == 0:
            raise ValueError("there is no event to locate; give observations of at least one")
        weights = on_all(sample(key), chunk)
        index = np.arange(-(-number // chunk) * chunk) % number
        parts = []
        for rows in index.reshape(-1, chunk):
            part = compiled(weights, jax.tree.map(lambda x, rows=rows: jnp.asarray(x[rows]), observations))
            parts.append(jax.tree.map(np.asarray, part))
            on_event(min(len(parts) * chunk, number))
        return jax.tree.map(lambda *x: np.concatenate(x)[:number], *parts)

    return locator
