"""A simulated day of picks with the true event of each, to measure what an associator finds."""

from typing import NamedTuple

import numpy as np
from jax import random
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.data.pick_list import PickList
from jaxloc.simulation.day import Day, FaultSettings, NetworkSettings, draw_day, inside
from jaxloc.simulation.day_picks import ClutterSettings, DetectionSettings, draw_picks
from jaxloc.simulation.seismicity import SeismicitySettings

NEEDED_STATIONS = 4


class PicksSettings(NamedTuple):
    """All settings of a day of picks."""

    seismicity: SeismicitySettings = SeismicitySettings()
    network: NetworkSettings = NetworkSettings()
    faults: FaultSettings = FaultSettings()
    detection: DetectionSettings = DetectionSettings()
    clutter: ClutterSettings = ClutterSettings()


class SimulatedPicks(NamedTuple):
    """Picks of a day, times from its beginning, and their truth.

    Attributes:
        picks: in the order of their times.
        event: row of the source in `day.sources` of each pick, -1 for none.
        kind: of each pick, place in `jaxloc.simulation.day_picks.PICK_KINDS`.
        day: network, velocity models, sources and true arrivals.
        locatable: sources that the network can locate: P at or above the picker's threshold at four recording stations
            or more.
    """

    picks: PickList
    event: Int[np.ndarray, " pick"]
    kind: Int[np.ndarray, " pick"]
    day: Day
    locatable: Bool[np.ndarray, " event"]


def simulated_day(key: Key[Array, ""], settings: PicksSettings = PicksSettings()) -> SimulatedPicks:
    """A day of picks.

    Raises:
        ValueError: for settings out of range; names the value.
    """
    day_key, pick_key = random.split(key)
    day = draw_day(day_key, settings.seismicity, settings.network, settings.faults)
    found, ratio_db = draw_picks(pick_key, day, settings.detection, settings.clutter)
    picks = PickList(*found[: len(PickList._fields)])
    return SimulatedPicks(picks, found.event, found.kind, day, _locatable(day, ratio_db, settings.detection))


def _locatable(
    day: Day, ratio_db: Float[np.ndarray, "event station phase"], settings: DetectionSettings
) -> Bool[np.ndarray, " event"]:
    p_s = day.arrival_s[..., 0]
    station = np.broadcast_to(np.arange(len(day.stations)), p_s.shape)
    off = inside((*day.faults.outages, *day.faults.gaps), station, p_s) | (p_s >= day.length_s)
    return ((ratio_db[..., 0] >= settings.threshold_db[0]) & ~off).sum(-1) >= NEEDED_STATIONS
