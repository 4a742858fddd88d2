"""Picks of continuous records by the picker of PAL (`jaxloc.detection.pal_picker`), station by station."""

from functools import partial

import numpy as np

from jaxloc.data.chunk import Chunk, owned
from jaxloc.data.pick_list import PickList
from jaxloc.detection.pal_picker import RIDGECREST, Settings, pick_station, to_picks
from jaxloc.runs.pickers import Picker, joined

RATE_HZ = 100.0
PAD_S = 60.0
"""The taper at the ends of a record, its filter and the longest S search lie well within."""


def pal_picker(settings: Settings = RIDGECREST) -> Picker:
    """The picker with the settings of the published example, or others."""
    return Picker(partial(_pick, settings), RATE_HZ, PAD_S, {"method": "palm", **settings._asdict()})


def _pick(settings: Settings, chunk: Chunk) -> PickList:
    """Picks of P and S, each where its own sample is usable and its own time within the interval."""
    pairs = [pick_station(record, chunk.rate_hz, settings) for record in chunk.records.astype(float)]
    found = joined([to_picks(pairs, np.zeros(len(pairs)))])
    at = np.clip(np.round(found.time_s * chunk.rate_hz).astype(int), 0, chunk.usable.shape[-1] - 1)
    after_s, own = owned(chunk, found.time_s)
    kept = own & chunk.usable[found.station, :, at].any(-1)
    return PickList(*(each[kept] for each in found._replace(time_s=after_s)))
