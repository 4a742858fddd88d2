"""PAL's rules from the command `associate`."""

from pathlib import Path

import numpy as np
import pytest

from jaxloc.detection.pal_grid import EXAMPLE
from jaxloc.io.contents import as_time
from jaxloc.runs.associate import METHODS, Request, associate_file
from jaxloc.runs.pal_association import settings_of

STATIONS = {"XX.A": (35.0, -117.4), "XX.B": (35.0, -117.0), "XX.C": (35.4, -117.4), "XX.D": (35.4, -117.0)}
EPICENTRE = (35.25, -117.25)
ORIGIN_NS = 1_562_198_400 * 10**9


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    """An event 8 km deep with P and S at four stations, and one pick that belongs to none."""
    stations = "".join(f"{code},{lat},{lon},0,1\n" for code, (lat, lon) in STATIONS.items())
    (tmp_path / "stations.sta").write_text(stations)
    lines = []
    for code, (lat, lon) in STATIONS.items():
        east_km = 111 * (lon - EPICENTRE[1]) * np.cos(np.deg2rad(lat))
        far_km = np.sqrt(east_km**2 + (111 * (lat - EPICENTRE[0])) ** 2 + 64)
        p, s = (as_time(ORIGIN_NS + round(far_km / speed * 1e9)) for speed in (5.9, 3.4))
        lines.append(f"{code},{as_time(ORIGIN_NS)},{p},{s},1e-6,20,8")
    late = [as_time(ORIGIN_NS + second * 10**9) for second in (500, 510, 515)]
    lines.append(f"XX.A,{','.join(late)},1e-6,20,8")
    (tmp_path / "day.pick").write_text("\n".join(lines) + "\n")
    return Request(tmp_path / "day.pick", tmp_path / "stations.sta", method="palm")


def test_picks_of_a_file_become_an_event(request_of: Request, tmp_path: Path) -> None:
    said: list[str] = []
    found, events = associate_file(request_of, tmp_path, said.append)
    assert len(events) == 1
    assert (events[0].latitude_deg, events[0].longitude_deg) == pytest.approx(EPICENTRE, abs=0.03)
    assert events[0].num_stations == 4
    assert found.event.tolist() == [0] * 8 + [-1] * 2
    assert "fewer than 4" in (tmp_path / "picks.csv").read_text()
    assert any("straight rays" in line for line in said)


def test_depths_and_stations_of_a_request_are_used(request_of: Request, tmp_path: Path) -> None:
    assert settings_of(request_of) == EXAMPLE
    changed = request_of._replace(depth_km=(0.0, 9.0), least_stations=5)
    assert settings_of(changed).depths_km == (0.0, 3.0, 6.0, 9.0)
    assert not associate_file(changed, tmp_path, lambda line: None)[1]


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"velocity": "iasp91"}, "--velocity has no effect"),
        ({"region_deg": (34.0, 36.0, -118.0, -116.0)}, "--region has"),
        ({"least_log_odds": 2.0}, "--least-log-odds has"),
        ({"least_picks": 5}, "--least-picks has"),
    ],
)
def test_what_has_no_effect_is_refused(request_of: Request, change: dict[str, object], option: str) -> None:
    with pytest.raises(ValueError, match=option):
        settings_of(request_of._replace(**change))


def test_the_method_has_a_name() -> None:
    assert "palm" in METHODS
