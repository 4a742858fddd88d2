"""HYPOINVERSE's files: what columns mean, round trips, and refusals."""

import datetime

import numpy as np
import pytest

from jaxloc.geometry import Frame
from jaxloc.io.fixed_columns import Field, read_fields, written_fields
from jaxloc.io.hypoinverse import (
    as_origin,
    as_position,
    origin_time,
    position_deg,
    read_archive,
    read_summaries,
    write_archive,
    write_summaries,
)
from jaxloc.io.hypoinverse_columns import STATION
from jaxloc.io.hypoinverse_picks import picks_of_event
from jaxloc.io.hypoinverse_stations import (
    read_crust,
    read_delays,
    read_station_lines,
    sites_of,
    write_crust,
    write_delays,
    write_station_lines,
)
from jaxloc.physics.layered import layered

HEAD = "201001030833077538 4882122W4897  245  0 78 19  1   623776  13 3412  10290GEY   7    2   9  13 85"
HEAD += "  00 810  0 21GEY JJ D119 D292810   0 00  71329580D290 810   0  003FNC01MH 710  174"
P = "SB4  BG  DPZ IPU1201001030833  826   3105    0   0   0      0 0  0 -10   0  1215005  0 54.0245284  0  46   0JD --"
S = "SB4  BG  DPE    4201001030833    0   0  0  881ES 2  21      0 0 42   0 -18  1215000  0     245  0  0   0  20J  --"
END = " " * 64 + "71329580"


@pytest.mark.parametrize(
    ("form", "decimals", "text", "value"),
    [
        ("F", 2, "  875", 8.75),
        ("F", 2, " 8.75", 8.75),
        ("F", 2, "  -18", -0.18),
        ("F0", 2, "00775", 7.75),
        ("I", 0, "  119", 119),
        ("0", 0, "00003", 3),
        ("D", 2, " 8.75", 8.75),
        ("P", 1, " 54.0", 54.0),
        ("P", 5, "0.350", 0.35),
        ("W", 1, "   00", 0.0),
        ("A", 0, " P   ", " P"),
        ("F", 2, "     ", None),
    ],
)
def test_fields(form, decimals, text, value):
    field = Field("value", 3, 7, form, decimals)
    assert read_fields("xx" + text, [field], "here") == {"value": value}
    again = written_fields({"value": value}, [field])[2:].ljust(5)
    if "." not in text or form in ("D", "P"):
        assert again == text
    assert read_fields("xx" + again, [field], "here") == {"value": value}


def test_fields_that_do_not_fit_are_refused():
    field = Field("depth_km", 1, 4, "F", 2)
    with pytest.raises(ValueError, match=r"depth_km must fit into 4 columns, got 123.4"):
        written_fields({"depth_km": 123.4}, [field])
    with pytest.raises(ValueError, match=r"here: columns 1-4 \(depth_km\) must hold a number, got 'deep'"):
        read_fields("deep", [field], "here")


def archive(folder, *lines):
    path = folder / "one.arc"
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_archive(tmp_path):
    """Values by eye from the lines above, and the same lines written again; shadow lines are left out."""
    path = archive(tmp_path, HEAD, "$1", P, "$", S, END, HEAD, END)
    events = read_archive(path)
    summary, (p, s) = events[0]
    assert len(events) == 2
    assert events[1].phases == ()
    assert position_deg(summary) == pytest.approx((38 + 48.82 / 60, -122 - 48.97 / 60))
    assert origin_time(summary) == datetime.datetime(2010, 1, 3, 8, 33, 7, 750000, datetime.UTC)
    assert (summary["depth_km"], summary["rms_s"], summary["event_id"]) == (2.45, 0.06, 71329580)
    assert (summary["error1_km"], summary["error3_km"], summary["model"]) == (0.13, 0.07, "GEY")
    assert (p["site"], p["network"], p["channel"], p["p_remark"], p["p_code"]) == ("SB4", "BG", "DPZ", "IP", 1)
    assert (p["p_s"], p["p_residual_s"], p["p_weight"], p["p_delay_s"]) == (8.26, 0.03, 1.05, -0.1)
    assert (p["distance_km"], p["azimuth_deg"], p["p_importance"]) == (1.2, 245, 0.046)
    assert (s["p_remark"], s["s_remark"], s["s_s"], s["s_code"], s["s_weight"]) == (None, "ES", 8.81, 2, 0.42)
    write_archive(tmp_path / "again.arc", events)
    assert (tmp_path / "again.arc").read_text().splitlines() == [HEAD, P, S, END, HEAD, END]


def test_archives_that_are_cut_or_wrong_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has no terminator"):
        read_archive(archive(tmp_path, HEAD, P))
    with pytest.raises(ValueError, match=r"line 1: columns 1-12 must hold year"):
        read_archive(archive(tmp_path, HEAD.replace("0103", "1303", 1), P, END))
    with pytest.raises(ValueError, match=r"line 2: columns 30-34 \(p_s\) must hold a number"):
        read_archive(archive(tmp_path, HEAD, P.replace("  826", "  8x6"), END))


@pytest.mark.parametrize("hypo71", [False, True])
def test_summaries(tmp_path, hypo71):
    line = "20100103 0833  7.75 38 48.82 122W48.97   2.45 D 2.90 78  19  1.2 0.06  0.1  0.1 AJ   71329580 3GEY"
    lines = [line if hypo71 else HEAD]
    (tmp_path / "a.sum").write_text(lines[0] + "\n")
    found = read_summaries(tmp_path / "a.sum")
    assert found[0]["magnitude"] == 2.9
    assert found[0]["depth_km"] == 2.45
    assert position_deg(found[0]) == pytest.approx((38 + 48.82 / 60, -122 - 48.97 / 60))
    write_summaries(tmp_path / "b.sum", found, hypo71)
    assert (tmp_path / "b.sum").read_text().splitlines() == lines


@pytest.mark.parametrize("position", [(38.99999, -122.8), (-12.5, 45.25), (0.0, -0.01), (59.99999, 179.99999)])
def test_positions_and_times_of_summaries(tmp_path, position):
    """To half a hundredth of a minute, 1e-4 degrees, and of a second, also where minutes round up."""
    time = datetime.datetime(2020, 12, 31, 23, 59, 59, 996000, datetime.UTC)
    record = as_position(*position) | as_origin(time)
    write_summaries(tmp_path / "a.sum", [record])
    found = read_summaries(tmp_path / "a.sum")[0]
    assert position_deg(found) == pytest.approx(position, abs=0.6e-4)
    assert abs((origin_time(found) - time).total_seconds()) <= 0.005


LINE = "GDXB  NC  HHZ  38 48.4782 122 47.7180  9390.2   G 0.00  0.00  0.00  0.00 3  0.00--HHZ "


def test_stations(tmp_path):
    path = tmp_path / "a.sta"
    path.write_text(LINE + "\n" + LINE.replace("HHZ", "HHN") + "\n" + LINE.replace("NC", "XX", 1) + "\n")
    records = read_station_lines(path)
    sites = sites_of(records)
    assert len(records) == 3
    assert set(sites) == {("NC", "GDXB"), ("XX", "GDXB")}
    assert sites["NC", "GDXB"] == pytest.approx((38 + 48.4782 / 60, -122 - 47.7180 / 60, 939.0))
    write_station_lines(tmp_path / "b.sta", records)
    assert read_station_lines(tmp_path / "b.sta") == records
    path.write_text("GDXB  NC  HHZ\n")
    with pytest.raises(ValueError, match="line 1: columns 16-37 must hold latitude"):
        read_station_lines(path)


def test_crust_and_delays(tmp_path):
    model = layered([0.0, 1.5, 21.0], [4.43, 5.12, 7.9], [2.5, 2.9, 4.4])
    write_crust(tmp_path / "a.crh", "GEY GEYSERS MODEL", model)
    assert (tmp_path / "a.crh").read_text() == "GEY GEYSERS MODEL\n 4.43 0.00\n 5.12 1.50\n 7.9021.00\n"
    again = read_crust(tmp_path / "a.crh", 1.78)
    np.testing.assert_allclose(again.vp_km_s, [4.43, 5.12, 7.9])
    np.testing.assert_allclose(again.vs_km_s, np.array([4.43, 5.12, 7.9]) / 1.78)
    delays = {("NC", "CML"): 0.11, ("CE", "57383"): -0.12}
    write_delays(tmp_path / "a.del", delays)
    assert (tmp_path / "a.del").read_text().splitlines()[0] == "CML   NC  0.11"
    assert read_delays(tmp_path / "a.del") == delays
    (tmp_path / "a.crh").write_text("MODEL\nfast deep\n")
    with pytest.raises(ValueError, match="line 2: must hold speed"):
        read_crust(tmp_path / "a.crh", 1.78)


def test_picks_of_an_event(tmp_path):
    """P and S of two lines at one station; the delay of S is that of P times Vp/Vs; weights become deviations."""
    event = read_archive(archive(tmp_path, HEAD, P, S, P.replace("SB4  BG", "QQQ  BG"), END))[0]
    sites = {("BG", "SB4"): sites_of([read_fields(LINE, STATION, "here")])["NC", "GDXB"]}
    found = picks_of_event(event, sites, Frame(38.8, -122.8), delays_s={("BG", "SB4"): -0.1}, vp_vs=1.78)
    seen = found.observations
    assert found.codes == (("BG", "SB4"),)
    assert found.unknown == (("BG", "QQQ"),)
    assert found.zero == datetime.datetime(2010, 1, 3, 8, 33, tzinfo=datetime.UTC)
    np.testing.assert_allclose(seen.picks_s, [[8.36, 8.81 + 0.178]], rtol=1e-6)
    np.testing.assert_allclose(seen.pick_sigma_s, [[0.15 / 0.75, 0.15 / 0.5]], rtol=1e-6)
    assert seen.pick_mask.all()
    assert seen.station_km[0, 2] == 0
    raised = picks_of_event(event, sites, Frame(38.8, -122.8), elevations=True).observations
    assert raised.station_km[0, 2] == pytest.approx(-0.939)


@pytest.mark.parametrize("name", ["testone.arc", "testone.phs"])
def test_real_archives_round_trip(data_folder, tmp_path, name):
    """All lines of HYPOINVERSE's own test are written as they were, but for trailing blanks."""
    path = data_folder("hypoinverse_testone") / name
    write_archive(tmp_path / name, read_archive(path))
    lines = [[line.rstrip() for line in p.read_text().splitlines()] for p in (path, tmp_path / name)]
    assert lines[0] == lines[1]
