"""Pictures of a judged catalogue: recall by magnitude, magnitudes with completeness, reliability of odds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxloc.plots.style import BLUE, INK, MUTED, VERMILION, dress, figure, legend, save

BIN = 0.1


def recall_by_magnitude(path: str | Path, rows: Sequence[Mapping[str, float]], title: str = "Recall") -> Path:
    """Recall in bins of magnitude with 95 % intervals and numbers of events."""
    new = figure(6.0, 4.0, title)
    axes = dress(new.subplots(), "magnitude", "recall")
    middle = np.array([(row["from"] + row["to"]) / 2 for row in rows])
    value, low, high = (np.array([row[name] for row in rows]) for name in ("value", "low", "high"))
    axes.errorbar(middle, value, bars(value, low, high), fmt="o-", color=BLUE, capsize=2, linewidth=1.2)
    for at, row in zip(middle, rows, strict=True):
        axes.annotate(f"{row['events']:g}", (at, 1.03), ha="center", fontsize=7, color=MUTED)
    axes.set_ylim(0, 1.08)
    save(path, new)
    return Path(path)


def bars(
    value: Float[np.ndarray, " bin"], low: Float[np.ndarray, " bin"], high: Float[np.ndarray, " bin"]
) -> Float[np.ndarray, "side bin"]:
    """Lengths of error bars; an interval that ends at the value, of a share of 1, may miss it by rounding."""
    return np.maximum([value - low, high - value], 0.0)


def magnitudes(
    path: str | Path,
    catalogues: Mapping[str, Float[np.ndarray, " event"]],
    completeness: Mapping[str, Mapping[str, Mapping[str, float]]],
    title: str = "Magnitudes",
) -> Path:
    """Numbers of events from each magnitude on, and in bins; dashed: completeness by maximum curvature + 0.2."""
    new = figure(6.4, 4.2, title)
    axes = dress(new.subplots(), "magnitude", "events")
    for (name, magnitude), colour in zip(catalogues.items(), (BLUE, VERMILION), strict=False):
        known = np.sort(magnitude[np.isfinite(magnitude)])
        if not len(known):
            continue
        edges = np.arange(np.floor(known[0] / BIN) - 0.5, np.ceil(known[-1] / BIN) + 1.5) * BIN
        counts = np.histogram(known, edges)[0]
        middle = (edges[1:] + edges[:-1]) / 2
        axes.plot(middle[counts > 0], counts[counts > 0], ".", color=colour, markersize=4)
        b = completeness[name]["b-value"]
        label = f"{name}: b = {b['value']:.2f} ± {(b['high'] - b['low']) / 3.92:.2f}"
        axes.step(known, len(known) - np.arange(len(known)), color=colour, linewidth=1.3, label=label)
        axes.axvline(
            completeness[name]["maximum curvature + 0.2"]["value"], color=colour, linestyle="--", linewidth=0.8
        )
    axes.set_yscale("log")
    legend(axes)
    save(path, new)
    return Path(path)


def reliability(path: str | Path, odds: Mapping[str, Any], title: str = "Odds that events are real") -> Path:
    """Share of real events against their predicted probability."""
    new = figure(4.6, 4.4, title)
    axes = dress(new.subplots(), "predicted probability", "share of real events")
    rows = odds["bins"]
    predicted, value, low, high = (
        np.array([row[name] for row in rows]) for name in ("predicted", "value", "low", "high")
    )
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8)
    axes.errorbar(predicted, value, bars(value, low, high), fmt="o", color=INK, capsize=2)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    save(path, new)
    return Path(path)
