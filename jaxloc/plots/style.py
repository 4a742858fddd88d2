"""Pictures of how well locators do: errors, calibration, training. Maps and records are in `jaxloc.plots.maps`.

Every function takes plain arrays, scores or score cards and writes one PNG, whole or not at all. Figures
are built on their own canvas, so nothing depends on a display or on the state of other figures. Colours are
those of Okabe and Ito (2008), which colour-blind readers tell apart.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxloc.atomic_write import write_whole

INK, MUTED, FAINT, PAPER = "#1f2933", "#6b7785", "#e4e8ec", "#ffffff"
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#e69f00",
    "#56b4e9",
    "#cc79a7",
)
TITLE_LETTER_IN = 0.105  # width of a letter of titles, in inches
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK, MUTED)

Scores = Mapping[str, Float[np.ndarray, " event"]]


def figure(width_in: float, height_in: float, title: str = "") -> Figure:
    """An empty figure on a canvas of its own, no narrower than its title."""
    width_in = max(width_in, TITLE_LETTER_IN * len(title))
    engine = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.03)
    new = Figure(figsize=(width_in, height_in), dpi=160, layout=engine, facecolor=PAPER)
    FigureCanvasAgg(new)
    if title:
        new.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", color=INK)
    return new


def dress(axes: Axes, xlabel: str = "", ylabel: str = "", title: str = "", grid: bool = True) -> Axes:
    """The common look of all axes: thin frame, faint grid, quiet labels."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
        spine.set_linewidth(0.7)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=8, width=0.7, length=3)
    axes.set_xlabel(xlabel, fontsize=9, color=INK)
    axes.set_ylabel(ylabel, fontsize=9, color=INK)
    if title:
        axes.set_title(title, loc="left", fontsize=9.5, color=INK)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(color=FAINT, linewidth=0.7)
    return axes


def frame(axes: Axes) -> Axes:
    """A full frame, for maps."""
    for spine in axes.spines.values():
        spine.set_visible(True)
    return axes


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers on a logarithmic axis: 1, 2, 5 within two decades, else whole decades."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", length=0)


def legend(axes: Axes, **settings: object) -> None:
    """A legend with a white ground and no frame."""
    box = axes.legend(**{"fontsize": 7.5, "labelcolor": INK, "loc": "best", **settings})
    box.get_frame().set(edgecolor="none", facecolor=PAPER, alpha=0.85)


def save(path: str | Path, new: Figure) -> None:
    """Write a PNG, whole or not at all; its folder is made where it is missing."""
    path, picture = Path(path), io.BytesIO()
    new.savefig(picture, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, picture.getvalue())


CENTRED = {"fontsize": 7.5, "ha": "center", "va": "center"}
