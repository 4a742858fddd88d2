"""Arrival densities of one event as a network reads them, without physics, and the picks that they amount to."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int

READ_S = 0.4  # half the width of the window that a picked arrival lies in
READ_AFTER_S = 0.1  # after the onset of P, where rates tell its direction and first motion
EXPLAINED_S = 1.0  # on either side of an arrival of another event
LEFT_OUT, TINY = -30.0, 1e-12
MIN_READ_PROBABILITY = 0.6  # and its least probability
NEVER = -1e3  # evidence of a fault where there is no record


class Readings(NamedTuple):
    """Arrival densities of one event without physics; the last place of `log_mass` is no arrival.

    `towards` are the directions that P comes from (`jaxloc.physics.directions`); None: they are not read. `number` is
    how many arrivals are expected in the record, where it may bear several; None: there is one at most.
    """

    log_mass: Float[Array, "station phase sample_and_none"]
    rate_hz: Float[Array, ""]
    active: Float[Array, " station"]
    towards: Float[Array, "station 2"] | None = None
    number: Float[Array, "station phase"] | None = None


class Rates(NamedTuple):
    """What a network of arrival rates makes of one record, or of several, sample by sample.

    Attributes:
        log_rate: natural logarithm of arrivals per second.
        towards: horizontal vector (north, east) towards the source of a P wave; its length is a concentration.
        motion: logit of a first motion of P that is up.
    """

    log_rate: Float[Array, "*record sample phase"]
    towards: Float[Array, "*record sample 2"]
    motion: Float[Array, "*record sample"]


class WithReadings(NamedTuple):
    """Flat raw numbers of a head, and the arrivals that the network read on its way to them."""

    raw: Float[Array, " raw"]
    readings: Readings


class ArrivalPicks(NamedTuple):
    """Picks read from arrival densities: time, its standard deviation, and the probability of the densest window.

    `sure` are those of a probability above `MIN_READ_PROBABILITY` at stations that record.
    """

    time_s: Float[Array, "*event station phase"]
    sigma_s: Float[Array, "*event station phase"]
    probability: Float[Array, "*event station phase"]
    sure: Bool[Array, "*event station phase"]


class StationFaults(NamedTuple):
    """Log-evidence of each fault of a station over that of an ordinary one, in nats; `NEVER` without a record.

    Attributes:
        clock: P and S off by the same time.
        clock_s: that time, positive where arrivals are late.
        place: S off by more than P, as by wrong coordinates.
        place_s: the offset of P then.
        exchanged: records exchanged with those of station `partner`, the likeliest one.
        partner: its row.
    """

    clock: Float[Array, "*event station"]
    clock_s: Float[Array, "*event station"]
    place: Float[Array, "*event station"]
    place_s: Float[Array, "*event station"]
    exchanged: Float[Array, "*event station"]
    partner: Int[Array, "*event station"]


class CommonShift(NamedTuple):
    """What the arrivals of an event say of errors common to all its travel times: of all speeds, and of Vp/Vs.

    Attributes:
        relative: most probable error of all travel times, and of those of S besides, as a share of them.
        surprise: chi-square of both, with two degrees of freedom where the velocity model's uncertainty is right.
    """

    relative: Float[Array, "*event factor"]
    surprise: Float[Array, "*event"]


class ArrivalCheck(NamedTuple):
    """One event, or a batch with a leading axis, against its arrival densities.

    Attributes:
        log_evidence: log of the probability of the arrival densities with an event anywhere in the region over that
            without one, in nats.
        log_ratio: log of the density of each predicted arrival over that of an arrival at any time, in nats.
        arrival_s: the predicted arrival times, in s after the first sample.
        active: 1 where a station has a record, else 0.
        picks: read from the densities; None if they were not read.
        faults: evidence of faults of stations (`jaxloc.physics.station_faults`); None if it was not computed.
        common: errors of the velocity model as a whole; None if it counts as exact, or they were not estimated.
    """

    log_evidence: Float[Array, "*event"]
    log_ratio: Float[Array, "*event station phase"]
    arrival_s: Float[Array, "*event station phase"]
    active: Float[Array, "*event station"]
    picks: ArrivalPicks | None = None
    faults: StationFaults | None = None
    common: CommonShift | None = None


def pick_details(readings: Readings) -> ArrivalPicks:
    """Mean, standard deviation and probability of the densest window, of `READ_S` to each side, of each density.

    Where a record may bear several arrivals, they share the density but not their probabilities: that of a window is
    the probability of any arrival there, of a Poisson process.
    """
    mass = jnp.exp(readings.log_mass[..., :-1])
    samples = mass.shape[-1]
    half = READ_S * readings.rate_hz
    ends = jnp.pad(jnp.cumsum(mass, -1), ((0, 0), (0, 0), (1, 0)))
    middle = jnp.arange(samples)
    first = jnp.clip(jnp.round(middle - half), 0, samples).astype(int)
    last = jnp.clip(jnp.round(middle + half) + 1, 0, samples).astype(int)
    inside = ends[..., last] - ends[..., first]
    densest = inside.argmax(-1)
    near = jnp.abs(middle - densest[..., None]) <= half
    total = jnp.maximum((mass * near).sum(-1), 1e-9)
    mean = (mass * near * middle).sum(-1) / total
    variance = (mass * near * (middle - mean[..., None]) ** 2).sum(-1) / total + 1 / 12  # and that within a sample
    probability = jnp.clip(inside.max(-1), 0.0, 1.0)
    if readings.number is not None:
        there = jnp.maximum(-jnp.expm1(-readings.number), TINY)
        probability = -jnp.expm1(-readings.number * jnp.clip(probability / there, 0.0, 1.0))
    sure = (probability > MIN_READ_PROBABILITY) & (readings.active > 0)[:, None]
    return ArrivalPicks(mean / readings.rate_hz, jnp.sqrt(variance) / readings.rate_hz, probability, sure)


def window_log_mass(
    log_rate: Float[Array, "*station sample phase"], rate_hz: Float[Array, ""] | float
) -> Float[Array, "*station phase sample_and_none"]:
    """Rates of a window as one arrival of each phase, or none, whose probability is that of a Poisson process.

    Of an arrival there is, the place has the probability of its rate; several arrivals share it.
    """
    log_number = jnp.swapaxes(log_rate, -1, -2) - jnp.log(rate_hz)
    log_total = logsumexp(log_number, axis=-1, keepdims=True)
    total = jnp.exp(log_total)
    log_any = jnp.where(total > 1e-4, jnp.log(-jnp.expm1(-total)), log_total)
    return jnp.concatenate([log_number - log_total + log_any, -total], -1)


def unexplained(readings: Readings, explained_s: Float[Array, "station phase other"] | None) -> Readings:
    """Arrival densities without what other events explain: `EXPLAINED_S` about their P and S, of both phases.

    What is left is of one arrival or none as before: densities are those of a Poisson process in a window, whatever
    network gave them.
    """
    if explained_s is None:
        return readings
    near = (jnp.abs(_second(readings) - explained_s[..., None]) < EXPLAINED_S).any((-3, -2))
    return _with_log_rate(readings, jnp.where(near[:, None], LEFT_OUT, _log_rate(readings)))


def near_times(
    readings: Readings, time_s: Float[Array, "station phase"], sd_s: Float[Array, "station phase"]
) -> Readings:
    """Arrival densities of those arrivals alone that lie near given times, by a normal weight of standard deviation
    `sd_s` whose maximum is one.
    """
    away = (_second(readings) - time_s[..., None]) / sd_s[..., None]
    return _with_log_rate(readings, jnp.maximum(_log_rate(readings) - away**2 / 2, LEFT_OUT))


def _second(readings: Readings) -> Float[Array, " sample"]:
    return jnp.arange(readings.log_mass.shape[-1] - 1) / readings.rate_hz


def _log_rate(readings: Readings) -> Float[Array, "station phase sample"]:
    log_none = readings.log_mass[..., -1:]
    number = jnp.maximum(-log_none, TINY)
    log_any = jnp.log(jnp.maximum(-jnp.expm1(log_none), TINY))
    return readings.log_mass[..., :-1] - log_any + jnp.log(number) + jnp.log(readings.rate_hz)


def _with_log_rate(readings: Readings, log_rate: Float[Array, "station phase sample"]) -> Readings:
    log_mass = window_log_mass(jnp.swapaxes(log_rate, -1, -2), readings.rate_hz)
    return readings._replace(log_mass=log_mass, number=None if readings.number is None else -log_mass[..., -1])
