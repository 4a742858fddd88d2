"""Differential times of events that templates found, as the double difference reads them."""

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.detection.matched_detection import Detections
from jaxloc.detection.templates import Templates
from jaxloc.physics.differential_times import DifferentialTimes


def differential_times(
    templates: Templates, found: Detections, least: float = 0.6, most_skipped: float = 0.1
) -> tuple[DifferentialTimes, Float[np.ndarray, " pair"]]:
    """Differential times of events of templates and detected events, with their correlation coefficients.

    Events are rows of the detections that are heads, and clocks begin at their origin times. A template whose own event
    was not detected gives none, nor does an event with itself; of several detections of an event by one template the
    best one counts. Lags at the end of their range are left out.

    Args:
        templates: that were found.
        found: the detections.
        least: coefficient below which a lag is not used.
        most_skipped: probability of a cycle skip above which it is not.
    """
    own = np.full(len(templates.id), -1)
    own[found.template[found.is_self]] = found.head[found.is_self]
    lags = found.lags
    second, first = found.head[lags.detection], own[lags.template]
    good = (first >= 0) & (first != second) & ~lags.lags.at_end
    good &= (np.asarray(lags.lags.coefficient) >= least) & (np.asarray(lags.lags.skipped) <= most_skipped)
    good &= _best(found)[lags.detection]
    first, second, event = first[good], second[good], lags.template[good]
    travel_s = lags.travel_s[good]
    one_s = templates.hypocentre[event, 3] + travel_s - found.origin_s[first]
    other_s = found.origin_s[lags.detection[good]] + travel_s + np.asarray(lags.lags.lag_s)[good]
    time_s = one_s - (other_s - found.origin_s[second])
    columns = (first, second, lags.station[good], lags.phase[good], time_s, np.asarray(lags.lags.sd_s)[good])
    return DifferentialTimes(*columns), np.asarray(lags.lags.coefficient)[good]  # pyright: ignore[reportArgumentType]


def _best(found: Detections) -> Bool[np.ndarray, " detection"]:
    """Whether no other detection of the same event by the same template has a higher statistic."""
    order = np.lexsort((-found.statistic, found.template, found.head))
    pair = np.stack([found.head[order], found.template[order]], 1)
    first = np.ones(len(order), bool)
    first[1:] = (pair[1:] != pair[:-1]).any(1)
    out = np.zeros(len(order), bool)
    out[order] = first
    return out
