"""Which station positions and which velocity model a trained run uses at other data."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from obspy import Trace, UTCDateTime

from jaxloc.data.dataset import Dataset, Station
from jaxloc.geometry import Frame, great_circle_km, to_degrees
from jaxloc.io.velocity_model import VelocityFile
from jaxloc.models.model import Transfer
from jaxloc.models.registry import build
from jaxloc.models.spec import Catalogue, ModelSpec
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import velocity_of
from jaxloc.physics.velocity_error import VelocityError, velocity_error_of
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.inputs import open_input
from jaxloc.runs.transfer import trained_for
from jaxloc.types import Method

CODES = ("AA", "BB", "CC")
TRAINED = tuple(Station(f"XX.{code}", 40.0 + i / 10, 15.0 + (i % 2) / 5, 100.0) for i, code in enumerate(CODES))
START = UTCDateTime("2000-01-01T01:00:00")
CONFIG = {"data": {"native_band_hz": None}}


def fitted(any_station: bool, network: str = "arrivals") -> Any:
    """As much of a trained run as reading needs."""
    spec = SimpleNamespace(
        stations=TRAINED,
        frame=Frame(40.1, 15.1),
        rate_hz=20.0,
        bandpass_hz=None,
        num_samples=800,
        settings={"name": network},
        velocity={},
    )
    transfer = Transfer(velocity=lambda params, num_layers: params) if any_station else None
    return SimpleNamespace(spec=spec, model=SimpleNamespace(any_station=any_station, transfer=transfer))


def moved(station: Station, north_km: float) -> Station:
    latitude, _ = to_degrees(Frame(*station[1:3]), np.array(0.0), np.array(north_km))
    return station._replace(latitude_deg=round(float(latitude), 6))


def files(folder: Path, north_km: float) -> tuple[Path, Path]:
    """A minute of records, and a list of the trained stations, all moved to the north."""
    (folder / "data").mkdir()
    for code in CODES:
        for letter in "ZNE":
            header = {"network": "XX", "station": code, "channel": f"HH{letter}", "sampling_rate": 20.0}
            wave = np.random.default_rng(0).normal(size=1200).astype(np.float32)
            one = Trace(wave, header | {"starttime": START})
            one.write(str(folder / "data" / f"{code}{letter}.mseed"), format="MSEED")
    rows = [",".join(map(str, moved(station, north_km)[:4])) for station in TRAINED]
    (folder / "stations.csv").write_text("\n".join(["station,latitude,longitude,elevation_m", *rows]))
    return folder / "data", folder / "stations.csv"


def test_a_split_of_waveform_files_is_refused(tmp_path: Path) -> None:
    data, stations = files(tmp_path, 0.0)
    with pytest.raises(ValueError, match="--split=dev must be used with a SeisBench folder"):
        open_input(fitted(any_station=True), CONFIG, [data], stations, None, "dev")


@pytest.mark.parametrize("north_km", [0.0, 0.1, 0.5, 5.0, 22.0, 900.0])
def test_the_given_positions_are_used(north_km: float, tmp_path: Path) -> None:
    data, stations = files(tmp_path, north_km)
    run = fitted(any_station=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = open_input(run, CONFIG, [data], stations, None, None)
    lines = [str(one.message) for one in caught if "differ from those of training" in str(one.message)]
    assert len(lines) == (north_km > 0.2)
    assert all(f" by {north_km:.1f} km" in text for text in lines if north_km < 100)
    away_km = [
        float(great_circle_km(*np.array(a[1:3]), *np.array(b[1:3])))
        for a, b in zip(dataset.stations, TRAINED, strict=True)
    ]
    np.testing.assert_allclose(away_km, north_km, rtol=0.01, atol=1e-3)
    known = north_km < 1
    assert dataset.take(np.array([0])).observations.station_index.tolist() == [[0, 1, 2] if known else [-1, -1, -1]]
    assert (dataset.frame == run.spec.frame) is known
    if known:
        assert trained_for(run, dataset, None) is run


@pytest.mark.parametrize(("north_km", "refused"), [(0.0, False), (0.5, False), (5.0, True), (22.0, True)])
def test_a_network_of_fixed_geometry_refuses_other_positions(north_km: float, refused: bool, tmp_path: Path) -> None:
    data, stations = files(tmp_path, north_km)
    run = fitted(any_station=False, network="kriegerowski2019")
    if refused:
        with pytest.raises(ValueError, match=rf"positions differ from those of training: XX.AA by {north_km:.1f} km"):
            open_input(run, CONFIG, [data], stations, None, None)
    else:
        assert trained_for(run, open_input(run, CONFIG, [data], stations, None, None), None) is run


def test_exchanged_coordinates_are_recognised_by_the_region_of_training(tmp_path: Path) -> None:
    data, stations = files(tmp_path, 0.0)
    rows = [f"{s.code},{s.longitude_deg},{s.latitude_deg},100" for s in TRAINED]
    stations.write_text("\n".join(["station,latitude,longitude,elevation_m", *rows]))
    with pytest.raises(ValueError, match=r"are \d+ km from the region of training, .* longitude exchanged\?"):
        open_input(fitted(any_station=True), CONFIG, [data], stations, None, None)


def small_spec() -> ModelSpec:
    """An arrivals network of the trained stations."""
    return ModelSpec(
        {"name": "arrivals"},
        Frame(40.1, 15.1),
        TRAINED,
        20.0,
        800,
        None,
        Catalogue(np.tile(np.array([0, 0, 8, 3], np.float32), (3, 1)), np.ones((3, 4), bool)),
        {"top_km": [0.0], "vp_km_s": [6.0], "vp_vs": 1.73},
        Region((-30.0, 30.0), (-30.0, 30.0), (0.0, 20.0), (0.0, 25.0)),
    )


def trained(spec: ModelSpec) -> Fitted:
    """A run that has a model and no weights."""
    method = Method(*[None] * len(Method._fields))  # type: ignore[arg-type]
    rest = {name: None for name in Fitted._fields} | {"spec": spec, "model": build(spec), "method": method}
    return Fitted(**rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(("depth_km", "widened"), [(None, False), (0.5, True), (2.0, True)])
def test_travel_times_reach_added_stations(depth_km: float | None, widened: bool) -> None:
    """A borehole beside stations of training: its depth is in the table, and the region stays that of training."""
    spec = small_spec()
    run = trained(spec)
    added = () if depth_km is None else (Station("XX.DEEP", 40.1, 15.1, -1000 * depth_km),)
    dataset = Dataset("toy", spec.frame, (*TRAINED, *added), (), 20.0, 800, lambda index: None)  # type: ignore[arg-type, return-value]
    at = trained_for(run, dataset, None)
    assert (at is not run) is widened
    assert at.spec.region == spec.region
    if widened:
        low_km, high_km = at.spec.settings["table"]["receiver_km"]
        assert low_km < -0.1 < (depth_km or 0.0) < high_km


def test_s_speeds_are_used_by_layer(tmp_path: Path) -> None:
    """Vp/Vs of 1.9, 1.7 and 1.78 is no single ratio; travel times of S through each layer are those of the file."""
    path = tmp_path / "model.csv"
    path.write_text("depth_m,vp_m_s,vs_m_s\n0,5000,2632\n2000,6000,3529\n8000,6800,3820\n")
    spec = small_spec()
    dataset = Dataset("toy", spec.frame, TRAINED, (), 20.0, 800, lambda index: None)  # type: ignore[arg-type, return-value]
    at = trained_for(trained(spec), dataset, VelocityFile(path, vp_vs_sd=0.02))
    used = velocity_of(at.spec.velocity)
    np.testing.assert_allclose(np.stack(used), [[0, 2, 8], [5, 6, 6.8], [2.632, 3.529, 3.82]], rtol=1e-6)
    assert velocity_error_of(at.spec.velocity) == VelocityError(0.05, 0.02)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,5000,2800", "vp must be within 0.05 to 14 km/s, got 5000"),
        ("0,6,1", "vp / vs must be within 1.4 to 2.6, got 6"),
    ],
)
def test_impossible_velocity_models_are_refused(rows: str, message: str, tmp_path: Path) -> None:
    data, stations = files(tmp_path, 0.0)
    run = fitted(any_station=True)
    dataset = open_input(run, CONFIG, [data], stations, None, None)
    model = tmp_path / "model.csv"
    model.write_text(f"depth_km,vp_km_s,vs_km_s\n{rows}\n")
    with pytest.raises(ValueError, match=message):
        trained_for(run, dataset, VelocityFile(model))
