"""Every file format: what it writes is recognised and read back, and what it lacks is named."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from obspy import UTCDateTime

from jaxloc.data.dataset import Station
from jaxloc.io.contents import Contents, PairTime, all_picks, hypocentre, origin_time
from jaxloc.io.convert import convert, counts, losses, target_of, with_stations, written
from jaxloc.io.formats import FORMATS, read, recognise
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile
from jaxloc.io.picks import read_picks
from jaxloc.physics.layered import layered

START = UTCDateTime("2020-05-01T12:00:00.123456")
STATIONS = tuple(
    Station(f"XX.{name}", 36.0 + 0.1 * i, -117.25 + 0.2 * i, 500.0 + 250 * i)
    for i, name in enumerate(("ABC", "B21", "CX"))
)


def pick(station: str, phase: str, after_s: float, **other: float) -> Pick:
    fields = {"sigma_s": 0.05, "probability": 0.75, "amplitude": 1.5e-6} | other
    return Pick(f"XX.{station}", phase, START.ns + round(after_s * 1e6) * 1000, **fields)


def event(number: int, after_s: float) -> PickedEvent:
    times = (("ABC", "P", 2.0), ("ABC", "S", 3.5), ("B21", "P", 4.25), ("B21", "S", 7.123456))
    return PickedEvent(str(number), tuple(pick(s, p, t + after_s) for s, p, t in times), magnitude=1.5)


LOOSE = (pick("ABC", "P", 4000.0), pick("ABC", "S", 4002.0), pick("CX", "P", 4001.0), pick("CX", "S", 4004.0))
PICKED = PickFile((event(1, 0.0), event(2, 60.0)))
SD = (0.25, 0.25, 0.75, 0.125)
LOCATED = tuple(
    hypocentre(str(i), START + 60.0 * (i - 1), 36.0 + 0.01 * i, -117.2, 5.5 + i, 1.5 * i, SD) for i in (1, 2)
)
VELOCITY = layered([0.0, 1.5, 12.0], [4.0, 5.19, 6.92], [4.0 / 1.73, 3.0, 4.0])
WHOLE = Contents(PICKED, LOCATED, STATIONS, VELOCITY)
TIMES = Contents(
    differences=tuple(PairTime("1", "2", s, p, 0.0123456, 0.75) for s in ("ABC", "B21") for p in ("P", "S"))
)
CORRELATED = "correlations of errors"
SIGMA = "uncertainties of picks"
EPICENTRE, DEPTH, ORIGIN = "uncertainties of epicentres", "uncertainties of depths", "uncertainties of origin times"
COARSE_START = UTCDateTime("2020-05-01T12:00:00.12")
COARSE_PICKS = PickFile(
    tuple(
        PickedEvent(
            str(i),
            tuple(
                Pick(f"XX.{s}", p, COARSE_START.ns + round((60 * (i - 1) + t) * 1e6) * 1000, sigma_s)
                for (s, p, t) in (("ABC", "P", 2.0), ("ABC", "S", 3.5), ("B21", "P", 4.25), ("B21", "S", 67.12))
            ),
            magnitude=1.5 * i,
        )
        for i, sigma_s in ((1, 0.15), (2, 0.2))
    )
)
"""Times to 0.01 s, S of one station in the minute after its P, uncertainties of HYPOINVERSE's weight codes 0 and 1."""
COARSE = tuple(
    hypocentre(str(i), COARSE_START + 60.0 * (i - 1), 36.0 + 0.01 * i, -117.2, 5.5 + i, 1.5 * i, SD) for i in (1, 2)
)
COARSE_WHOLE = Contents(COARSE_PICKS, COARSE)
SCORES = {"probabilities of picks", "amplitudes of picks"}
BARE = {SIGMA, "probabilities of picks"}
CASES = {
    "quakeml": (WHOLE, {"amplitudes of picks"}),
    "hypodd_phases": (COARSE_WHOLE, {ORIGIN}),
    "hypodd_events": (Contents(events=COARSE), {ORIGIN}),
    "hypodd_stations": (Contents(stations=STATIONS), set()),
    "hypodd_locations": (Contents(events=COARSE), {EPICENTRE, DEPTH, ORIGIN}),
    "hypodd_catalogue_times": (None, set()),
    "hypodd_cross_times": (TIMES, set()),
    "hypodd_input": (None, set()),
    "hypoinverse_archive": (COARSE_WHOLE, {ORIGIN}),
    "hypoinverse_summary": (Contents(events=COARSE), {ORIGIN}),
    "hypoinverse_stations": (Contents(stations=STATIONS), set()),
    "hypoinverse_crust": (Contents(velocity=VELOCITY), set()),
    "nonlinloc_picks": (Contents(PICKED), {"probabilities of picks", "amplitudes of picks"}),
    "nonlinloc_hypocentres": (Contents(events=LOCATED), {ORIGIN, "magnitudes"}),
    "nonlinloc_control": (Contents(stations=STATIONS, velocity=VELOCITY), set()),
    "nonlinloc_layers": (None, set()),
    "growclust_catalogue": (Contents(events=LOCATED), set()),
    "growclust_events": (Contents(events=LOCATED), {ORIGIN}),
    "growclust_stations": (Contents(stations=STATIONS), {"networks of stations"}),
    "growclust_times": (TIMES, set()),
    "pal_picks": (Contents(PickFile((), 4, LOOSE)), BARE),
    "pal_phases": (WHOLE, {*BARE, EPICENTRE, DEPTH, ORIGIN}),
    "pal_catalogue": (Contents(events=LOCATED), {EPICENTRE, DEPTH, ORIGIN}),
    "pal_stations": (Contents(stations=STATIONS), set()),
    "pal_velocity": (Contents(velocity=VELOCITY), set()),
    "gamma_picks": (Contents(PICKED._replace(unassociated=4, loose=LOOSE)), {SIGMA}),
    "pyocto_assignments": (Contents(PICKED), {SIGMA, *SCORES}),
    "pyocto_picks": (Contents(PickFile((), 4, (*LOOSE, pick("ABC", "P", 0.0)))), {SIGMA}),
    "seisbench_picks": (Contents(PickFile((), 4, (*LOOSE, pick("ABC", "P", 0.0)))), {SIGMA, "amplitudes of picks"}),
    "phasenet_picks": (Contents(PICKED._replace(unassociated=4, loose=LOOSE)), {SIGMA}),
    "picks_csv": (Contents(PICKED._replace(unassociated=4, loose=LOOSE)), set()),
    "events_csv": (Contents(events=LOCATED), set()),
    "gamma_events": (Contents(events=LOCATED), {EPICENTRE, DEPTH, ORIGIN}),
    "pyocto_events": (Contents(events=LOCATED), {EPICENTRE, DEPTH, ORIGIN, "magnitudes"}),
    "events_table": (Contents(events=LOCATED), set()),
    "stationxml": (Contents(stations=STATIONS), set()),
    "velocity_table": (Contents(velocity=VELOCITY), set()),
    "station_table": (Contents(stations=STATIONS), set()),
    "pyocto_velocity": (None, set()),
}
"""By format its contents, and the things of which nothing is left."""
SAME = {
    "growclust_stations": "hypodd_stations",
    "growclust_times": "hypodd_cross_times",
    "pal_velocity": "hypoinverse_crust",
}
"""Formats whose files are those of another one as well, by which they are recognised."""


def test_every_format_has_a_case():
    assert set(CASES) == set(FORMATS)


@pytest.mark.parametrize("name", [name for name, (contents, _) in CASES.items() if contents is not None])
def test_round_trip(name, tmp_path):
    """Read back by recognition: as many of everything but what the format lacks, at the same times and places."""
    form, (before, lacks) = FORMATS[name], CASES[name]
    path = tmp_path / f"file{form.suffixes[0]}"
    path.write_bytes(form.write(before))
    found = recognise(path)
    assert found is not None
    assert found.name == SAME.get(name, name)
    after = found.read(path)
    kept = Contents(**{k: v for k, v in before._asdict().items() if FIELDS[k] & set(form.holds)})
    then, now = counts(kept), counts(after)
    assert {what for what in then if then[what] and not now[what]} == lacks
    assert {what: now[what] for what in then if what not in lacks} == {w: then[w] for w in then if w not in lacks}
    assert not [line for line in losses(kept, after) if "rounded" in line or "change" in line]
    assert set(after.kinds) == set(kept.kinds)


FIELDS = {
    "picks": {"picks"}, "events": {"events"}, "stations": {"stations"}, "velocity": {"velocity model"},
    "differences": {"differential times"}, "notes": set(),
}  # fmt: skip


def test_quakeml_keeps_times_places_and_errors(tmp_path):
    path = tmp_path / "events.xml"
    path.write_bytes(FORMATS["quakeml"].write(WHOLE))
    after = FORMATS["quakeml"].read(path)
    for before, now in zip(LOCATED, after.events, strict=True):
        np.testing.assert_allclose(now.covariance, before.covariance, rtol=1e-6, atol=1e-12)
        assert now[2:5] == pytest.approx(before[2:5])
        assert origin_time(now) == origin_time(before)
    for (id, one), (id_now, now) in zip(all_picks(WHOLE), all_picks(after), strict=True):
        assert (id, one.station, one.phase, one.time_ns) == (id_now, now.station, now.phase, now.time_ns)
        assert now.sigma_s == pytest.approx(one.sigma_s)


def test_quakeml_of_picks_without_locations(tmp_path):
    path = tmp_path / "picks.xml"
    path.write_bytes(FORMATS["quakeml"].write(Contents(PICKED)))
    after = FORMATS["quakeml"].read(path)
    assert after.events == ()
    assert [(e.id, len(e.picks)) for e in after.picks.events] == [("1", 4), ("2", 4)]


@pytest.mark.parametrize("write", ["events_csv", "quakeml", "events_table"])
def test_errors_that_are_unknown_stay_unknown(write, tmp_path):
    bare = Contents(events=(LOCATED[0]._replace(covariance=np.diag([np.nan, np.nan, 0.5, np.nan])),))
    path = tmp_path / f"file{FORMATS[write].suffixes[0]}"
    path.write_bytes(FORMATS[write].write(bare))
    covariance = FORMATS[write].read(path).events[0].covariance
    np.testing.assert_allclose(np.diag(covariance), [np.nan, np.nan, 0.5, np.nan], rtol=1e-4)


SUMMARY_LINE = "20200501120000123600600117 1200  650"


@pytest.mark.parametrize("text", ["", "\n", "#\n", "x", "1 2", "a,b\n1,2\n", "# 1 2\n", "1 2 3 4 5 6\n"])
def test_what_is_of_no_format_is_taken_for_none(text, tmp_path):
    (tmp_path / "file").write_text(text)
    assert recognise(tmp_path / "file") is None


REFUSED = {
    "a pick before its event": ("pal_phases", "XX.A,2020-01-01T00:00:00Z,-1,1,1\n", "line 1: picks must come after"),
    "a latitude that is none": ("pal_catalogue", "2020-01-01T00:00:00Z,x,1,1,1\n", "line 1: the latitude must be"),
    "no time": ("pal_picks", "XX.A,2020-01-01T00:00:00Z,soon,-1,1,1,1\n", "line 1: the P time in cell 3"),
    "a cell too few": ("growclust_catalogue", "2000 1 2 3 4 5\n", "line 1 must have 25 numbers"),
    "an impossible date": (
        "growclust_events", "2000 2 31 3 4 5 36 -117 5 1 0 0 0 1\n", "line 1 must begin with a date",
    ),
    "times before a pair": ("growclust_times", "ABC 0.1 0.7 P\n", "below a line of two event ids"),
    "km of a projection": ("pyocto_events", "idx,time,x,y,picks\n0,1588334400,1,2,8\n", "latitude, longitude, depth"),
    "no speed": ("pal_velocity", "title\nfast 0.0\n", "lines of P speed"),
    "a pick that is none": (
        "nonlinloc_picks", "AB ? ? ? P ? 20200101 1200 soon GAU 0.1 0 0 0\n", "line 1: not a NonLinLoc pick",
    ),
    "km of no projection": ("nonlinloc_control", "GTSRCE AB XYZ 1 2 0 0.5\n", "must come with a TRANS statement"),
    "elevations in km": ("hypodd_stations", "AB 36.1 -117.2 0.67\nCD 36.2 -117.2 1.25\n", "may be in km"),
    "no terminator": ("hypoinverse_archive", f"{SUMMARY_LINE}\n", "the last event has no terminator"),
    "no row": ("events_table", "time,latitude,longitude,depth\n", "no event"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_files_are_refused_with_the_place(case, tmp_path):
    name, text, message = REFUSED[case]
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match=message):
        FORMATS[name].read(tmp_path / "file")


def test_growclust_lists_of_all_versions_and_failed_bootstraps(tmp_path):
    date = "2019 7 4 16 13 42.989"
    lists = (f"{date} 35.69 -117.47 9.0 1.6 0.3 0.4 0.1 7", f"{date} 7 35.69 -117.47 9.0 1.6",
             f"7 {date} 35.69 -117.47 9.0 0.1 0.3 0.4 1.6")  # fmt: skip
    for line, has_errors in zip(lists, (True, False, True), strict=True):
        (tmp_path / "evlist").write_text(f"{line}\n{line}\n")
        assert recognise(tmp_path / "evlist").name == "growclust_events"
        one = FORMATS["growclust_events"].read(tmp_path / "evlist").events[0]
        assert (one.id, one.latitude_deg, one.depth_km, one.magnitude) == ("7", 35.69, 9.0, 1.6)
        assert origin_time(one) == UTCDateTime("2019-07-04T16:13:42.989")
        errors = np.sqrt(np.diag(one.covariance))[:3]
        np.testing.assert_allclose(errors, [0.3 / 2**0.5, 0.3 / 2**0.5, 0.4] if has_errors else [np.nan] * 3)
    (tmp_path / "cat").write_text(
        f"{date} 7 35.69 -117.47 9.0 1.6 1 1 1 0 0 0 -1 -1 -1.000 -1.000 -1.000 35.6 -117.4 9\n"
    )
    assert np.isnan(np.diag(FORMATS["growclust_catalogue"].read(tmp_path / "cat").events[0].covariance)).all()


def test_events_whose_ids_are_no_numbers_are_numbered_for_hypodd(tmp_path):
    named = WHOLE._replace(
        picks=PickFile(tuple(one._replace(id=f"ci{one.id}") for one in PICKED.events)),
        events=tuple(one._replace(id=f"ci{one.id}") for one in LOCATED),
    )
    data, lost = written(FORMATS["hypodd_phases"], named)
    assert "ids of 2 of 2 events: they are named by their order" in lost
    (tmp_path / "phase.dat").write_bytes(data)
    after = FORMATS["hypodd_phases"].read(tmp_path / "phase.dat")
    assert [(one.id, len(one.picks)) for one in after.picks.events] == [("1", 4), ("2", 4)]


def test_changed_uncertainties_of_picks_are_a_loss():
    """Weights of HYPOINVERSE have four values, those of 0.15 s and less are 1."""
    _, lost = written(FORMATS["hypoinverse_archive"], WHOLE)
    assert "uncertainties of picks change by up to 200 %" in lost


def test_hypodd_times_of_unknown_corrections_and_picks_of_no_weight_are_left_out(tmp_path):
    (tmp_path / "dt.cc").write_text("# 1 2 -999\nAB 0.1 0.9 P\n# 1 3 0.25\nAB 0.1 0.9 P\n")
    after = FORMATS["hypodd_cross_times"].read(tmp_path / "dt.cc")
    assert [one[:2] for one in after.differences] == [("1", "3")]
    assert after.differences[0].time_s == pytest.approx(-0.15)
    assert after.notes == ("1 times are not read: their correction of origin times is unknown",)
    head = "# 2020 5 1 12 0 0.0 36.0 -117.0 5.0 0.0 0 0 0 7\n"
    (tmp_path / "phase.dat").write_text(f"{head}AB 2.0 0.5 P\nAB 3.5 0 S\nCD 3.0 -0.25 P\n")
    after = FORMATS["hypodd_phases"].read(tmp_path / "phase.dat")
    assert [(p.station, p.sigma_s) for p in after.picks.events[0].picks] == [("AB", 0.1), ("CD", 0.2)]
    assert after.picks.events[0].left_out == ("its weight is 0",)
    assert after.events[0].magnitude is None


def test_principal_errors_of_hypoinverse_are_a_covariance(tmp_path):
    """A covariance of any direction comes back within whole degrees and hundredths of a km."""
    sd, angle = np.array([2.0, 1.0, 4.0]), np.radians(30.0)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    dip = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]])
    covariance = np.full((4, 4), np.nan)
    covariance[:3, :3] = turn @ dip @ np.diag(sd**2) @ dip.T @ turn.T
    before = LOCATED[0]._replace(covariance=covariance)
    path = tmp_path / "one.sum"
    path.write_bytes(FORMATS["hypoinverse_summary"].write(Contents(events=(before,))))
    after = FORMATS["hypoinverse_summary"].read(path).events[0].covariance
    np.testing.assert_allclose(after[:3, :3], covariance[:3, :3], atol=0.15)


def test_layers_with_gradients_are_those_of_pyocto(tmp_path):
    (tmp_path / "a.in").write_text("LAYER 0 5 0.1 2.9 0.05 2.7 0\nLAYER 10 6.2 0 3.5 0 2.7 0\n")
    (tmp_path / "b.csv").write_text("depth,vp,vp_grad,vs,vs_grad\n0,5,0.1,2.9,0.05\n10,6.2,0,3.5,0\n")
    one, other = (read(tmp_path / name)[0].velocity for name in ("a.in", "b.csv"))
    assert len(one.top_km) > 4
    np.testing.assert_array_equal(np.stack(one), np.stack(other))


def test_corrections_of_origin_times_are_subtracted(tmp_path):
    """hypoDD, getdata.f: the time that is used is dt - otc."""
    (tmp_path / "dt.cc").write_text("#    28136    46442     -0.174000\nNCCMO    -0.038245201    0.63    P\n")
    (one,) = FORMATS["growclust_times"].read(tmp_path / "dt.cc").differences
    assert one[:4] == ("28136", "46442", "NCCMO", "P")
    assert one.time_s == pytest.approx(-0.038245201 + 0.174)


def test_pal_pairs_an_s_with_the_p_before_it_and_has_its_origin_time(tmp_path):
    """t0 = tP - (tS - tP) vS / (vP - vS), and -1 for what is missing."""
    picks = (pick("ABC", "P", 10.0), pick("CX", "S", 11.0), pick("ABC", "S", 12.5), pick("ABC", "P", 20.0))
    lines = FORMATS["pal_picks"].write(Contents(PickFile((), 4, picks))).decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["XX.ABC", "XX.CX", "XX.ABC"]
    assert UTCDateTime(lines[0].split(",")[1]) - START == pytest.approx(10.0 - 2.5 * 3.4 / 2.5, abs=1e-6)
    assert [line.split(",")[1:4].count("-1") for line in lines] == [0, 2, 2]


def test_pyocto_gradients_become_layers_of_the_same_travel_time(tmp_path):
    (tmp_path / "model.csv").write_text("depth,vp,vp_grad,vs,vs_grad\n0,5,0.1,2.9,0.05\n10,6.2,0,3.5,0\n30,8,0,4.5,0\n")
    model = FORMATS["pyocto_velocity"].read(tmp_path / "model.csv").velocity
    top, vp = np.append(model.top_km, 30.0), np.asarray(model.vp_km_s)
    inside = top[:-1] < 30.0
    vertical_s = (np.diff(top)[inside[: len(top) - 1]] / vp[inside]).sum()
    assert vertical_s == pytest.approx(math.log(6.0 / 5.0) / 0.1 + 20 / 6.2, abs=2e-3)
    assert vp[top[:-1] == 10.0] == pytest.approx([6.2], rel=1e-6)


def test_a_day_of_picks_without_events_is_of_no_event(tmp_path):
    rows = [f"XX.ABC,P,2020-05-01T{hour:02d}:00:00" for hour in range(24)]
    (tmp_path / "day.csv").write_text("\n".join(["station,phase,time", *rows]))
    with pytest.raises(ValueError, match="24 picks belong to no event; an associator"):
        read_picks(tmp_path / "day.csv", STATIONS)
    assert len(read(tmp_path / "day.csv")[0].picks.loose) == 24


def test_locate_takes_picks_of_any_format(tmp_path):
    for name in ("pal_phases", "gamma_picks", "pyocto_assignments", "phasenet_picks"):
        path = tmp_path / "picks.any"
        path.write_bytes(FORMATS[name].write(WHOLE))
        found = read_picks(path, STATIONS).dataset
        assert [one.id for one in found.events] == ["1", "2"]
        assert found.take(np.arange(2)).observations.pick_mask.sum() == 8


def test_convert_names_what_is_lost_and_joins_files(tmp_path):
    (tmp_path / "events.csv").write_bytes(FORMATS["gamma_events"].write(WHOLE))
    (tmp_path / "picks.csv").write_bytes(FORMATS["gamma_picks"].write(WHOLE))
    done = convert([tmp_path / "events.csv", tmp_path / "picks.csv"], tmp_path / "out.pha", target="pal_phases")
    assert done.formats == ("gamma_events", "gamma_picks")
    assert done.lost == ("8 of 8 probabilities of picks",)
    again = FORMATS["pal_phases"].read(tmp_path / "out.pha")
    assert [len(one.picks) for one in again.picks.events] == [4, 4]
    (tmp_path / "mine.csv").write_bytes(FORMATS["events_csv"].write(Contents(events=LOCATED)))
    done = convert([tmp_path / "mine.csv"], tmp_path / "mine.ctlg")
    assert set(done.lost) == {f"2 of 2 {what}" for what in (EPICENTRE, DEPTH, ORIGIN)}


def test_rounding_is_measured():
    fine = Contents(velocity=layered([0.0, 1.2345], [4.0, 5.0], [4.0 / 1.73, 3.2]))
    _, lost = written(FORMATS["pal_velocity"], fine)
    assert [line.split(" of ")[0] for line in lost] == ["depths (km)", "S speeds (km/s)"]
    between = LOCATED[0]._replace(latitude_deg=36.0000044, depth_km=5.5004)
    _, lost = written(FORMATS["growclust_events"], Contents(events=(between,)))
    assert lost[-2:] == ("epicentres are rounded by up to 0.49 m", "depths are rounded by up to 0.4 m")


@pytest.mark.parametrize(
    ("output", "target", "message"),
    [
        ("out.csv", None, "several formats have .csv"),
        ("out.unknown", None, "no format for .unknown"),
        ("out.sta", "pal_stations", "pal_stations holds stations, and there are picks and events"),
        ("out.csv", "pyocto_velocity", "pyocto_velocity is only read"),
        ("out.csv", "sac", "no such format: 'sac'"),
        ("in.pha", "pal_phases", "is an input as well"),
        ("nowhere/out.ctlg", None, "no such folder"),
    ],
)
def test_convert_refuses_and_writes_nothing(output, target, message, tmp_path):
    before = FORMATS["pal_phases"].write(WHOLE)
    (tmp_path / "in.pha").write_bytes(before)
    with pytest.raises(ValueError, match=message):
        convert([tmp_path / "in.pha"], tmp_path / output, target=target)
    assert [path.name for path in tmp_path.iterdir()] == ["in.pha"]
    assert (tmp_path / "in.pha").read_bytes() == before


def test_nothing_is_written_where_the_target_cannot_be_read_again(tmp_path):
    named = tuple(one._replace(id=f"event {one.id}") for one in LOCATED)
    (tmp_path / "in.csv").write_bytes(FORMATS["events_table"].write(Contents(events=named)))
    with pytest.raises(ValueError, match="must be a whole number"):
        convert([tmp_path / "in.csv"], tmp_path / "out.evlist")
    assert not (tmp_path / "out.evlist").exists()


def test_stations_complete_networks():
    short = tuple(one._replace(station=one.station.split(".")[1]) for one in LOOSE)
    whole = with_stations(Contents(PickFile((), 4, short)), STATIONS)
    assert whole.picks.loose == LOOSE
    assert whole.stations == STATIONS
    assert target_of(Path("x.pick"), whole).name == "pal_picks"


REAL = {
    "ridgecrest_PAL/pal_assoc.pha": ("pal_phases", {"locations": 1640, "picks": 21688, "magnitudes": 1640}),
    "ridgecrest_PAL/picks/2019-07-04.pick": ("pal_picks", {"picks that belong to no event": 9882}),
    "ridgecrest_PAL/eg_pal_hyp.ctlg": ("pal_catalogue", {"locations": 1640}),
    "ridgecrest_PAL/eg_mess_cc.ctlg": ("pal_catalogue", {"locations": 3068}),
    "ridgecrest_PAL/stations.csv": ("pal_stations", {"stations": 14}),
    "ridgecrest_PAL/velo_p_eg.cre": ("hypoinverse_crust", {"velocity models": 1}),
    "ridgecrest_synthetic/ref_growclust_cat.txt": ("growclust_catalogue", {"locations": 1000, EPICENTRE: 998}),
    "ridgecrest_synthetic/phase.csv": ("picks_csv", {"picks": 31740, "events with picks": 1000}),
    "ridgecrest_synthetic/pre_cat.csv": ("events_table", {"locations": 1000}),
    "saltonsea_picks/picks.csv.gz": ("picks_csv", {"picks that belong to no event": 62314}),
    "saltonsea_picks/events_scsn.tsv": ("events_table", {"locations": 1062}),
    "saltonsea_picks/stations.tsv": ("station_table", {"stations": 16}),
    "pyocto_synthetic/graeber.csv": ("pyocto_velocity", {"velocity models": 1}),
    "hypodd_examples/example1/dt.cc": ("hypodd_cross_times", {"differential times": 20065}),
    "hypodd_examples/example1/dt.ct": ("hypodd_catalogue_times", {"differential times": 2012}),
    "hypodd_examples/example1/El16.pha": ("hypodd_phases", {"picks": 563, "locations": 16, EPICENTRE: 16}),
    "hypodd_examples/example1/event.dat": ("hypodd_events", {"locations": 16, DEPTH: 16}),
    "hypodd_examples/example1/event.sel": ("hypodd_events", {"locations": 16}),
    "hypodd_examples/example1/hypoDD.loc": ("hypodd_locations", {"locations": 16, DEPTH: 0}),
    "hypodd_examples/example1/hypoDD.reloc": ("hypodd_locations", {"locations": 16, "magnitudes": 16}),
    "hypodd_examples/example1/station.dat": ("hypodd_stations", {"stations": 1961}),
    "hypodd_examples/example1/station.sel": ("hypodd_stations", {"stations": 75}),
    "hypodd_examples/example1/hypoDD.inp": ("hypodd_input", {"velocity models": 1}),
    "hypodd_examples/example1/hypoDD.inp.v1": ("hypodd_input", {"velocity models": 1}),
    "hypodd_examples/example4/event.sel.noise": ("hypodd_events", {"locations": 21, DEPTH: 0}),
    "hypodd_examples/example4/station.sel.z": ("hypodd_stations", {"stations": 36}),
    "hypodd_examples/example4/dt.ct": ("hypodd_catalogue_times", {"differential times": 15120}),
    "hypodd_examples/example4/hypoDD.reloc": ("hypodd_locations", {"locations": 21}),
    "ridgecrest_synthetic/ref_hypoDD.reloc": ("hypodd_locations", {"locations": 1000}),
    "hypoinverse_testone/testone.arc": ("hypoinverse_archive", {"picks": 119, "locations": 1, CORRELATED: 1}),
    "hypoinverse_testone/testone.phs": ("hypoinverse_archive", {"picks": 119, "networks of picks": 119}),
    "hypoinverse_testone/testone.sum": ("hypoinverse_summary", {"locations": 1, "magnitudes": 1, EPICENTRE: 1}),
    "hypoinverse_testone/allseed.sta": ("hypoinverse_stations", {"stations": 3569, "networks of stations": 3569}),
    "hypoinverse_testone/gey.crh": ("hypoinverse_crust", {"velocity models": 1}),
    "nonlinloc_alaska2018/nlloc_sample.in": ("nonlinloc_control", {"stations": 80, "velocity models": 1}),
    "nonlinloc_alaska2018/obs/station_coordinates.txt": ("nonlinloc_control", {"stations": 80, "velocity models": 0}),
    "nonlinloc_alaska2018/obs/2018-11-30-mww70-southern-alaska.obs": (
        "nonlinloc_picks",
        {"picks": 274, SIGMA: 274, "events with picks": 7},
    ),
    "nonlinloc_alaska2018/expected/alaska.20181130.172935.grid0.loc.hyp": (
        "nonlinloc_hypocentres",
        {"picks": 57, "locations": 1, CORRELATED: 1},
    ),
    "nonlinloc_alaska2018/expected/alaska.sum.grid0.loc.hyp": ("nonlinloc_hypocentres", {"locations": 7, "picks": 0}),
    "hengill_continuous/velocity_model.txt": ("nonlinloc_layers", {"velocity models": 1}),
}


@pytest.mark.parametrize("file", REAL)
def test_real_files_are_recognised_and_read_whole(file, data_folder):
    folder, _, rest = file.partition("/")
    name, expected = REAL[file]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        contents, form = read(data_folder(folder) / rest)
    assert form.name == name
    found = counts(contents)
    assert {what: found[what] for what in expected} == expected


@pytest.mark.parametrize(
    "file",
    [
        "hypodd_examples/example1/El16.arc",  # before 2000
        "hypodd_examples/example1/hypoDD.sta",
        "hypodd_examples/example1/hypoDD.res",
        "hypodd_examples/example1/hypoDD.src",
        "hypodd_examples/example1/vel3D.dat",
        "hypodd_examples/example4/hypoDD.log",
        "hypoinverse_testone/gey4.del",
        "hypoinverse_testone/all2000seed.cal",
        "hypoinverse_testone/testone.hyp",
        "nonlinloc_alaska2018/expected/alaska.20181130.172935.grid0.loc.hdr",
        "nonlinloc_alaska2018/synth/synth.obs.sim",
    ],
)
def test_other_files_of_these_programs_are_taken_for_none(file, data_folder):
    folder, _, rest = file.partition("/")
    assert recognise(data_folder(folder) / rest) is None
