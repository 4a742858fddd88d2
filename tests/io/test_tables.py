"""Tables as programs write them: separators, headers, encodings; what is missing; times."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from obspy import UTCDateTime

from jaxloc.io.event_list import read_event_list
from jaxloc.io.missing_values import is_empty_cell, is_missing_code, is_null_island
from jaxloc.io.tables import column_key, parse_time, read_table

CSV = "id,Latitude,Height(m),start\nä1,40.5,100,2000-01-01T00:00:00\nä2,41.25,-5.5,2000-01-02 12:30:00.25\n"
FORMS = {
    "commas": CSV,
    "blanks about cells": CSV.replace(",", " , "),
    "semicolons": CSV.replace(",", ";"),
    "decimal commas": CSV.replace(",", ";").replace("40.5", "40,5").replace("41.25", "41,25").replace("-5.5", "-5,5"),
    "tabs": CSV.replace(",", "\t"),
    "FDSN": "#" + CSV.replace(",", " | "),
    "commented header": "# made by hand, today\n# " + CSV,
    "comments": "# a comment\n\n" + CSV.replace("\nä2", "\n# another, one\n\nä2"),
    "quoted": CSV.replace("ä1", '"ä1"').replace("Latitude", '"Latitude"'),
    "upper case": CSV.upper().replace("Ä", "ä"),
    "Windows": CSV.replace("\n", "\r\n"),
    "trailing separators": CSV.replace("\n", ",\n").replace("start,", "start"),
    "blank columns": CSV.replace(",", " ").replace("02 12", "02T12"),
}


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "gzip"])
def test_forms_are_read_alike(tmp_path: Path, form: str, encoding: str) -> None:
    text = FORMS[form]
    content = gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding)
    table = read_table(written(tmp_path, content), "table")
    assert table.columns == ("id", "latitude", "height_m", "start")
    assert [row.text("id") for row in table.rows] == ["ä1", "ä2"]
    np.testing.assert_array_equal([row.number("lat", "latitude") for row in table.rows], [40.5, 41.25])
    np.testing.assert_array_equal([row.number("height_m") for row in table.rows], [100, -5.5])
    assert table.rows[1].time("start") == UTCDateTime(2000, 1, 2, 12, 30, 0, 250000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"table.csv is empty; a station table needs a header"),
        (b"# only a comment\n", "is empty"),
        (b"id,lat\nA,1\nB\n", r"table.csv, line 3 has 1 cell where the header has 2 \(id, lat\)"),
        (b"id,lat\n\nA,1,5\n", "line 3 has 3 cells where the header has 2"),
        (b"\x1f\x8b broken", "damaged gzip"),
        (b"PK\x03\x04 a workbook", "not a text table; use a CSV"),
        (b"id,lat\n\x00\x01", "binary"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(written(tmp_path, content), "station table")


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda tmp_path, table: read_table(tmp_path / "none.csv", "window table"),
            r"no such window table: .*none\.csv",
        ),
        (
            lambda tmp_path, table: table.require("id", "longitude", "depth"),
            r"lacks the columns longitude, depth; it has ID, Lat",
        ),
        (lambda tmp_path, table: table.find("lat"), "column lat twice"),
    ],
)
def test_a_missing_file_and_columns_are_named(tmp_path: Path, action, message) -> None:
    table = read_table(written(tmp_path, b"ID,Lat,lat\nA,1,2\n"), "table")
    with pytest.raises(ValueError, match=message):
        action(tmp_path, table)


@pytest.mark.parametrize("text", ["north", "1.2.3", "inf", "1e999", "1,5"])
def test_what_is_no_number_is_named_with_line_and_column(tmp_path: Path, text: str) -> None:
    table = read_table(written(tmp_path, f'id,depth_km\nA,5\nB,"{text}"\n'.encode()), "table")
    with pytest.raises(ValueError, match=rf"table.csv, line 3, column depth_km: '{text}' is not a finite number"):
        table.rows[1].number("depth_km")


def test_tables_without_header(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, b"A 1.5 2.5 9 9 9\nB 3 4\n"), "table", unnamed=("id", "x", "y"))
    assert [(row.text("id"), row.number("x"), row.number("y")) for row in table.rows] == [("A", 1.5, 2.5), ("B", 3, 4)]


@pytest.mark.parametrize("cell", ["", " ", "NaN", "n/a", "null", "None", "-", "--", "?", "NaT", "Unknown"])
def test_empty_cells(cell: str, tmp_path: Path) -> None:
    assert is_empty_cell(cell)
    row = read_table(written(tmp_path, f"id,depth,time\nA,{cell},{cell}\n".encode()), "table").rows[0]
    assert np.isnan(row.number("depth"))
    assert row.time("time") is None


@pytest.mark.parametrize(
    ("value", "quantity", "missing"),
    [
        (-9999.0, "elevation_m", True),
        (-999.0, "elevation_m", True),
        (9999.0, "elevation_m", True),
        (99999.0, "elevation_m", True),
        (-12345.0, "elevation_m", True),
        (-32768.0, "elevation_m", True),
        (float("nan"), "elevation_m", True),
        (None, "depth_km", True),
        (999.0, "elevation_m", False),
        (-99.0, "elevation_m", False),
        (12000.0, "elevation_m", False),
        (9999.0, "depth_km", True),
        (999.9, "depth_km", True),
        (-999.0, "depth_km", True),
        (99.9, "depth_km", False),
        (5000.0, "depth_km", False),
        (999.0, "magnitude", True),
        (-9.9, "magnitude", True),
        (99.99, "magnitude", True),
        (9.9, "magnitude", False),
        (-999.0, "latitude_deg", True),
        (91.0, "latitude_deg", False),
        (-999.0, "sd", True),
    ],
)
def test_codes_for_missing_values(value: float | None, quantity, missing: bool) -> None:
    assert is_missing_code(value, quantity) is missing


@pytest.mark.parametrize(("longitude_deg", "expected"), [(-0.0, True), (15.0, False)])
def test_null_island(longitude_deg: float, expected: bool) -> None:
    assert is_null_island(0.0, longitude_deg) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-12-30", "2018-12-30T00:00:00"),
        ("2018-12-30T03:00:01.12345Z", "2018-12-30T03:00:01.12345"),
        ("2018-12-30 03:00", "2018-12-30T03:00:00"),
        ("2018/12/30 3:00:00", "2018-12-30T03:00:00"),
        ("2018-12-30T03:00:00+02:00", "2018-12-30T01:00:00"),
        ("2018-12-30 03:00:00 UTC", "2018-12-30T03:00:00"),
        ("2018-364T03:00:00", "2018-12-30T03:00:00"),
        ("20181230T030000", "2018-12-30T03:00:00"),
        ("2018-12-30T23:59:60.5", "2018-12-31T00:00:00.5"),
        ("1546138800.12345", "2018-12-30T03:00:00.12345"),
        ("1546138800", "2018-12-30T03:00:00"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert parse_time(text).ns == UTCDateTime(expected).ns


@pytest.mark.parametrize("text", ["2018-12-30T03:00:00.123456789Z", "1546138800.123456789"])
def test_times_keep_nanoseconds(text: str) -> None:
    assert parse_time(text).ns == 1_546_138_800_123_456_789


@pytest.mark.parametrize(
    "text", ["tomorrow", "01/02/2018", "12", "43464.125", "2018-13-01", "2018-02-30", "2018-12-30T25:00", "nan", "2018"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=rf"'{text}' is no time; write it as 2018-12-30T03:00:00"):
        parse_time(text)


@pytest.mark.parametrize(
    ("name", "key"),
    [("Height(m)", "height_m"), (" Sensor Depth ", "sensor_depth"), ("Vp [km/s]", "vp_km_s"), ("lat.", "lat")],
)
def test_column_names(name: str, key: str) -> None:
    assert column_key(name) == key


@pytest.mark.parametrize("separator", [",", ";", "\t", " , "])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gzip"])
def test_catalogues_are_read_as_other_tables(separator: str, encoding: str, tmp_path: Path) -> None:
    text = "Time_UTC,Lat,Lon,Mag\n1995-01-02T00:00:00,34.5,-118.0,3.5\n".replace(",", separator)
    path = written(tmp_path, gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding))
    events = read_event_list("southern_california", path)
    assert (events.day[0], events.latitude_deg[0], events.magnitude[0]) == (9132.0, 34.5, 3.5)
