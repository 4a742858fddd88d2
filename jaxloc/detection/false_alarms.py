"""How often templates exceed a threshold where there is nothing to find, and the threshold for a given rate.

Two kinds of controls are run over the same records: templates reversed in time, which have the spectra and amplitudes
of the templates but match no arrival, and templates whose stations are shifted against one another at random, which
match arrivals of events at single stations but not their moveout. Peaks of a control above a high level follow a
generalised Pareto distribution (Pickands 1975, Ann. Stat. 3), by which their rate is extrapolated to the threshold.

Where events are, controls match parts of them. Such times are left out: those near peaks of the templates themselves of
`PROVISIONAL_MAD` times the median absolute value. Where that leaves too little, as in a swarm, all peaks are used with
an exponential tail whose scale is that of the median, which the higher peaks do not affect: it is a rate of false
alarms in noise.

The shape of a tail is not let below zero, an exponential tail (that of Gumbel's extreme values): a bounded tail would
say that false alarms end at the largest one that was seen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key
from scipy import stats

from jaxloc.detection.families import Sameness, each_alone
from jaxloc.detection.stack_peaks import MAD_OF_NORMAL, Scan, noise_scale
from jaxloc.detection.templates import Templates

CONTROLS = ("reversed in time", "moveout scrambled")
DAY_S = 86400.0
LARGEST_SHAPE = 0.5
FEWEST, MOST = 20, 1000
"""Peaks of a control that its tail is fitted to: with fewer there is no tail, and those below the highest are left."""
FEWEST_FOR_SHAPE = 200
"""With fewer peaks the tail is taken to be exponential."""
PROVISIONAL_MAD = 8.0


class Tail(NamedTuple):
    """Rate of peaks of all templates together, per day, above a level, and the Pareto distribution beyond it.

    Levels are in standard deviations of the noise of each template's stack. `quiet` is the share of the time that has
    no events, 0 where all of it was used.
    """

    level: float
    per_day: float
    shape: float
    scale: float
    quiet: float = 1.0


def controls(key: Key[Array, ""], templates: Templates) -> tuple[Templates, Templates]:
    """Templates that match nothing, one for each of `CONTROLS`.

    Args:
        key: of the shifts of stations.
        templates: as they are used for detection.
    """
    number = templates.value.shape[1]
    place = np.arange(number)[None]
    backward = np.where(place < templates.length[:, None], templates.length[:, None] - 1 - place, place)
    back = templates._replace(value=np.take_along_axis(templates.value, backward, 1))
    return back, _scrambled(key, templates)


def _scrambled(key: Key[Array, ""], templates: Templates) -> Templates:
    """Each station of each template earlier or later by up to the template's length, at random."""
    span = np.zeros(len(templates.id), int)
    np.maximum.at(span, templates.template, templates.moveout + templates.length)
    pairs, of = np.unique(np.stack([templates.template, templates.station], 1), axis=0, return_inverse=True)
    share = np.asarray(jax.random.uniform(key, (len(pairs),)))[of.reshape(-1)]
    moveout = templates.moveout + np.round(2 * share * span[templates.template]).astype(int)
    first = np.full(len(templates.id), np.iinfo(int).max)
    np.minimum.at(first, templates.template, moveout)
    return templates._replace(moveout=moveout - first[templates.template])


def normalised(scan: Scan) -> Float[np.ndarray, " peak"]:
    """Peaks in standard deviations of the noise of their templates' stacks."""
    return scan.peaks.statistic / noise_scale(scan.counts)[scan.peaks.template]


def tail_of(
    scan: Scan,
    sameness: Sameness = Sameness(),
    events_s: Float[np.ndarray, " event"] | None = None,
    reach_s: float = 0.0,
) -> Tail:
    """The tail of a control.

    Args:
        scan: of the control.
        sameness: when two peaks count once.
        events_s: times of events, near which peaks are left out; None: there are none.
        reach_s: how near.

    Raises:
        ValueError: where there are too few peaks.
    """
    value = normalised(scan)
    # In units of the noise, peaks are complete above the level at which those of the quietest stack were kept.
    complete = scan.kept_above / np.nanmin(noise_scale(scan.counts))
    once = each_alone(scan.peaks.template, scan.peaks.origin_s, value, sameness) & (value > complete)
    near, share = _near(scan.peaks.origin_s, np.zeros(0) if events_s is None else events_s, reach_s)
    alone = once & ~near
    if is_quiet := alone.sum() >= FEWEST:
        once = alone
    value = np.sort(value[once])[::-1]
    if len(value) < FEWEST:
        raise ValueError(
            f"{len(value)} peaks of templates that match nothing are too few for a rate of false alarms; at least "
            f"{FEWEST} are needed: give longer records or more templates, or a threshold in MAD"
        )
    used = min(MOST, max(FEWEST, len(value) // 2), len(value) - 1)
    days = float(scan.live_s.max()) / DAY_S * (1 - share if is_quiet else 1)
    shape, scale = _pareto(value[:used] - value[used], is_quiet)
    return Tail(float(value[used]), used / days, shape, scale, 1 - share if is_quiet else 0.0)


def _near(
    time_s: Float[np.ndarray, " peak"], events_s: Float[np.ndarray, " event"], reach_s: float
) -> tuple[Bool[np.ndarray, " peak"], float]:
    """Which peaks are near an event, and the share of the time between the first and the last peak that is."""
    if not len(time_s) or not len(events_s):
        return np.zeros(len(time_s), bool), 0.0
    events_s, limits = np.sort(events_s), (float(time_s.min()), float(time_s.max()))
    after = np.searchsorted(events_s, time_s)
    padded = np.concatenate([[-np.inf], events_s, [np.inf]])
    near = np.minimum(time_s - padded[after], padded[after + 1] - time_s) <= reach_s
    begin, end = (np.clip(events_s + side * reach_s, *limits) for side in (-1, 1))
    covered_s = np.maximum(end - np.maximum(begin, np.concatenate([[limits[0]], end[:-1]])), 0).sum()
    return near, float(covered_s / max(limits[1] - limits[0], 1e-9))


def _pareto(beyond: Float[np.ndarray, " peak"], is_quiet: bool) -> tuple[float, float]:
    """Shape and scale of the excesses over a level."""
    if not is_quiet:
        return 0.0, float(np.median(beyond) / np.log(2))
    if len(beyond) < FEWEST_FOR_SHAPE:
        return 0.0, float(beyond.mean())
    shape, _, scale = stats.genpareto.fit(beyond, floc=0)
    if not 0 <= shape <= LARGEST_SHAPE:
        shape, _, scale = stats.genpareto.fit(beyond, f0=float(np.clip(shape, 0, LARGEST_SHAPE)), floc=0)
    return float(shape), float(scale)


def tails_of(own: Scan, others: Sequence[Scan], span_s: float, sameness: Sameness = Sameness()) -> tuple[Tail, ...]:
    """Tails of the controls, without the times of events.

    Args:
        own: scan of the templates themselves.
        others: of the controls, in the order of `CONTROLS`.
        span_s: from the first to the last sample of the longest template.
        sameness: when two peaks count once.

    Raises:
        ValueError: as `tail_of`.
    """
    events_s = own.peaks.origin_s[normalised(own) > threshold_of_mad(PROVISIONAL_MAD)]
    # The reach of a control and that of the template; scrambling makes templates up to three times as long.
    reaches = (2 * span_s, 4 * span_s)
    return tuple(tail_of(scan, sameness, events_s, reach) for scan, reach in zip(others, reaches, strict=True))


def per_day(tails: tuple[Tail, ...], statistic: Float[np.ndarray, " value"]) -> Float[np.ndarray, " value"]:
    """False alarms per day, of all templates together, that exceed each value: the largest by any of the tails.

    Below the level of a tail its rate is that at the level, which is too small.
    """
    each = [
        tail.per_day * stats.genpareto.sf(np.maximum(statistic - tail.level, 0), tail.shape, scale=tail.scale)
        for tail in tails
    ]
    return np.max(each, 0)


def threshold(tails: tuple[Tail, ...], rate_per_day: float) -> float:
    """The value that so many false alarms a day exceed; never below the level of a tail.

    Raises:
        ValueError: for a rate that is not positive.
    """
    if not rate_per_day > 0:
        raise ValueError(f"the rate of false alarms must be positive, got {rate_per_day:g} a day")
    return max(
        tail.level + float(stats.genpareto.isf(min(rate_per_day / tail.per_day, 1.0), tail.shape, scale=tail.scale))
        for tail in tails
    )


def threshold_of_mad(multiple: float) -> float:
    """A multiple of the median absolute value, in standard deviations (Shelly et al. 2007, Nature 446: 8 times).

    Raises:
        ValueError: for a multiple that is not positive.
    """
    if not multiple > 0:
        raise ValueError(f"the multiple of the MAD must be positive, got {multiple:g}")
    return multiple * MAD_OF_NORMAL
