"""Onsets of a SeisBench folder: labelled arrivals, picks and first motions of each row, checked."""

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.io.seisbench_metadata import Rows, column
from jaxloc.types import PHASES

ARRIVAL_COLUMNS: Mapping[str, str] = MappingProxyType({"P": "trace_p_arrival_sample", "S": "trace_s_arrival_sample"})
DEFAULT_PICK_SIGMA_S = 0.1
POLARITY_COLUMN = "trace_polarity"
UP, DOWN = ("u", "up", "positive", "+"), ("d", "down", "negative", "-")
LARGEST_DISAGREEMENT_S = 0.5
NAMED = 4
"""Examples that a warning names."""


class Onsets(NamedTuple):
    """Onsets of P and S of each row in s after the event's sample zero, NaN where there is none, 1 up and 0 down."""

    arrivals_s: Float[np.ndarray, "row 2"]
    picks_s: Float[np.ndarray, "row 2"]
    sigmas_s: Float[np.ndarray, "row 2"]
    polarity: Float[np.ndarray, " row"]


def read_onsets(
    rows: Rows,
    pick_columns: Mapping[str, str],
    native_hz: Float[np.ndarray, " row"],
    num_samples: Int[np.ndarray, " row"],
    labels: list[str],
) -> Onsets:
    """Arrivals, picks and polarities of all rows; impossible onsets are left out, and a warning names them.

    Args:
        pick_columns: for "P" and "S", the metadata column in samples that picks are read from.
        native_hz: sampling rate of each row.
        num_samples: of each row.
        labels: what a warning calls each row: its event and station.
    """
    arrivals = possible(_samples(rows, ARRIVAL_COLUMNS), num_samples, labels, "arrivals")
    same = dict(pick_columns) == dict(ARRIVAL_COLUMNS)
    picks = arrivals if same else possible(_samples(rows, pick_columns), num_samples, labels, "picks")
    seconds = lambda samples: samples / native_hz[:, None] + rows.delay_s[:, None]
    return Onsets(seconds(arrivals), seconds(picks), _pick_sigmas(rows), _polarities(rows))


def _samples(rows: Rows, columns: Mapping[str, str]) -> Float[np.ndarray, "row 2"]:
    nothing = np.full(len(rows.event), np.nan)
    return np.stack([column(rows.table, columns[phase]) if phase in columns else nothing for phase in PHASES], -1)


def possible(
    samples: Float[np.ndarray, "row 2"], num_samples: Int[np.ndarray, " row"], labels: list[str], what: str
) -> Float[np.ndarray, "row 2"]:
    """Onsets of P and S in samples without the impossible ones, which become NaN and are named in a warning.

    Impossible are onsets at or before the first sample (0 and -1 stand for none), or beyond the last; P and S, where S
    comes before P; and S at the sample of P.
    """
    outside = ~((samples > 0) & (samples < num_samples[:, None])) & np.isfinite(samples)
    p, s = np.where(outside, np.nan, samples).T
    reversed_, equal = s < p, s == p
    _name("outside its trace", np.asarray(outside.any(-1)), labels, what)
    _name("S before P", reversed_, labels, what)
    _name("S equal to P", equal, labels, what)
    wrong = outside | reversed_[:, None] | np.stack([np.zeros_like(equal), equal], -1)
    return np.where(wrong, np.nan, samples)


def _name(reason: str, wrong: Bool[np.ndarray, " row"], labels: list[str], what: str) -> None:
    if wrong.any():
        at = np.flatnonzero(wrong)
        some = ", ".join(labels[i] for i in at[:NAMED]) + (", ..." if len(at) > NAMED else "")
        warnings.warn(f"impossible {what} left out ({reason}) in {len(at)} rows: {some}", stacklevel=3)


def _pick_sigmas(rows: Rows) -> Float[np.ndarray, "row 2"]:
    sigma = np.stack([column(rows.table, f"trace_{phase.lower()}_uncertainty_s") for phase in PHASES], -1)
    if (sigma <= 0).any():
        warnings.warn(
            f"{int((sigma <= 0).sum())} pick uncertainties are not positive; {DEFAULT_PICK_SIGMA_S} s is used for them",
            stacklevel=4,
        )
    return np.where(np.isfinite(sigma) & (sigma > 0), sigma, DEFAULT_PICK_SIGMA_S)


def _polarities(rows: Rows) -> Float[np.ndarray, " row"]:
    """First motions, up or down as `UP` and `DOWN` write them, NaN for any other."""
    if POLARITY_COLUMN not in rows.table:
        return np.full(len(rows.event), np.nan)
    letter = rows.table[POLARITY_COLUMN].fillna("").astype(str).str.strip().str.lower()
    up, down = letter.isin(UP), letter.isin(DOWN)
    return np.where(up, 1.0, np.where(down, 0.0, np.nan))


def merged(
    onsets: Onsets, group: Int[np.ndarray, " row"], chosen: Int[np.ndarray, " group"], labels: list[str]
) -> Onsets:
    """Onsets of the chosen row of each group of rows (one event at one station), completed by the group's others.

    A warning names stations whose rows disagree by more than `LARGEST_DISAGREEMENT_S`; the chosen row's onset is kept.
    """
    kept = Onsets(*(values[chosen].copy() for values in onsets))
    of_row = chosen[group]
    others = np.flatnonzero(of_row != np.arange(len(group)))
    disagree = np.zeros(len(labels), bool)
    for row in others:
        at = group[row]
        for name in ("arrivals_s", "picks_s", "polarity"):
            own, other = getattr(kept, name)[at], getattr(onsets, name)[row]
            missing = np.isnan(own) & np.isfinite(other)
            disagree[row] |= name != "polarity" and bool((np.abs(own - other) > LARGEST_DISAGREEMENT_S).any())
            getattr(kept, name)[at] = np.where(missing, other, own)
            if name == "picks_s":
                kept.sigmas_s[at] = np.where(missing, onsets.sigmas_s[row], kept.sigmas_s[at])
    if disagree.any():
        some = ", ".join(labels[row] for row in np.flatnonzero(disagree)[:NAMED])
        warnings.warn(
            f"rows of one event and station have onsets more than {LARGEST_DISAGREEMENT_S} s apart "
            f"({int(disagree.sum())} rows: {some}); those of the trace that is used are kept",
            stacklevel=3,
        )
    return kept
