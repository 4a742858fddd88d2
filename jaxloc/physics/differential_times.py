"""Differences of arrival times of two events at one station, from catalogues of picks or from cross-correlation."""

from typing import NamedTuple

from jaxtyping import Array, Float, Int


class DifferentialTimes(NamedTuple):
    """The arrival time of the first event at a station minus that of the second, each on the clock of its own event.

    Events and stations are rows of the `Observations` that come with them, phases are indices into `PHASES`, and the
    clock of an event is that of its picks (`Observations.picks_s`). `sd_s` is the standard deviation of `time_s`.
    """

    first: Int[Array, " pair"]
    second: Int[Array, " pair"]
    station: Int[Array, " pair"]
    phase: Int[Array, " pair"]
    time_s: Float[Array, " pair"]
    sd_s: Float[Array, " pair"]
