"""Three-component records of several sets side by side, with P and S."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.plots.style import BLUE, INK, MUTED, VERMILION, dress, figure, save


class Sample(NamedTuple):
    """A record; arrivals in s from its first sample, NaN where unknown."""

    waveforms: Float[np.ndarray, "component sample"]
    rate_hz: float
    p_s: float
    s_s: float


def record_samples(path: str | Path, sets: Mapping[str, Sequence[Sample]], title: str = "") -> None:
    """A column for each set, a panel for each of its records; each component is scaled by its largest sample.

    Raises:
        ValueError: where there is no record at all.
    """
    rows = max((len(samples) for samples in sets.values()), default=0)
    if rows == 0:
        raise ValueError("there is no record to draw; give at least one set with one record")
    new = figure(3.0 * len(sets), 1.1 * rows + 0.6, title)
    panels = new.subplots(rows, len(sets), squeeze=False)
    for column, (name, samples) in enumerate(sets.items()):
        for row in range(rows):
            axes = dress(panels[row, column], title=name if row == 0 else "", grid=False)
            axes.set_yticks([])
            axes.tick_params(labelsize=6, colors=MUTED)
            if row >= len(samples):
                axes.set_visible(False)
                continue
            waveforms, rate_hz, p_s, s_s = samples[row]
            second = np.arange(waveforms.shape[-1]) / rate_hz
            peak = np.abs(waveforms).max(-1, keepdims=True)
            for offset, trace in enumerate(waveforms / np.where(peak > 0, peak, 1)):
                axes.plot(second, 0.5 * trace - offset, color=INK, linewidth=0.35)
            for at_s, colour in ((p_s, BLUE), (s_s, VERMILION)):
                if np.isfinite(at_s):
                    axes.axvline(at_s, color=colour, linewidth=0.9, alpha=0.8)
            axes.set(xlim=(second[0], second[-1]), ylim=(-2.6, 0.6))
    save(path, new)
