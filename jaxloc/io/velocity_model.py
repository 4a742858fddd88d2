"""Velocity models: text tables of layers with the depth of each top, P and S speeds, and files of other programs.

A file that is recognised as one of the formats with a velocity model (`jaxloc.io.formats`) is read as such, all others
as tables.

Names of columns, in any case, with a unit behind them or none (km and km/s then):

| quantity | names | units |
|---|---|---|
| depth of the top, below sea level | depth, top, z | km, m |
| thickness, instead of depths | thickness, h | km, m |
| P and S speed | vp, p, alpha; vs, s, beta | km/s, m/s |
| ratio, instead of S speeds | vp_vs, vpvs, ratio | |
| standard deviations | vp_sd, vs_sd; vp_sd_percent; vp_vs_sd | km/s, m/s; % |
| what lies between a row and the next | form: layers, gradient | |

Between rows the speeds are those of the upper one, or linear where `form` says gradient; thin layers replace gradients
(`jaxloc.physics.gradient`). A file without header has the columns depth, vp, vs. Text behind ` #` is a comment. The
names iasp91 and ak135 stand for these models where no such file exists (`jaxloc.physics.reference_models`). All is
checked against what rocks have: a value in another unit is refused, not converted by guess.
"""

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.atomic_write import write_whole
from jaxloc.io.contents import VELOCITY, Contents, Format
from jaxloc.io.tables import Table, read_table
from jaxloc.io.velocity_grids import is_velocity_grid
from jaxloc.physics.gradient import FORMS, thin_layers
from jaxloc.physics.layered import VelocityModel, check_layers, layered, velocity_settings
from jaxloc.physics.reference_models import MODELS, reference_model
from jaxloc.physics.velocity_error import VelocityError, error_settings, velocity_error

LENGTHS_KM = {"": 1.0, "km": 1.0, "m": 1e-3}
SPEED_UNITS_KM_S = {"": 1.0, "kms": 1.0, "kmps": 1.0, "kmpers": 1.0, "ms": 1e-3, "mps": 1e-3, "mpers": 1e-3}
NAMES = {
    "depth": (("depth", "top", "z", "depthtop", "topdepth", "layertop"), LENGTHS_KM),
    "thickness": (("thickness", "h", "layerthickness"), LENGTHS_KM),
    "vp": (("vp", "p", "alpha", "pspeed", "pvelocity", "velocityp"), SPEED_UNITS_KM_S),
    "vs": (("vs", "s", "beta", "sspeed", "svelocity", "velocitys"), SPEED_UNITS_KM_S),
    "vp_vs": (("vpvs", "ratio", "vpvsratio", "vpovervs"), {"": 1.0}),
}
SD_NAMES = {
    "vp_sd": (("vpsd", "sdvp", "sigmavp", "vpsigma"), SPEED_UNITS_KM_S),
    "vs_sd": (("vssd", "sdvs", "sigmavs", "vssigma"), SPEED_UNITS_KM_S),
    "vp_percent": (("vpsdpercent", "vpsdpct"), {"": 0.01}),
    "vs_percent": (("vssdpercent", "vssdpct"), {"": 0.01}),
    "vp_vs_sd": (("vpvssd", "sdvpvs", "sigmavpvs", "ratiosd"), {"": 1.0}),
}
GRADIENT_ROWS, GRADIENT_KM, GRADIENT_STEP = 8, 5.0, 0.1
"""Rows that look like a gradient: how many, how thick most are, and by what share the speed of most increases."""


TABLE = "velocity_table"
"""The format that is read here."""


class VelocityFile(NamedTuple):
    """A file with a velocity model, and what the user says of its uncertainty and form (None: what the file says)."""

    path: Path
    speed_sd: float | None = None
    vp_vs_sd: float | None = None
    form: str | None = None

    def model(self) -> VelocityModel:
        """The velocity model; raises as `read_velocity`."""
        return read_velocity(self.path, self.form)

    def error(self) -> VelocityError:
        """Its uncertainty: the user's, else the file's, else the default; raises as `read_velocity_error`."""
        return read_velocity_error(self.path, self.speed_sd, self.vp_vs_sd)

    def settings(self) -> dict[str, Any]:
        """Model and uncertainty as configurations have them."""
        return velocity_settings(self.model()) | error_settings(self.error())


def velocity_file(
    path: Path | None, speed_sd: float | None = None, vp_vs_sd: float | None = None, form: str | None = None
) -> VelocityFile | None:
    """A file and its options, None without a file.

    Raises:
        ValueError: where options come without a file, or there is no such form.
    """
    if path is None and (speed_sd, vp_vs_sd, form) != (None, None, None):
        raise ValueError(
            "--velocity-error, --vp-vs-error and --velocity-form must come with --velocity, the model that they are of"
        )
    if form is not None and form not in FORMS:
        raise ValueError(f"the form of a velocity model must be one of {', '.join(FORMS)}, got {form!r}")
    return None if path is None else VelocityFile(path, speed_sd, vp_vs_sd, form)


def read_velocity(path: str | Path, form: str | None = None) -> VelocityModel:
    """A velocity model from a table or another program's file; each layer keeps the S speed that the file gives it.

    Args:
        path: the file.
        form: what lies between the rows of a table, one of `FORMS`; None: what its column `form` says, layers without
            one. A table without that column that looks like a gradient has a warning then.

    Raises:
        ValueError: where the file is missing, empty or no table, a form is given for a file that is none, a column is
            missing, or a value is none or impossible (speeds in m/s, depths in m, tops that do not increase, Vp/Vs
            outside of 1.4-2.6); names line and value.
    """
    from jaxloc.io import formats  # the registry has modules that read velocity models

    if _is_reference(path):
        return reference_model(str(path))
    if is_velocity_grid(path):
        raise ValueError(f"{path} is a velocity model of three dimensions, which locators of picks alone take")
    if (other := _of_other_program(path)) is not None:
        contents, format_ = other
        if form is not None:
            raise ValueError(f"--velocity-form {form} is for tables; {path} is a {format_.text}, and says itself")
        if contents.notes:
            warnings.warn(f"{path}: {'; '.join(contents.notes)}", stacklevel=2)
        assert contents.velocity is not None, "it was recognised as a file that has one"
        return contents.velocity
    try:
        return _of_table(path, form)
    except ValueError as error:
        if not Path(path).is_file():
            raise
        raise ValueError(f"{error}{formats.other_kind(path, VELOCITY)}") from error


def _of_table(path: str | Path, form: str | None) -> VelocityModel:
    table = _read(path)
    vp, vs = _speeds(table)
    top = _tops_km(table)
    linear = _linear(table, form)
    check_layers(top, vp, vs, [row.place for row in table.rows], linear)
    if form is None and "form" not in table.columns and _looks_linear(top, vp):
        warnings.warn(
            f"{path} has {len(top)} rows whose speeds increase step by step, and is taken as layers of constant "
            "speed; if speeds are linear between rows, use --velocity-form gradient, otherwise --velocity-form layers",
            stacklevel=3,
        )
    return layered(*(values.tolist() for values in thin_layers(top, vp, vs, linear)))


def _is_reference(path: str | Path) -> bool:
    return str(path) in MODELS and not Path(path).exists()


def _of_other_program(path: str | Path) -> tuple[Contents, Format] | None:
    """The contents of a file that is no table of this module, and its format."""
    from jaxloc.io import formats  # as above

    return formats.recognised_with(path, VELOCITY, (TABLE,)) if Path(path).is_file() else None


def _linear(table: Table, form: str | None) -> list[bool]:
    """Whether speeds are linear between each row and the next one."""
    if form is not None or table.find("form") is None:
        return [form == "gradient"] * len(table.rows)
    for row in table.rows:
        if row.text("form") not in ("", *FORMS):
            raise ValueError(f"{row.place}, column form: {row.text('form')!r} must be one of {', '.join(FORMS)}")
    return [row.text("form") == "gradient" for row in table.rows]


def _looks_linear(top_km: Float[np.ndarray, " row"], vp_km_s: Float[np.ndarray, " row"]) -> bool:
    if len(top_km) < GRADIENT_ROWS:
        return False
    step = np.diff(vp_km_s) / vp_km_s[:-1]
    smooth = (step > 0) & (step < GRADIENT_STEP) & (np.diff(top_km) <= GRADIENT_KM)
    return bool((step >= 0).all() and smooth.mean() >= 0.75)


def _read(path: str | Path) -> Table:
    table = read_table(path, "velocity model", unnamed=("depth", "vp", "vs"), trailing_comments=True)
    if "vp_grad" in table.columns:
        raise ValueError(
            f"{path} has a column vp_grad; as PyOcto's models it must have depth, vp, vs and vs_grad as well"
        )
    if not table.rows or _column(table, "vp") is None or not (_column(table, "depth") or _column(table, "thickness")):
        raise ValueError(_needs(table))
    return table


def _speeds(table: Table) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, " row"]]:
    vp = _values(table, _column(table, "vp"))
    if (column := _column(table, "vs")) is not None:
        return vp, _values(table, column)
    if (column := _column(table, "vp_vs")) is not None:
        return vp, vp / _values(table, column)
    raise ValueError(_needs(table))


def read_velocity_error(
    path: str | Path, speed_sd: float | None = None, vp_vs_sd: float | None = None
) -> VelocityError:
    """The uncertainty of a velocity model in a table: of all speeds together, as a share of them, and of Vp/Vs.

    The speeds' is the root mean square over the layers of `vp_sd` over `vp`, or of `vp_sd_percent`; that of Vp/Vs is
    the mean of `vp_vs_sd`, or follows from `vp_sd` and `vs_sd` as if these were independent. Where neither the
    arguments nor the file give one, `VelocityError` has the default.

    Raises:
        ValueError: as `read_velocity`, and for a standard deviation that is negative or above half the speed.
    """
    if _is_reference(path) or _of_other_program(path) is not None:
        return velocity_error(speed_sd, vp_vs_sd)
    table = _read(path)
    found = {what: _column(table, what, SD_NAMES) for what in SD_NAMES}
    vp, vs = _speeds(table)
    share = {
        "vp": _share(table, found["vp_sd"], found["vp_percent"], vp),
        "vs": _share(table, found["vs_sd"], found["vs_percent"], vs),
    }
    if speed_sd is None and share["vp"] is not None:
        speed_sd = float(np.sqrt(np.mean(share["vp"] ** 2)))
    if vp_vs_sd is None and found["vp_vs_sd"] is not None:
        vp_vs_sd = float(_values(table, found["vp_vs_sd"]).mean())
    elif vp_vs_sd is None and share["vp"] is not None and share["vs"] is not None:
        vp_vs_sd = float(np.mean(vp / vs * np.hypot(share["vp"], share["vs"])))
    try:
        return velocity_error(speed_sd, vp_vs_sd)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _share(
    table: Table, sd: tuple[str, float] | None, percent: tuple[str, float] | None, speed_km_s: Float[np.ndarray, " row"]
) -> Float[np.ndarray, " row"] | None:
    if sd is not None:
        return _values(table, sd) / speed_km_s
    return None if percent is None else _values(table, percent)


def _needs(table: Table) -> str:
    return (
        f"{table.path} needs rows with depth_km, vp_km_s and vs_km_s (or vp_vs); it has {len(table.rows)} rows with "
        f"{', '.join(table.header)}"
    )


def _column(table: Table, what: str, known: dict = NAMES) -> tuple[str, float] | None:
    """The column of a quantity and the factor from its unit to km or km/s."""
    names, units = known[what]
    compact = {name.replace("_", ""): name for name in table.columns}
    found = [
        (compact[f"{n}{unit}"], factor) for n in names for unit, factor in units.items() if f"{n}{unit}" in compact
    ]
    if len(found) > 1:
        raise ValueError(f"{table.path} has {' and '.join(name for name, _ in found)} for {what}; use one column")
    if found:
        table.find(found[0][0])
    return found[0] if found else None


def _values(table: Table, column: tuple[str, float] | None) -> Float[np.ndarray, " layer"]:
    name, factor = column or ("", 1.0)
    values = [row.number(name) * factor for row in table.rows]
    for row, value in zip(table.rows, values, strict=True):
        if math.isnan(value):
            raise ValueError(f"{row.place} has no {name}; a layer must have every value")
    return np.array(values)


def _tops_km(table: Table) -> Float[np.ndarray, " layer"]:
    if (column := _column(table, "depth")) is not None:
        return _values(table, column)
    thickness_km = _values(table, _column(table, "thickness"))
    if (thickness_km[:-1] <= 0).any():
        raise ValueError(f"{table.path}: thicknesses must be positive, got {thickness_km.tolist()} km")
    return np.concatenate([[0.0], np.cumsum(thickness_km[:-1])])


def write_velocity(path: Path, model: VelocityModel) -> None:
    """Write layers as a table that `velocity_file` reads: depth_km, vp_km_s, vs_km_s."""
    columns = (np.asarray(x, float).tolist() for x in (model.top_km, model.vp_km_s, model.vs_km_s))
    lines = ["depth_km,vp_km_s,vs_km_s", *(",".join(map(str, layer)) for layer in zip(*columns, strict=True))]
    write_whole(path, ("\n".join(lines) + "\n").encode())
