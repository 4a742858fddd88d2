"""Which instrument of a station to use, where it has several: one rule for waveform files and SeisBench folders.

For each event and station one instrument is used: channels with the same location, band and instrument code. It is the
one that has, compared in this order,

1. the most components with a signal: channels that are constant, clipped or not recorded in the window do not count;
2. the largest part of the window recorded, to 5 %;
3. the better sensor: seismometers and geophones (H, L, P) before accelerometers (N, G), then any other;
4. a sampling rate that suffices for the rate asked for, then the highest rate;
5. the first location code in alphabetical order, blank before any other, then the first band code.

Where no instrument has all three components, channels of one sensor type with different locations or bands are combined
(Z of location 00 with N and E of location 10), if that gives more components.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from jaxloc.data.components import VERTICAL_OF_TRIAXIAL, component_places

SENSORS = ("HLP", "NG")
COVERAGE_STEP = 0.05


class Instrument(NamedTuple):
    """Channels of one sensor: the identifier NET.STA.LOC.CHA of each by its component letter."""

    location: str
    code: str
    channels: Mapping[str, str]

    @property
    def name(self) -> str:
        """As in "10.HH"; "HH" where the location is blank; locations that are combined stand side by side."""
        return f"{self.location}.{self.code}" if self.location else self.code

    @property
    def rank(self) -> tuple[int, str, str]:
        """The order of instruments by their names alone."""
        return sensor_rank(self.code + "Z"), self.location, self.code


class Quality(NamedTuple):
    """A channel in a window: why it is silent ("" where it is not), the part recorded, its rate in Hz."""

    silent: str
    recorded: float
    rate_hz: float


def sensor_rank(channel: str) -> int:
    """0 for a seismometer or geophone, 1 for an accelerometer, 2 for another sensor, by the SEED instrument code.

    A channel without an instrument code (two letters or fewer, such as "Z") counts as a seismometer.
    """
    code = channel[1:2].upper()
    return next((rank for rank, codes in enumerate(SENSORS) if code and code in codes), 2 if code else 0)


def usable(letter: str) -> bool:
    """Whether a component letter is one that some instrument of three components has."""
    return bool(component_places("Z" + letter.upper()).keys() - {"Z"}) or letter.upper() in "Z3" + VERTICAL_OF_TRIAXIAL


def instruments_of(channels: Iterable[str]) -> list[Instrument]:
    """The instruments of one station, from identifiers NET.STA.LOC.CHA whose last letter is a component."""
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for channel in sorted(channels):
        location, code = channel.split(".")[2:4]
        found[location, code[:-1]][code[-1].upper()] = channel
    return [Instrument(*key, letters) for key, letters in sorted(found.items())]


def number_of_components(instrument: Instrument, qualities: Mapping[str, Quality]) -> int:
    """How many of Z, N, E the channels with a signal give."""
    alive = [letter for letter, channel in instrument.channels.items() if not qualities[channel].silent]
    places = set(component_places(alive).values())
    return max(len(places), 3 * (set(VERTICAL_OF_TRIAXIAL) <= set(alive)))


def choose_instrument(
    instruments: list[Instrument], qualities: Mapping[str, Quality], rate_hz: float
) -> tuple[Instrument, list[Instrument]]:
    """The instrument of a station to use by this module's rule, and the others that have a signal.

    Args:
        instruments: at least one.
        qualities: of every channel of the instruments.
        rate_hz: the sampling rate asked for.
    """

    def rank(instrument: Instrument) -> tuple:
        seen = [qualities[channel] for channel in instrument.channels.values()]
        alive = [quality for quality in seen if not quality.silent]
        coverage = float(np.mean([quality.recorded for quality in alive])) if alive else 0.0
        highest = max(quality.rate_hz for quality in seen)
        return (
            -number_of_components(instrument, qualities),
            -round(coverage / COVERAGE_STEP),
            sensor_rank(instrument.code + "Z"),
            highest < 0.999 * rate_hz,
            -highest,
            instrument.location,
            instrument.code,
        )

    ordered = sorted(instruments, key=rank)
    best, others = ordered[0], [one for one in ordered[1:] if number_of_components(one, qualities)]
    whole = _combined(best, others, qualities)
    if number_of_components(whole, qualities) > number_of_components(best, qualities):
        best, others = whole, [one for one in others if not set(one.channels.values()) & set(whole.channels.values())]
    return best, others


def _combined(best: Instrument, others: list[Instrument], qualities: Mapping[str, Quality]) -> Instrument:
    """The best instrument with the components that it lacks from others of the same sensor type."""
    channels = {letter: name for letter, name in best.channels.items() if not qualities[name].silent}
    locations, codes = [best.location], [best.code]
    for other in others:
        if sensor_rank(other.code + "Z") != sensor_rank(best.code + "Z"):
            continue
        own = {letter: name for letter, name in other.channels.items() if not qualities[name].silent}
        taken = set(component_places(channels).values())
        new = {letter: own[letter] for letter, place in component_places(own).items() if place not in taken}
        if new:
            channels |= new
            locations.append(other.location)
            codes.append(other.code)
    text = lambda parts: "+".join(dict.fromkeys(part or "--" for part in parts))
    return Instrument(text(locations) if any(locations) else "", text(codes), channels)
