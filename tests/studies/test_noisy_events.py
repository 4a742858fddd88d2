"""Scores of events in noise: what is refused counts for detection alone."""

from pathlib import Path

import numpy as np
import pytest
from normal_posteriors import EVENTS, stated

from jaxloc.plots.noisy_events import against_ratio
from jaxloc.studies.noisy_events import Found, read_rows, row_of
from jaxloc.studies.table import write_csv


def test_errors_are_those_of_detected_events() -> None:
    posterior, truth = stated(np.ones(4), bias=(3.0, 4.0, 0.0, 0.0))
    none = np.zeros(EVENTS, bool)
    half = np.arange(EVENTS) % 2 == 0
    whole = row_of(Found(posterior, truth, ~none, none))
    some = row_of(Found(posterior, truth, half, none))
    assert (whole["detected"], some["detected"]) == (1.0, 0.5)
    # Five kilometres off with variances of 4 and 2 km2.
    assert whole["median_km"] == pytest.approx(5.3, abs=0.5)
    assert some["median_km"] == pytest.approx(whole["median_km"], abs=0.5)
    assert whole["within"] > 0.95
    assert some["within"] == pytest.approx(0.5 * whole["within"], abs=0.03)
    assert whole["covered_90"] < 0.6  # the bias is more than two standard deviations


def test_regions_of_right_posteriors_cover() -> None:
    posterior, truth = stated(np.ones(4))
    row = row_of(Found(posterior, truth, np.ones(EVENTS, bool), np.zeros(EVENTS, bool)))
    assert row["covered_90_low"] < 0.9 < row["covered_90_high"]


def test_without_a_detected_event_there_are_no_errors() -> None:
    posterior, truth = stated(np.ones(4))
    row = row_of(Found(posterior, truth, np.zeros(EVENTS, bool), np.zeros(EVENTS, bool)))
    assert row["detected"] == row["within"] == 0.0
    assert np.isnan(row["p90_km"])


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    row = {"set": "a", "method": "model", "level_db": -6.0, "p90_km": np.nan}
    write_csv(tmp_path / "noisy_events.csv", [row], list(row))
    (again,) = read_rows(tmp_path / "noisy_events.csv")
    assert {name: again[name] for name in ("set", "method", "level_db")} == {
        "set": "a",
        "method": "model",
        "level_db": -6,
    }
    assert np.isnan(again["p90_km"])
    with pytest.raises(ValueError, match="no such table"):
        read_rows(tmp_path / "other.csv")


def test_the_picture_is_drawn_where_a_level_has_no_located_event(tmp_path: Path) -> None:
    levels = ((-6.0, np.nan, 0.0), (6.0, 3.0, 0.9))
    rows = [
        {"set": name, "method": method, "level_db": level, "p90_km": p90_km, "detected": share, "within": share}
        for name in ("a", "b")
        for method in ("model", "onsets")
        for level, p90_km, share in levels
    ]
    against_ratio(tmp_path / "noisy.png", rows)
    assert (tmp_path / "noisy.png").read_bytes()[:4] == b"\x89PNG"
