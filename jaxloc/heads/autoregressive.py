"""An autoregressive chain of heads, each conditioned on earlier labels: a joint density by the chain rule."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, Key

from jaxloc.types import Head, Labels

DRAWS = 64  # samples of earlier labels on which later ones are conditioned


class Given(NamedTuple):
    """A label that a link is conditioned on, standardised by `centre` and `scale`; of a vector its first elements."""

    name: str
    centre: Float[np.ndarray, " element"]
    scale: Float[np.ndarray, " element"]


class Link(NamedTuple):
    """A head of labels conditioned on those of earlier links, in this order."""

    head: Head
    given: tuple[Given, ...]


def chain(key: Key[Array, ""], first: Head, links: Sequence[Link], num_draws: int = DRAWS) -> Head:
    """A joint density by the chain rule: p(hypocentre) p(magnitude | hypocentre) ...

    Raw output is that of the first head, and for each link a function from its conditions, [given], to its raw outputs.
    The likelihood conditions each link on the true labels, which is exactly the joint density. Distributions of labels
    are marginal: each link is conditioned on samples of earlier labels, never on their mean, and the mixture over the
    samples is its distribution. The samples are common to all events, so that predictions are deterministic.

    Args:
        key: of the samples.
        first: head of the "hypocentre".
        links: heads of numbers and the labels they are conditioned on; where such a label is unknown the link adds
            nothing to the likelihood.
        num_draws: number of samples in a mixture.

    Raises:
        ValueError: where a link is conditioned on a label that no earlier one has (from `distribution`); names it.
    """

    def log_likelihood(raw: tuple[Any, Sequence[Callable]], labels: Labels) -> Float[Array, ""]:
        total = first.log_likelihood(raw[0], labels)
        for link, read in zip(links, raw[1], strict=True):
            if all(given.name in labels for given in link.given):
                conditions, known = _conditions(link, labels)
                total = total + jnp.where(known, link.head.log_likelihood(read(conditions), labels), 0.0)
        return total

    def distribution(raw: tuple[Any, Sequence[Callable]]) -> dict[str, dist.Distribution]:
        keys = jax.random.split(key, len(links) + 1)
        found, even = dict(first.distribution(raw[0])), dist.Categorical(jnp.full(num_draws, 1 / num_draws))
        samples = {name: one.sample(keys[0], (num_draws,)) for name, one in found.items()}
        for key_link, link, read in zip(keys[1:], links, raw[1], strict=True):
            if missing := [given.name for given in link.given if given.name not in samples]:
                raise ValueError(f"a link is conditioned on {missing[0]!r}, which must be one of {', '.join(samples)}")
            conditions = jnp.concatenate(
                [_standard(jnp.asarray(samples[given.name]), given) for given in link.given], -1
            )
            each = jax.vmap(lambda t, link=link, read=read: _normals(link.head.distribution(read(t))))(conditions)
            for (name, normal), of_name in zip(each.items(), jax.random.split(key_link, len(each)), strict=True):
                samples[name] = dist.Normal(*normal).sample(of_name)
                found[name] = dist.MixtureSameFamily(even, dist.Normal(*normal))
        return found

    return Head((), distribution, log_likelihood)


def _normals(labels: dict[str, dist.Distribution]) -> dict[str, tuple[Array, Array]]:
    """Means and standard deviations: under `vmap` NumPyro's distributions lose their batch shape."""
    return {name: (jnp.asarray(one.mean), jnp.sqrt(one.variance)) for name, one in labels.items()}


def _conditions(link: Link, labels: Labels) -> tuple[Float[Array, " given"], Array]:
    """The standardised true labels a link is conditioned on, and whether all are known."""
    masks = [jnp.atleast_1d(labels[given.name].mask)[: len(given.centre)] for given in link.given]
    values = [jnp.where(labels[given.name].mask, labels[given.name].value, 0.0) for given in link.given]
    conditions = [_standard(value, given) for value, given in zip(values, link.given, strict=True)]
    return jnp.concatenate(conditions), jnp.concatenate(masks).all()


def _standard(value: Float[Array, "*draw element"] | Float[Array, "*draw"], given: Given) -> Float[Array, "*draw part"]:
    vector = value if value.ndim and value.shape[-1] >= len(given.centre) > 1 else value[..., None]
    return (vector[..., : len(given.centre)] - given.centre) / given.scale
