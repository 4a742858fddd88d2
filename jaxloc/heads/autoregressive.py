"""Several heads in a chain, each told of what came before it: a joint density of labels by the chain rule."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from jaxloc.types import Head, Labels

DRAWS = 64  # of what comes first in a chain, to tell what comes after it


class Given(NamedTuple):
    """A label that a link of a chain is told of, less `centre` and over `scale`; of a vector its first elements."""

    name: str
    centre: Float[np.ndarray, " element"]
    scale: Float[np.ndarray, " element"]


class Link(NamedTuple):
    """A head of labels that depend on those of earlier links, which it is given in this order."""

    head: Head
    given: tuple[Given, ...]


def chain(first: Head, links: Sequence[Link], num_draws: int = DRAWS) -> Head:
    """A joint density by the chain rule: p(hypocentre) p(magnitude | hypocentre) ...

    Raw output is that of the first head, and for each link a function: what it is given, [given], to its raw numbers.
    The likelihood gives each link the true labels: it is that of the joint density, exactly. Distributions of labels
    are marginal: each link is told draws of what came before it, never a mean, and their mixture is its answer. Draws
    are the same for all events, so that nothing is random.

    Args:
        first: head of the "hypocentre".
        links: heads of numbers, and what they are given, from labels of earlier ones; where such a label is unknown
            the link adds nothing to the likelihood.
        num_draws: draws a mixture is made of.

    Raises:
        ValueError: where a link is given a label that no earlier one has (from `distribution`); names it.
    """

    def log_likelihood(raw: tuple[Any, Sequence[Callable]], labels: Labels) -> Float[Array, ""]:
        total = first.log_likelihood(raw[0], labels)
        for link, read in zip(links, raw[1], strict=True):
            if all(given.name in labels for given in link.given):
                told, known = _told(link, labels)
                total = total + jnp.where(known, link.head.log_likelihood(read(told), labels), 0.0)
        return total

    def distribution(raw: tuple[Any, Sequence[Callable]]) -> dict[str, dist.Distribution]:
        keys = jax.random.split(jax.random.key(0), len(links) + 1)
        found, even = dict(first.distribution(raw[0])), dist.Categorical(jnp.full(num_draws, 1 / num_draws))
        drawn = {name: one.sample(keys[0], (num_draws,)) for name, one in found.items()}
        for key, link, read in zip(keys[1:], links, raw[1], strict=True):
            if missing := [given.name for given in link.given if given.name not in drawn]:
                raise ValueError(f"a link is given {missing[0]!r}, but before it there are {', '.join(drawn)}")
            told = jnp.concatenate([_standard(jnp.asarray(drawn[given.name]), given) for given in link.given], -1)
            each = jax.vmap(lambda t, link=link, read=read: _normals(link.head.distribution(read(t))))(told)
            for (name, normal), of_name in zip(each.items(), jax.random.split(key, len(each)), strict=True):
                drawn[name] = dist.Normal(*normal).sample(of_name)
                found[name] = dist.MixtureSameFamily(even, dist.Normal(*normal))
        return found

    return Head((), distribution, log_likelihood)


def _normals(labels: dict[str, dist.Distribution]) -> dict[str, tuple[Array, Array]]:
    """Means and standard deviations: under `vmap` NumPyro's distributions forget how many they are."""
    return {name: (jnp.asarray(one.mean), jnp.sqrt(one.variance)) for name, one in labels.items()}


def _told(link: Link, labels: Labels) -> tuple[Float[Array, " given"], Array]:
    """The true labels a link is given, in their units, and whether all are known."""
    masks = [jnp.atleast_1d(labels[given.name].mask)[: len(given.centre)] for given in link.given]
    values = [jnp.where(labels[given.name].mask, labels[given.name].value, 0.0) for given in link.given]
    told = [_standard(value, given) for value, given in zip(values, link.given, strict=True)]
    return jnp.concatenate(told), jnp.concatenate(masks).all()


def _standard(value: Float[Array, "*draw element"] | Float[Array, "*draw"], given: Given) -> Float[Array, "*draw part"]:
    vector = value if value.ndim and value.shape[-1] >= len(given.centre) > 1 else value[..., None]
    return (vector[..., : len(given.centre)] - given.centre) / given.scale
