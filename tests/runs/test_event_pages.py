"""Pages of events: residuals of known picks, the picture inside, and the link of the report."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from continuous_records import START, trace, write_files

from jaxloc.io.archive import open_archive
from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.runs.catalogue_report import Link, rows_table
from jaxloc.runs.catalogue_summary import row_of
from jaxloc.runs.event_pages import page_name, write_pages

VELOCITY = {"top_km": [0.0], "vp_km_s": [6.0], "vs_km_s": [3.0]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    codes = [f"XX.{station}..HH{c}" for station in ("AA", "BB") for c in "ZNE"]
    traces = [trace(code, rng.standard_normal(6000).astype(np.float32), 50.0) for code in codes]
    write_files(tmp_path / "records", traces)
    return tmp_path


def test_a_page_has_residuals_records_and_all_origins(folder: Path):
    """An event below the first station, 12 km deep: P after 2.0 s and S after 4 s there."""
    archive = open_archive(folder / "records", folder / "stations.csv")
    picks = (Pick("XX.AA", "P", 32.1, 0.05, 0.9), Pick("XX.AA", "S", 33.8, 0.1))
    covariance = np.diag([0.04, 0.09, 1.0, 0.01])
    place: Any = dict(latitude_deg=64.0, longitude_deg=-21.0, depth_km=11.9, covariance=covariance)
    before = Hypocentre("a/1", str(START), origin_s=30.5, origin_about="located before", **place)
    event = Hypocentre(
        "a/1", str(START), origin_s=30.0, picks=picks, origin_about="moved", earlier=(before,), family="b", **place
    )
    (name,) = write_pages(folder, archive, VELOCITY, [event])
    assert name == page_name(event) == "events/a_1.html"
    text = (folder / name).read_text()
    assert "<td>+0.100</td><td>+2.0</td>" in text
    assert "<td>-0.200</td><td>-2.0</td>" in text
    assert text.count("data:image/png;base64,") == 1
    assert "located before" in text
    assert "family of" in text
    assert len(text) < 200_000
    assert rows_table([row_of(event, True)]).count('href="events/a_1.html"') == 1
    assert not any(isinstance(value, Link) for value in row_of(event).values())


def test_an_event_without_picks_has_a_page(folder: Path):
    archive = open_archive(folder / "records", folder / "stations.csv")
    event = Hypocentre("e", str(START), 64.0, -21.0, 5.0, 40.0, np.diag(np.full(4, np.nan)))
    write_pages(folder, archive, VELOCITY, [event])
    assert "It has no picks." in (folder / "events" / "e.html").read_text()
