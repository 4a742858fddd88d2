"""Window tables: names of columns, times, what is known of events, and what is refused before anything is read."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from obspy import UTCDateTime

from jaxloc.io.time_windows import Window, read_windows

START = UTCDateTime("2018-12-30T03:00:00")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "windows.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "id,start,origin_time,latitude_deg,longitude_deg,depth_km,magnitude\n"
        "e1,2018-12-30T03:00:00,2018-12-30T03:00:05,64.0,-21.0,7.5,1.5\n",
        "\ufeffID ; Start ; Origin_Time ; Latitude ; Longitude ; Depth ; Magnitude\n"
        "e1;2018-12-30 03:00:00;2018-12-30 03:00:05;64,0;-21,0;7,5;1,5\n",
        "source_id\ttrace_start_time\tsource_origin_time\tsource_latitude_deg\tsource_longitude_deg\tsource_depth_km\tsource_magnitude\n"
        "e1\t2018-12-30T03:00:00Z\t2018-12-30T03:00:05Z\t64\t-21\t7.5\t1.5\n",
        "id,start,origin_time,lat,lon,depth_m,mag\ne1,1546138800,1546138805,64,-21,7500,1.5\n",
        "#EventID | Time | Latitude | Longitude | Depth | Mag\ne1 | 2018-12-30T03:00:05 | 64.0 | -21.0 | 7.5 | 1.5\n",
    ],
)
def test_forms_are_read_alike(text: str, tmp_path: Path) -> None:
    assert read_windows(written(tmp_path, text), 5.0) == [Window(START, "e1", START + 5, 64.0, -21.0, 7.5, 1.5)]


@pytest.mark.parametrize(
    ("cells", "unknown"),
    [
        ("-999,-999,-999,-999", (True, True, True, True)),
        ("0,0,5,1", (True, True, False, False)),
        ("64,-21,9999,-9.9", (False, False, True, True)),
        (",,,", (True, True, True, True)),
        ("NaN,null,-,n/a", (True, True, True, True)),
        ("64,-21,999.9,999", (False, False, True, True)),
    ],
)
def test_codes_for_unknown_values(cells: str, unknown: tuple[bool, ...], tmp_path: Path) -> None:
    text = f"start,latitude_deg,longitude_deg,depth_km,magnitude\n2018-12-30T03:00:00,{cells}\n"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (window,) = read_windows(written(tmp_path, text), 5.0)
    assert tuple(np.isnan(window[3:])) == unknown
    coded = any(code in cells for code in ("999", "-9.9", "0,0"))
    assert [("taken as unknown: " in str(one.message)) for one in caught] == [True] * coded
    assert window.id == str(START)


def test_times_alone(tmp_path: Path) -> None:
    text = "start\n2018-12-30 03:00:00\n2018-12-30T03:01:00\n"
    assert [w.start for w in read_windows(written(tmp_path, text), 5.0)] == [START, START + 60]
    assert [w.start for w in read_windows([START, "2018-12-30T03:01:00"], 5.0)] == [START, START + 60]


HEAD = "id,start,origin_time,depth_km\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "a,2018-12-30T03:00:00,2018-12-30T06:00:00,5\n",
            "line 2: the origin time .* is 10800 s after the start",
        ),
        (
            HEAD + "a,2018-12-30T03:00:00,2018-12-30T02:00:00,5\n",
            "line 2: the origin time .* is 3600 s before the start",
        ),
        (HEAD + "a,2018-12-30T03:00:00,,5\na,2018-12-30T04:00:00,,5\n", "line 3: the id 'a' is also that of line 2"),
        (HEAD + "a,2018-12-30T03:00:00,,5\nb,,,5\n", "line 3: the window has neither a start nor an origin time"),
        (HEAD + "a,2018-12-30T03:00:00\n", "line 2 has 2 cells where the header has 4"),
        (HEAD + "a,2018-12-30T03:00:00,,5,6\n", "line 2 has 5 cells where the header has 4"),
        (HEAD + "a,30/12/2018 03:00,,5\n", "line 2, column start: '30/12/2018 03:00' is no time"),
        (HEAD + "a,2018-12-30T03:00:00,noon,5\n", "line 2, column origin_time: 'noon' is no time"),
        (HEAD + "a,2018-12-30T03:00:00,,deep\n", "line 2, column depth_km: 'deep' is not a finite number"),
        (
            HEAD + "a,2018-12-30T03:00:00,,8176\n",
            "line 2: depth must be within -10 to 750 km, got 8176; name .* depth_m",
        ),
        (HEAD, "has a header and no window"),
        ("", "windows.csv is empty"),
        ("id,begin\na,b\n", "neither a column start nor origin_time; it has id, begin"),
        ("start,Start\n2018-12-30,2018-12-30\n", "column start twice"),
    ],
)
def test_refused_with_file_and_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_windows(written(tmp_path, text), 5.0)


@pytest.mark.parametrize(
    ("after_s", "good"), [(-20.0, True), (0.0, True), (39.0, True), (41.0, False), (-700.0, False)]
)
def test_origins_must_lie_in_windows_of_known_length(after_s: float, good: bool, tmp_path: Path) -> None:
    path = written(tmp_path, f"start,origin_time\n{START},{START + after_s}\n")
    if good:
        assert read_windows(path, 5.0, 40.0)[0].origin == START + after_s
    else:
        with pytest.raises(ValueError, match=r"it must be within 600 s before and 40 s after"):
            read_windows(path, 5.0, 40.0)


@pytest.mark.parametrize("windows", [[], ["2018-12-30", "2018-12-30T00:00:00"]])
def test_lists_of_times_that_are_refused(windows: list[str]) -> None:
    with pytest.raises(ValueError, match=r"windows is empty|2018-12-30T00:00:00.000000Z is given twice"):
        read_windows(windows, 5.0)
