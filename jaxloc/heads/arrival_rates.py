"""The likelihood of the network of arrival rates: a point process of P and of S, directions and first motions.

It learns from records whose arrivals are all known, as those of a simulation are: where a record shows none, there was
none.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import i0e
from jaxtyping import Array, Bool, Float

from jaxloc.heads.arrivals import interpolated
from jaxloc.physics.readings import READ_AFTER_S, Rates

DIRECTION_WEIGHT, MOTION_WEIGHT = 0.2, 0.2  # of what rates, which are the aim, share their layers with


class RecordLabels(NamedTuple):
    """What is known of one record: every arrival, and where it comes from.

    Attributes:
        times_s: of each arrival from the first sample.
        known: whether there is such an arrival in the record.
        towards_rad: direction to each event from north over east, in the frame of the record's components.
        towards_known: whether P shows it.
        up: first motion of P, 1 up and 0 down.
        up_known: whether it is known.
    """

    times_s: Float[Array, "*record event phase"]
    known: Bool[Array, "*record event phase"]
    towards_rad: Float[Array, "*record event"]
    towards_known: Bool[Array, "*record event"]
    up: Float[Array, "*record event"]
    up_known: Bool[Array, "*record event"]


def log_likelihood(raw: Rates, labels: RecordLabels, *, rate_hz: float, sd_s: float = 0.01) -> Float[Array, ""]:
    """Of all arrivals of one record, their directions and first motions, with labels of an error `sd_s`."""
    p_s = labels.times_s[..., 0]
    total = process_log_likelihood(raw, labels.times_s, labels.known, rate_hz=rate_hz, sd_s=sd_s)
    towards = direction_log_likelihood(raw, p_s, labels.towards_rad, labels.towards_known, rate_hz=rate_hz)
    motion = motion_log_likelihood(raw, p_s, labels.up, labels.up_known, rate_hz=rate_hz)
    return total + DIRECTION_WEIGHT * towards + MOTION_WEIGHT * motion


def process_log_likelihood(
    raw: Rates, times_s: Float[Array, "event phase"], known: Bool[Array, "event phase"], *, rate_hz: float, sd_s: float
) -> Float[Array, ""]:
    """Of a Poisson process: the log rates at the arrivals, less the number expected (Daley & Vere-Jones 2003, 7.1.2).

    Log rates are means over the labels' error.
    """
    away = jnp.arange(raw.log_rate.shape[0]) - (times_s * rate_hz)[..., None]
    share = interpolated(away, jnp.asarray(sd_s * rate_hz))  # [event, phase, sample]
    at_arrivals = jnp.einsum("eps,sp->ep", share, raw.log_rate)
    expected = jnp.exp(raw.log_rate).sum() / rate_hz
    return jnp.where(known, at_arrivals, 0.0).sum() - expected


def direction_log_likelihood(
    raw: Rates,
    p_s: Float[Array, " event"],
    towards: Float[Array, " event"],
    known: Bool[Array, " event"],
    *,
    rate_hz: float,
) -> Float[Array, ""]:
    """Of von Mises' distribution of the direction after each P (Mardia & Jupp 2000, eq. 3.5.17)."""
    vector = raw.towards[_sample_after(p_s, rate_hz, len(raw.towards))]
    concentration = jnp.sqrt((vector**2).sum(-1) + 1e-6)
    along = vector[..., 0] * jnp.cos(towards) + vector[..., 1] * jnp.sin(towards)
    each = along - concentration - jnp.log(2 * jnp.pi * i0e(concentration))
    return jnp.where(known, each, 0.0).sum()


def motion_log_likelihood(
    raw: Rates, p_s: Float[Array, " event"], up: Float[Array, " event"], known: Bool[Array, " event"], *, rate_hz: float
) -> Float[Array, ""]:
    """Of first motions after each P."""
    logit = raw.motion[_sample_after(p_s, rate_hz, len(raw.motion))]
    each = jax.nn.log_sigmoid(jnp.where(up > 0.5, logit, -logit))
    return jnp.where(known, each, 0.0).sum()


def _sample_after(p_s: Float[Array, " event"], rate_hz: float, samples: int) -> Array:
    return jnp.clip(jnp.round((p_s + READ_AFTER_S) * rate_hz).astype(int), 0, samples - 1)
