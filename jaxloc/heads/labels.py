"""Heads of other labels than the hypocentre: classes (event or noise) and numbers (magnitude); and joint heads.

Each builder returns a `jaxloc.types.Head`, as those of `jaxloc.heads.gaussian` do. A label that is missing or masked
adds exactly zero to the likelihood.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from jaxloc.types import Head, Label, Labels

Own = TypeVar("Own")  # the raw output that a head reads
LIMIT = 30.0  # of a raw number's size, in units of `scale`


def of_label(
    name: str,
) -> Callable[[Callable[[Own, Label], Float[Array, ""]]], Callable[[Own, Labels], Float[Array, ""]]]:
    """Turns a log-likelihood of one label, `f(raw, label)`, into that of a head, `f(raw, labels)`; zero if missing."""

    def of_head(log_likelihood: Callable[[Own, Label], Float[Array, ""]]) -> Callable[[Own, Labels], Float[Array, ""]]:
        def guarded(raw: Own, labels: Labels) -> Float[Array, ""]:
            if name not in labels:
                return jnp.zeros((), jnp.result_type(*jax.tree.leaves(raw)))
            return log_likelihood(raw, labels[name])

        return guarded

    return of_head


def categorical(
    num_classes: int = 2,
    name: str = "is_event",
    *,
    weights: Float[np.ndarray, " class"] | None = None,
    prior_ratio: Float[np.ndarray, " class"] | None = None,
) -> Head:
    """One of several classes, from one raw output each: the logits. Labels are 0, 1, ...

    Args:
        num_classes: how many.
        name: of the label.
        weights: weight of each class in the likelihood; None for one.
        prior_ratio: share of each class in use over its share in training. Predictions are corrected by the logarithms
            of these ratios (Saerens and others 2002, eq. 2.4), the likelihood is not.

    Raises:
        ValueError: where there are fewer than two classes, or weights or ratios are not one positive number a class.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be 2 or more, got {num_classes}; yes and no are two classes")
    weight = _by_class("weights", weights, num_classes)
    log_ratio = np.log(_by_class("prior_ratio", prior_ratio, num_classes))

    def distribution(raw: Float[Array, " class"]) -> dict[str, dist.Distribution]:
        return {name: dist.CategoricalLogits(raw + log_ratio)}

    @of_label(name)
    def log_likelihood(raw: Float[Array, " class"], label: Label) -> Float[Array, ""]:
        value, mask = label
        which = jnp.where(mask, value, 0).astype(jnp.int32)
        return jnp.where(mask, jnp.asarray(weight)[which] * jax.nn.log_softmax(raw)[which], 0.0)

    return Head(num_classes, distribution, log_likelihood)


def number(centre: float, scale: float, floor: float, name: str = "magnitude") -> Head:
    """A normal distribution over a number, from two raw outputs: mean and width in units of `scale`.

    Raw zeros give a normal of mean `centre` and standard deviation `scale`; no width is below `floor`.

    Raises:
        ValueError: where the centre is not finite, or scale or floor not positive.
    """
    if not (math.isfinite(centre) and 0 < scale < math.inf and 0 < floor < scale):
        raise ValueError(f"{name} must have a finite centre and 0 < floor < scale, got {centre}, {floor} and {scale}")
    unit = math.log(math.expm1(1 - floor / scale))  # softplus of it, and the floor, are one scale

    def normal(raw: Float[Array, " 2"]) -> dist.Normal:
        mean, width = LIMIT * jnp.tanh(raw / LIMIT)
        return dist.Normal(centre + scale * mean, scale * jax.nn.softplus(width + unit) + floor)

    @of_label(name)
    def log_likelihood(raw: Float[Array, " 2"], label: Label) -> Float[Array, ""]:
        value, mask = label
        return jnp.where(mask, normal(raw).log_prob(jnp.where(mask, value, centre)), 0.0)

    return Head(2, lambda raw: {name: normal(raw)}, log_likelihood)


def binned(low: float, high: float, num_bins: int, name: str = "magnitude") -> Head:
    """A number as a softmax over bins of equal width, from one raw output each.

    A bin is a normal about its centre with a standard deviation of half its width: equal weights then give a density
    constant within 5 %.

    Raises:
        ValueError: where the ends are not ordered, or there are fewer than two bins.
    """
    if not (-math.inf < low < high < math.inf and num_bins > 1):
        raise ValueError(f"{name} must have low < high and two bins or more, got {low}, {high} and {num_bins}")
    width = (high - low) / num_bins
    middle = low + width * (np.arange(num_bins, dtype=np.float32) + 0.5)

    def mixture(raw: Float[Array, " bin"]) -> dist.Distribution:
        bins = dist.Normal(jnp.asarray(middle), jnp.full(num_bins, width / 2))
        return dist.MixtureSameFamily(dist.CategoricalLogits(raw), bins)

    @of_label(name)
    def log_likelihood(raw: Float[Array, " bin"], label: Label) -> Float[Array, ""]:
        value, mask = label
        density = jnp.asarray(mixture(raw).log_prob(jnp.where(mask, value, low)))
        return jnp.where(mask, density, 0.0)

    return Head(num_bins, lambda raw: {name: mixture(raw)}, log_likelihood)


def joint(*parts: Head) -> Head:
    """Several heads on one raw vector, in their order: labels independent given the network's output.

    The log-likelihood is the sum of theirs. Heads of another shape than a vector get their raw outputs reshaped.

    Raises:
        ValueError: where there is no head, or from `distribution` where two heads have a label of the same name.
    """
    if not parts:
        raise ValueError("a joint head must have at least one head, got none")
    sizes = [math.prod(np.atleast_1d(part.size)) for part in parts]
    ends = np.cumsum(sizes)

    def split(raw: Float[Array, " raw"]) -> list[Array]:
        pieces = zip(parts, jnp.split(raw, ends[:-1]), strict=True)
        return [piece.reshape(part.size) for part, piece in pieces]

    def distribution(raw: Float[Array, " raw"]) -> dict[str, dist.Distribution]:
        each = [part.distribution(piece) for part, piece in zip(parts, split(raw), strict=True)]
        together = {name: one for names in each for name, one in names.items()}
        if len(together) < sum(map(len, each)):
            raise ValueError(f"two heads have a label of the same name, got {[list(names) for names in each]}")
        return together

    def log_likelihood(raw: Float[Array, " raw"], labels: Labels) -> Float[Array, ""]:
        each = [part.log_likelihood(piece, labels) for part, piece in zip(parts, split(raw), strict=True)]
        return jnp.stack(each).sum()

    return Head(int(ends[-1]), distribution, log_likelihood)


def _by_class(name: str, values: Float[np.ndarray, " class"] | None, num_classes: int) -> Float[np.ndarray, " class"]:
    array = np.ones(num_classes, np.float32) if values is None else np.asarray(values, np.float32)
    if array.shape != (num_classes,) or not (np.isfinite(array) & (array > 0)).all():
        raise ValueError(f"{name} must be a positive number for each of {num_classes} classes, got {values}")
    return array
