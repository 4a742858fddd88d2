"""The head of dropout networks: three standardised coordinates with one precision for all of them and all events.

A regression under squared error has a Gaussian likelihood of unspecified precision. Gal and Ghahramani (2016, Dropout
as a Bayesian approximation, eq. 7) derive it from the training settings: tau = p l^2 / (2 N lambda), with the keep
probability p, the prior's length scale l, the number N of training events and the weight decay lambda. It may also be
learnt with the weights, and `jaxloc calibrate` recalibrates it on held-out events.
"""

import math

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from jaxloc.distributions.gaussian_mixture import components, gaussian_mixture
from jaxloc.heads.gaussian import marginal_log_prob
from jaxloc.heads.labels import of_label
from jaxloc.types import Head, Label

LIMIT = 30.0  # of standardised coordinates
LOG_LIMIT = 10.0  # of the logarithm of the precision: widths within 0.007 and 150 scales
MIN_SD = 1e-3  # in units of the scale


def isotropic(centre: Float[np.ndarray, " 4"], scale: Float[np.ndarray, " 4"], precision: float | None = None) -> Head:
    """A Gaussian over east, north and depth of the same width in all, in units of `scale`; origin time as catalogued.

    Raw outputs are the three means in units of `scale` about `centre`, the training catalogue's means and standard
    deviations, and where no `precision` is given its natural logarithm. The origin time is the climatology's.

    Raises:
        ValueError: where the precision is not positive and finite.
    """
    if precision is not None and not 0 < precision < math.inf:
        raise ValueError(f"precision must be positive and finite, or null to be learnt, got {precision}")
    centre, scale = np.asarray(centre, np.float32), np.asarray(scale, np.float32)

    def distribution(raw: Float[Array, " raw"]) -> dict[str, dist.Distribution]:
        place = centre[:3] + scale[:3] * LIMIT * jnp.tanh(raw[:3] / LIMIT)
        log_precision = jnp.clip(raw[3], -LOG_LIMIT, LOG_LIMIT) if precision is None else math.log(precision)
        sd = jnp.append(scale[:3] * (jnp.exp(-0.5 * log_precision) + MIN_SD), scale[3])
        mean = jnp.append(place, centre[3])
        return {"hypocentre": gaussian_mixture(jnp.zeros(1, raw.dtype), mean[None], jnp.diag(sd)[None])}

    @of_label("hypocentre")
    def log_likelihood(raw: Float[Array, " raw"], label: Label) -> Float[Array, ""]:
        return marginal_log_prob(components(distribution(raw)["hypocentre"]), label)

    return Head(4 if precision is None else 3, distribution, log_likelihood)


def dropout_precision(keep: float, length: float, number: int, weight_decay: float) -> float:
    """tau = p l^2 / (2 N lambda) of Gal and Ghahramani (2016), for standardised outputs.

    Raises:
        ValueError: where an argument is not positive, or more than all features are kept.
    """
    if not (0 < keep <= 1 and length > 0 and number > 0 and weight_decay > 0):
        raise ValueError(
            "keep must be within 0-1, length, number and weight_decay positive, "
            f"got {keep}, {length}, {number} and {weight_decay}"
        )
    return keep * length**2 / (2 * number * weight_decay)
