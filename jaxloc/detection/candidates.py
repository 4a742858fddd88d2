"""Where and when events may have been: boxes of space and time, halved along every axis level by level.

The score of a box bounds the logarithm of the odds of an event in it from above: each station and phase takes its best
pick within the arrival times that the box allows (a trace of f / clutter, maximum-filtered to that width), with the
probability of detection that suits it best. Boxes whose bound is too low are dropped with all that is in them. Of the
last level local maxima remain. All boxes of a level are scored in batches of one shape.

The idea of subdividing space and time is PyOcto's (Münchmeyer 2024, Seismica 3(1)), which counts picks.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise, product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.ndimage import maximum_filter1d

from jaxloc.data.pick_list import PickList
from jaxloc.detection.arrival_model import POWER, ArrivalModel, log_density
from jaxloc.detection.travel_cells import Cells, Travel, cells_of, middle_km
from jaxloc.physics.adaptive_grid import Region

BATCHES = (1024, 8192)  # boxes of one call
STEPS_A_BIN = 4  # of a trace, in one bin of time of the last level
STAMP_S = 6.0  # how far from a pick its density is tabulated
WIDENING = 1.35  # from one width of the maximum filter to the next
MOST_BOXES = 4_000_000  # of a level in a chunk
OUTSTANDING = 0.5
SHARPENED = 0.4  # of the width of the last level is searched for picks: its maxima are then where the events are
Say = Callable[[str], None]


class BoxSearch(NamedTuple):
    """The levels of the subdivision and what stops it.

    `levels` are from coarse to fine, `bin_s` is the width in time of the last one, twice that of the one before.
    """

    levels: tuple[Cells, ...]
    region: Region
    bin_s: float
    least_picks: int
    least_stations: int
    least_log_odds: float
    typical_s: float

    def bin_of(self, level: int) -> float:
        """Width of the bins of time of a level, in s."""
        return self.bin_s * 2 ** (len(self.levels) - 1 - level)

    @property
    def reach_s(self) -> float:
        """The longest travel time from the region, with the width of the widest bin."""
        last = self.levels[-1]
        return float((last.middle_s + last.half_s).max()) + self.bin_of(0)


class Traces(NamedTuple):
    """f / clutter of each station and phase over time, maximum-filtered to several half widths."""

    value: Float[Array, "width ray step"]
    first_step: int
    widths: Int[np.ndarray, " width"]


def box_search(
    travel: Travel,
    region: Region,
    cell_km: tuple[float, float],
    bin_s: float,
    least: tuple[int, int, float],
    num_levels: int,
) -> BoxSearch:
    """Prepare the levels of a region.

    Args:
        travel: times to the stations.
        region: where events may be.
        cell_km: horizontal and vertical size of the cells of the last level, at most.
        bin_s: width of its bins of time.
        least: numbers of picks and of stations, and log odds, below which a box is dropped.
        num_levels: of the subdivision.
    """
    extents = [high - low for low, high in region[:3]]
    sizes = (cell_km[0], cell_km[0], cell_km[1])
    coarsest = 2 ** (num_levels - 1)
    shape = [max(int(np.ceil(extent / (size * coarsest))), 1) for extent, size in zip(extents, sizes, strict=True)]
    levels = []
    for _ in range(num_levels):
        levels.append(cells_of(travel, region, (shape[0], shape[1], shape[2])))
        shape = [n * (2 if extent / n > size else 1) for n, extent, size in zip(shape, extents, sizes, strict=True)]
    nearest = np.sort(levels[-1].middle_s[..., 0], axis=1)[:, : max(len(travel.station_km) // 2, 1)]
    return BoxSearch(tuple(levels), region, bin_s, *least, float(np.median(nearest)))


def candidates(
    search: BoxSearch,
    model: ArrivalModel,
    picks: PickList,
    chunk_s: float,
    say: Say,
) -> Float[np.ndarray, "candidate 4"]:
    """Hypocentres about which events may have been, in the order of their times.

    Time is searched in chunks of about `chunk_s`, each with all picks that its boxes can have; boxes lie on one grid of
    times, so chunks do not change the result unless a limit is reached, which `say` then has a line of.
    """
    if not len(picks.time_s):
        return np.zeros((0, 4))
    coarse_s = search.bin_of(0)
    per_chunk = max(int(chunk_s // coarse_s), 1)
    first = int(np.floor((picks.time_s[0] - search.reach_s) / coarse_s))
    last = int(np.ceil((picks.time_s[-1] + coarse_s) / coarse_s))
    score = _Scorer(search, model, picks, (per_chunk + 2) * coarse_s)
    found = [score.chunk(start, per_chunk, say) for start in range(first, last, per_chunk)]
    return np.concatenate(found)


class _Scorer:
    """Scores boxes of chunks; keeps what all chunks share on the device."""

    def __init__(self, search: BoxSearch, model: ArrivalModel, picks: PickList, span_s: float) -> None:
        self.search, self.model, self.picks = search, model, picks
        self.step_s = search.bin_s / STEPS_A_BIN
        self.num_steps = int(np.ceil((span_s + search.reach_s + 2 * STAMP_S) / self.step_s))
        needed = [(level.half_s + search.bin_of(k) / 2) / self.step_s + 0.5 for k, level in enumerate(search.levels)]
        needed[-1] = SHARPENED * needed[-1]
        most = max(float(each.max()) for each in needed)
        widths = [1]
        while widths[-1] < most:
            widths.append(max(int(np.ceil(widths[-1] * WIDENING)), widths[-1] + 1))
        self.widths = np.array(widths)
        self.tables = [self._table(level, each) for level, each in zip(search.levels, needed, strict=True)]
        shapes = [np.array(level.shape) for level in search.levels]
        self.factors = [fine // coarse for coarse, fine in pairwise(shapes)]
        self.log_rate = [np.log(_largest_in(model.relative_rate, shape)).reshape(-1) for shape in shapes]
        self.typical = np.log(model.rate * np.prod(search.levels[-1].size_km) * search.bin_s)

    def _table(self, level: Cells, needed: np.ndarray) -> tuple[Array, ...]:
        cells = len(needed)
        width = np.searchsorted(self.widths, needed.reshape(cells, -1)).astype(np.int32)
        delay_s = self.model.delay_s.reshape(-1)
        middle = ((level.middle_s.reshape(cells, -1) + delay_s) / self.step_s).astype(np.float32)
        return tuple(jnp.asarray(each) for each in (middle, width, level.near_km, level.far_km))

    def chunk(self, start: int, number: int, say: Say) -> Float[np.ndarray, "candidate 4"]:
        """Candidates whose origin times lie in so many coarse bins from one on."""
        coarse_s = self.search.bin_of(0)
        begin_s = (start - 1) * coarse_s  # a bin more on either side for comparison with neighbours
        end_s = (start + number + 1) * coarse_s
        low, high = np.searchsorted(self.picks.time_s, (begin_s - STAMP_S, end_s + self.search.reach_s + STAMP_S))
        if high - low < self.search.least_picks:
            return np.zeros((0, 4))
        traces = self._traces(low, high, begin_s)
        cells = np.arange(np.prod(self.search.levels[0].shape))
        bins = np.arange(start - 1, start + number + 1)
        cell, at = (each.reshape(-1) for each in np.meshgrid(cells, bins, indexing="ij"))
        bound = np.zeros(len(cell))
        for level in range(len(self.search.levels)):
            if level:
                kept = [self._scored(level, *part, traces) for part in self._children(level, cell, at)]
                cell, at, bound = (np.concatenate(each) for each in zip(*kept, strict=True))
            else:
                cell, at, bound = self._scored(level, cell, at, traces)
            if len(cell) > MOST_BOXES:
                best = np.argpartition(-bound, MOST_BOXES)[:MOST_BOXES]
                say(
                    f"{len(cell)} boxes from {begin_s:.0f} s on: the {MOST_BOXES} of the highest odds are searched "
                    f"(those left out have log odds up to {-float(np.partition(-bound, MOST_BOXES)[MOST_BOXES]):.1f})"
                )
                cell, at, bound = cell[best], at[best], bound[best]
            if not len(cell):
                return np.zeros((0, 4))
            if level == len(self.search.levels) - 2:
                outstanding = self._outstanding(level, cell, at, bound, start, number)
                cell, at = cell[outstanding], at[outstanding]
        return self._maxima(cell, at, bound, start, number)

    def _outstanding(
        self, level: int, cell: np.ndarray, at: np.ndarray, bound: np.ndarray, start: int, number: int
    ) -> Bool[np.ndarray, " box"]:
        """Boxes that exceed the limit by at least half of what each of their neighbours does.

        Most boxes that pass are those around an event. A weaker event in a box next to it is found from the picks left
        over by the first.
        """
        excess = bound - self.search.least_log_odds
        scores, place = self._grid(level, cell, at, excess, start, number)
        kept = np.ones(len(cell), bool)
        for shift in product((-1, 0, 1), repeat=4):
            left = np.flatnonzero(kept)
            other = scores[tuple(axis[left] + by for axis, by in zip(place, shift, strict=True))]
            kept[left] = excess[left] >= OUTSTANDING * other
        return kept

    def _grid(
        self, level: int, cell: np.ndarray, at: np.ndarray, score: np.ndarray, start: int, number: int
    ) -> tuple[Float[np.ndarray, "x y z t"], tuple[np.ndarray, ...]]:
        """Scores of boxes on the whole grid of a level in a chunk, with a margin of one, and their places there."""
        shape = self.search.levels[level].shape
        halvings = 2**level
        scores = np.full((*(n + 2 for n in shape), (number + 2) * halvings + 2), -np.inf, np.float32)
        place = (*(axis + 1 for axis in np.unravel_index(cell, shape)), at - (start - 1) * halvings + 1)
        scores[place] = score
        return scores, place

    def _traces(self, low: int, high: int, begin_s: float) -> Traces:
        """The traces of picks in a range, from a time on."""
        step_s, picks, model = self.step_s, self.picks, self.model
        first_step = int(np.floor((begin_s - STAMP_S) / step_s))
        chosen = slice(low, high)
        scale_s = np.hypot(picks.sigma_s[chosen], model.model_share * self.search.typical_s)
        ray = picks.station[chosen] * 2 + picks.phase[chosen]
        reach = int(np.ceil(STAMP_S / step_s))
        offset = np.arange(-reach, reach + 1)
        nearest = np.round(picks.time_s[chosen] / step_s).astype(int)
        step = nearest[:, None] + offset
        away_s = np.maximum(np.abs(step * step_s - picks.time_s[chosen][:, None]) - step_s / 2, 0.0)
        ratio = np.exp(log_density(away_s, scale_s[:, None])) / model.clutter_hz[chosen][:, None]
        value = np.zeros((model.delay_s.size, self.num_steps), np.float32)
        column = step - first_step
        inside = (column >= 0) & (column < self.num_steps)
        np.maximum.at(value, (np.broadcast_to(ray[:, None], step.shape)[inside], column[inside]), ratio[inside])
        filtered = np.stack([maximum_filter1d(value, 2 * width + 1, axis=1, mode="constant") for width in self.widths])
        return Traces(jnp.asarray(filtered), first_step, self.widths)

    def _children(self, level: int, cell: np.ndarray, at: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The boxes of a level within those of the one before, in parts of bounded size."""
        factor, shape = self.factors[level - 1], self.search.levels[level].shape
        inner = np.array(list(product(*(range(n) for n in factor), range(2))))
        block = max(32 * BATCHES[-1] // len(inner), 1)
        for start in range(0, len(cell), block):
            parent = np.stack(np.unravel_index(cell[start : start + block], self.search.levels[level - 1].shape), -1)
            child = parent[:, None, :] * factor + inner[:, :3]
            times = at[start : start + block, None] * 2 + inner[:, 3]
            yield np.ravel_multi_index(tuple(np.moveaxis(child, -1, 0)), shape).reshape(-1), times.reshape(-1)

    def _scored(
        self, level: int, cell: Int[np.ndarray, " box"], at: Int[np.ndarray, " box"], traces: Traces
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes with enough picks whose bound is high enough, and the bound."""
        bin_s = self.search.bin_of(level)
        step = (((at + 0.5) * bin_s) / self.step_s - traces.first_step).astype(np.float32)
        kept = ([], [], [])
        limits = (self.search.least_picks, self.search.least_stations)
        model = tuple(
            jnp.asarray(each, jnp.float32) for each in (self.model.best, self.model.size_km, self.model.log_weight)
        )
        start = 0
        while start < len(cell):
            size = BATCHES[-1] if len(cell) - start > BATCHES[0] else BATCHES[0]
            part = slice(start, start + size)
            rest = (0, size - len(cell[part]))
            bound = _bounds(
                traces.value,
                self.tables[level],
                model,
                np.pad(cell[part], rest).astype(np.int32),
                np.pad(step[part], rest),
                limits,
            )
            bound = np.asarray(bound)[: len(cell[part])] + self.typical + self.log_rate[level][cell[part]]
            good = bound > self.search.least_log_odds
            for into, value in zip(kept, (cell[part][good], at[part][good], bound[good]), strict=True):
                into.append(value)
            start += size
        cells, bins, bounds = (np.concatenate(each) if each else np.zeros(0, int) for each in kept)
        return cells, bins, bounds

    def _maxima(
        self, cell: np.ndarray, at: np.ndarray, bound: np.ndarray, start: int, number: int
    ) -> Float[np.ndarray, "candidate 4"]:
        """Boxes of the last level that score above all neighbours, ties to the first."""
        halvings = 2 ** (len(self.search.levels) - 1)
        bound = bound.astype(np.float32)
        scores, place = self._grid(len(self.search.levels) - 1, cell, at, bound, start, number)
        largest = np.ones(len(cell), bool)
        for shift in product((-1, 0, 1), repeat=4):
            if not any(shift):
                continue
            ahead = shift > (0, 0, 0, 0)
            left = np.flatnonzero(largest)
            other = scores[tuple(axis[left] + by for axis, by in zip(place, shift, strict=True))]
            largest[left] = other <= bound[left] if ahead else other < bound[left]
        own = largest & (at >= start * halvings) & (at < (start + number) * halvings)
        order = np.flatnonzero(own)[np.argsort(at[own], kind="stable")]
        point_km = middle_km(self.search.levels[-1], self.search.region, cell[order])
        return np.column_stack([point_km, (at[order] + 0.5) * self.search.bin_s])


def _largest_in(rate: Float[np.ndarray, "x y z"], shape: Int[np.ndarray, "3"]) -> Float[np.ndarray, "x y z"]:
    """The largest rate within each of fewer cells, or the same one in each of more."""
    for axis, number in enumerate(shape):
        if rate.shape[axis] == 1:
            rate = np.repeat(rate, number, axis)
        else:
            rate = np.maximum.reduceat(rate, np.arange(number) * (rate.shape[axis] // number), axis)
    return rate


@partial(jax.jit, static_argnames="limits")
def _bounds(
    traces: Float[Array, "width ray step"],
    table: tuple[Array, ...],
    model: tuple[Array, Array, Array],
    cell: Int[Array, " box"],
    step: Float[Array, " box"],
    limits: tuple[int, int],
) -> Float[Array, " box"]:
    """The bound of each box, -inf where picks or stations are too few."""
    middle, width, near_km, far_km = table
    best, size_km, log_weight = model
    _, rays, steps = traces.shape
    at = jnp.clip((step[:, None] + middle[cell] + 0.5).astype(jnp.int32), 0, steps - 1)
    ratio = traces.reshape(-1)[(width[cell] * rays + jnp.arange(rays)) * steps + at].reshape(len(cell), -1, 2) - 1
    there = ratio > 0
    near = near_km[cell][..., None] ** POWER
    far = far_km[cell][..., None] ** POWER

    def of_size(size_km: Float[Array, ""], log_weight: Float[Array, ""]) -> Float[Array, " box"]:
        most, least = best / (1 + near / size_km**POWER), best / (1 + far / size_km**POWER)
        return log_weight + jnp.log1p(jnp.where(there, most, least) * ratio).sum((1, 2))

    bound = jax.vmap(of_size)(size_km, log_weight).max(0)
    enough = (there.sum((1, 2)) >= limits[0]) & (there.any(-1).sum(-1) >= limits[1])
    return jnp.where(enough, bound, -jnp.inf)
