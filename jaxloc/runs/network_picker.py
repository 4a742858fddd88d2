"""Picks of continuous records by a network of arrival rates, station by station.

The network is convolutional, and takes its scales from half a minute on either side, so a record is read in blocks
whose edges are cut off. Its layers are coarser in steps of 256 samples and its noise is that of whole seconds: blocks
begin at whole multiples of both from 1970 on, so that picks do not depend on where chunks begin.
"""

import hashlib
import math
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.data.chunk import SECOND_NS, Chunk, first_sample, owned
from jaxloc.data.pick_amplitudes import peak_amplitudes
from jaxloc.data.pick_list import PickList
from jaxloc.data.record_quality import without_drift
from jaxloc.models.pretrained import Pretrained, read_pretrained
from jaxloc.physics.pick_calibration import Calibration, least_before, read_calibration, recalibrated
from jaxloc.physics.rate_picks import LEAST_PROBABILITY, RatePicks, picks_of_rates
from jaxloc.runs.pickers import Picker, joined
from jaxloc.runs.pretrain import RatesOf, mean_log_rate, rates_reader
from jaxloc.runs.shipped import FILE

REACH_S = 64.0
"""Samples farther away change no rate: 31 s of noise, then the network."""
BLOCK_S = 600.0
EDGE_S = 5.0
"""Rates are read so far beyond the interval that a chunk owns: picks near its border do not feel it."""
DRIFT_S = 20.0
DRIFT = "smooth mean"  # how drift is removed: picks of chunks that were kept when it was otherwise are picked anew
"""Means over so long are subtracted, so that no step of an offset lies at a gap, whatever else a block has."""
SILENT = -30.0


def network_picker(weights: Path = FILE, least_probability: float = LEAST_PROBABILITY) -> Picker:
    """The picker of a file of weights, with its calibration, where there is one beside it.

    Args:
        weights: as `jaxloc.models.pretrained` has them, of a network of arrival rates.
        least_probability: of a pick, after calibration.

    Raises:
        ValueError: where a file is missing or wrong; names it.
    """
    beside = calibration_of(weights)
    digest = hashlib.sha256(weights.read_bytes() if weights.is_file() else b"")
    digest.update(beside.read_bytes() if beside.is_file() else b"")
    found = read_pretrained(weights)
    pick = partial(_pick, _opened(weights, digest.hexdigest()), found.rate_hz, read_calibration(beside))
    about = {"method": "network", "weights": digest.hexdigest(), "least_probability": least_probability, "drift": DRIFT}
    return Picker(partial(pick, least_probability), found.rate_hz, REACH_S + 2 * EDGE_S, about)


def calibration_of(weights: Path) -> Path:
    """The file with the calibration of the picks of a file of weights."""
    return weights.with_name(f"{weights.stem}_picks.json")


class _Reader:
    """A compiled network and how its blocks lie."""

    def __init__(self, found: Pretrained) -> None:
        self.read: RatesOf = rates_reader(found)
        coarse = int(found.settings.get("stride", 4)) ** (len(found.settings["channels"]) - 1)
        step = math.lcm(coarse, max(round(found.rate_hz), 1))
        whole = lambda seconds: -(-round(seconds * found.rate_hz) // step) * step
        self.block, self.margin = whole(BLOCK_S), whole(REACH_S)


@lru_cache(4)
def _opened(weights: Path, _digest: str) -> _Reader:
    return _Reader(read_pretrained(weights))


def _pick(reader: _Reader, rate_hz: float, calibration: Calibration, least: float, chunk: Chunk) -> PickList:
    if not math.isclose(chunk.rate_hz, rate_hz):
        raise ValueError(f"the network reads records of {rate_hz:g} Hz, got a chunk of {chunk.rate_hz:g} Hz")
    found = [_of_station(reader, calibration, least, chunk, row) for row in range(len(chunk.stations))]
    return joined(found)


def _of_station(reader: _Reader, calibration: Calibration, least: float, chunk: Chunk, row: int) -> PickList:
    records, usable = chunk.records[row], chunk.usable[row]
    begin, log_rate = log_rates(reader, chunk, row)
    picks = recalibrated(picks_of_rates(log_rate, chunk.rate_hz, least_before(calibration, least)), calibration)
    time_s = picks.time_s + begin / chunk.rate_hz  # from the first sample of the chunk
    at = np.clip(np.round(time_s * chunk.rate_hz).astype(int), 0, usable.shape[-1] - 1)
    after_s, own = owned(chunk, time_s)
    kept = (picks.probability >= least) & usable[:, at].any(0) & own
    picks = RatePicks(*(each[kept] for each in picks))
    return PickList(
        np.full(kept.sum(), row),
        picks.phase,
        after_s[kept],
        picks.sigma_s,
        picks.probability,
        peak_amplitudes(records, usable, chunk.rate_hz, time_s[kept]),
    )


def log_rates(reader: _Reader, chunk: Chunk, row: int) -> tuple[int, Float[np.ndarray, "sample phase"]]:
    """Log rates of a station over the interval of a chunk and `EDGE_S` around it, and the first sample they are of."""
    edge_ns = round(EDGE_S * SECOND_NS)
    zero = first_sample(chunk.start_ns, chunk.rate_hz)
    ends = (chunk.interval.start_ns - edge_ns, chunk.interval.end_ns + edge_ns)
    first, last = (first_sample(end, chunk.rate_hz) - zero for end in ends)
    first, last = max(first, 0), min(last, chunk.records.shape[-1])
    out = np.full((max(last - first, 0), 2), SILENT)
    there = chunk.usable[row].any(0)
    steady = without_drift(chunk.records[row], there, round(DRIFT_S * chunk.rate_hz))
    for at in _blocks(zero + first, zero + last, reader.block):
        span = slice(at - zero - reader.margin, at - zero + reader.block + reader.margin)
        records, recorded = (_part(x, span) for x in (steady, there))
        if not recorded.any():
            continue
        rates = mean_log_rate(np.asarray(reader.read(records.T, recorded)))[
            reader.margin : reader.margin + reader.block
        ]
        low, high = max(at - zero, first), min(at - zero + reader.block, last)
        out[low - first : high - first] = rates[low - (at - zero) : high - (at - zero)]
    return first, out


def _blocks(first: int, last: int, length: int) -> Iterator[int]:
    """Sample numbers from 1970 at which the blocks begin that cover a span."""
    return iter(range(first // length * length, last, length))


def _part(
    x: Float[np.ndarray, "*component sample"] | Bool[np.ndarray, " sample"], span: slice
) -> Float[np.ndarray, "*component some"] | Bool[np.ndarray, " some"]:
    """A part of records that may lie beyond their ends, where they are zero."""
    before, after = max(-span.start, 0), max(span.stop - x.shape[-1], 0)
    inside = x[..., max(span.start, 0) : max(min(span.stop, x.shape[-1]), 0)]
    return np.pad(inside, [*[(0, 0)] * (x.ndim - 1), (before, after)])
