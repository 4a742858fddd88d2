"""Files of hypoDD: what is read is what the authors' own files say, and what is written reads back the same."""

import numpy as np
import pytest

from jaxloc.data.dataset import Station
from jaxloc.geometry import frame_of
from jaxloc.io import hypodd, hypodd_locations, hypodd_settings, hypodd_times

EVENT = "19850124   2195871   37.8832  -122.2415      9.800  1.4    0.15    0.51   0.02      38542\n"
PHASE = """# 1985  1 24  2 19 58.71  37.8832 -122.2415    9.80 1.40  0.15  0.51  0.02      38542
NCCSP       2.850  -1.000   P
NCCBW       3.430   0.500   S
"""


def same(first, second, tolerance=1e-9):
    for one, other in zip(first, second, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, atol=tolerance)
        else:
            np.testing.assert_array_equal(one, other)


def test_events(tmp_path):
    """An event of example 1: time to a hundredth of a second, and back."""
    path = tmp_path / "event.dat"
    path.write_text(EVENT + EVENT.replace("19850124", "850124").replace("38542", "7"))
    events = hypodd.read_events(path)
    assert str(events.origin[0]) == "1985-01-24T02:19:58.710000" == str(events.origin[1])
    assert (events.latitude_deg[0], events.longitude_deg[0], events.depth_km[0]) == (37.8832, -122.2415, 9.8)
    assert events.id.tolist() == [38542, 7]
    hypodd.write_events(tmp_path / "again", events)
    same(hypodd.read_events(tmp_path / "again"), events)


def test_phases(tmp_path):
    """Picks belong to the event above them; weights keep their signs."""
    path = tmp_path / "phase.dat"
    path.write_text(PHASE + PHASE.replace("38542", "9"))
    phases = hypodd.read_phases(path)
    assert phases.event.tolist() == [0, 0, 1, 1]
    assert phases.station == ("NCCSP", "NCCBW") * 2
    assert phases.weight.tolist() == [-1.0, 0.5] * 2
    assert phases.phase.tolist() == [0, 1] * 2
    hypodd.write_phases(tmp_path / "again", phases)
    again = hypodd.read_phases(tmp_path / "again")
    same(again.events, phases.events)
    same(again[1:], phases[1:])


def test_picks_on_clocks_of_origins(tmp_path):
    """Travel times are picks of clocks that begin at the origins; unknown stations are left out."""
    path = tmp_path / "phase.dat"
    path.write_text(PHASE)
    phases = hypodd.read_phases(path)
    seen, weight = hypodd.observations_of(
        phases, [Station("NCCBW", 37.9, -122.3, 250.0)], frame_of([37.9], [-122.3]), 0.1
    )
    assert np.asarray(seen.pick_mask).tolist() == [[[False, True]]]
    assert float(seen.picks_s[0, 0, 1]) == 3.43
    assert float(seen.pick_sigma_s[0, 0, 1]) == 0.2
    assert weight[0, 0, 1] == 0.5
    assert seen.station_km[0, 0, 2] == -0.25


@pytest.mark.parametrize("minutes", [False, True])
def test_stations(minutes, tmp_path):
    """Degrees or degrees:minutes, with the sign of a whole degree of zero."""
    path = tmp_path / "station.dat"
    stations = (Station("NCA", 37.176998, -121.844666, 120.0), Station("NCB", -0.5, 0.25, -30.0))
    hypodd.write_stations(path, stations, minutes=minutes)
    for one, other in zip(hypodd.read_stations(path), stations, strict=True):
        assert one.code == other.code
        np.testing.assert_allclose(one[1:4], other[1:4], atol=1e-6)
    path.write_text("NCA 37:30 -121:45.6\n")
    assert hypodd.read_stations(path) == (Station("NCA", 37.5, -121.76, 0.0),)


def test_differential_times(tmp_path):
    """The correction of origin times is subtracted; pairs without one are left out; both kinds are written as read."""
    cross = tmp_path / "dt.cc"
    cross.write_text("#    1    2     -0.174\nA    -0.0382452010    0.63    P\n# 1 3 -999\nA 0.1 0.5 S\n")
    times = hypodd_times.read_cross_times(cross)
    links = hypodd_times.links_of(times, [1, 2, 3], ["B", "A"], 0.01)
    np.testing.assert_allclose(links.times.time_s, [-0.038245201 + 0.174])
    np.testing.assert_allclose(links.weight, [0.63])
    np.testing.assert_allclose(links.times.sd_s, [0.01 / 0.63])
    assert np.asarray(links.times.station).tolist() == [1]
    catalogue = tmp_path / "dt.ct"
    catalogue.write_text("#     38542     38520\nNCCBW     3.430   3.420 0.7500 S\n")
    pairs = hypodd_times.read_catalogue_times(catalogue)
    np.testing.assert_allclose(hypodd_times.links_of(pairs, [38520, 38542], ["NCCBW"]).times.time_s, [0.01])
    for each, read in ((times, hypodd_times.read_cross_times), (pairs, hypodd_times.read_catalogue_times)):
        hypodd_times.write_pair_times(tmp_path / "again", each)
        same(read(tmp_path / "again")[1:], each[1:])


WRONG = {
    "event": (hypodd.read_events, "1985 02\n", "no event of hypoDD"),
    "phase": (hypodd.read_phases, PHASE + "NCX 1.0 1.0 Pg\n", "line 4"),
    "pick first": (hypodd.read_phases, "NCX 1.0 1.0 P\n", "begins with a pick"),
    "station": (hypodd.read_stations, "A 1\n", "no station"),
    "station twice": (hypodd.read_stations, "A 1 2\nA 1 3\n", "listed twice"),
    "swapped": (hypodd.read_stations, "A -122 37\n", "swapped"),
    "time": (hypodd_times.read_cross_times, "# 1 2 0\nA 0.1 X P\n", "line of dt.cc"),
    "time first": (hypodd_times.read_catalogue_times, "A 1 1 1 P\n", "begins with a time"),
    "location": (hypodd_locations.read_locations, "1 2 3\n", "24 columns"),
    "inputs": (hypodd_settings.read_inputs, "dt.cc\ndt.ct\nevent.sel\nstation.sel\n", "no hypoDD.inp"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_lines_are_named(name, tmp_path):
    """A line that cannot be read is an error that says which and why."""
    read, text, message = WRONG[name]
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read(path)


def test_files_of_example_1(data_folder, tmp_path):
    """The author's files read, and written again and read they are the same."""
    folder = data_folder("hypodd_examples") / "example1"
    events = hypodd.read_events(folder / "event.sel")
    assert len(events.id) == 16
    hypodd.write_events(tmp_path / "e", events)
    same(hypodd.read_events(tmp_path / "e"), events)
    phases = hypodd.read_phases(folder / "El16.pha")
    assert len(phases.event) == 563  # ph2dt.log
    hypodd.write_phases(tmp_path / "p", phases)
    same(hypodd.read_phases(tmp_path / "p")[1:], phases[1:])
    assert len(hypodd.read_stations(folder / "station.dat")) == 1961
    for name, write, columns in (
        ("hypoDD.reloc", hypodd_locations.write_relocations, 24),
        ("hypoDD.loc", hypodd_locations.write_locations, 18),
    ):
        locations = hypodd_locations.read_locations(folder / name)
        write(tmp_path / name, locations)
        assert len((tmp_path / name).read_text().splitlines()[0].split()) == columns
        same(hypodd_locations.read_locations(tmp_path / name), locations)
    cross = hypodd_times.read_cross_times(folder / "dt.cc")
    links = hypodd_times.links_of(cross, events.id, [s.code for s in hypodd.read_stations(folder / "station.sel")])
    assert np.bincount(np.asarray(links.times.phase)).tolist() == [881, 731]  # hypoDD.log
    hypodd_times.write_pair_times(tmp_path / "cc", cross)
    same(hypodd_times.read_cross_times(tmp_path / "cc")[1:], cross[1:])


@pytest.mark.parametrize("name", ["hypoDD.inp", "hypoDD.inp.v1"])
def test_settings_of_example_1(name, data_folder):
    """Both versions of hypoDD.inp say the same, but for the solver."""
    inputs = hypodd_settings.read_inputs(data_folder("hypodd_examples") / "example1" / name)
    assert inputs[:4] == ("dt.cc", "dt.ct", "event.sel", "station.sel")
    assert (inputs.data, inputs.phases, inputs.links_cross, inputs.links_catalogue) == (3, 3, 0, 8)
    assert inputs.solver == ("svd" if name == "hypoDD.inp" else "lsqr")
    assert [one.iterations for one in inputs.sets] == [1, 3, 3, 3, 3]
    assert inputs.sets[0].distance_catalogue_km is None
    assert inputs.sets[-1].weight_catalogue == (0.01, 0.005)
    assert (inputs.sets[-1].residual_cross, inputs.sets[-1].distance_cross_km) == (4.0, 1.0)
    assert inputs.velocity.top_km.shape == (10,)
    np.testing.assert_allclose(inputs.velocity.vp_km_s / inputs.velocity.vs_km_s, 1.73, rtol=1e-6)


def test_settings_of_example_4(data_folder):
    """Straight rays: the first layer alone; no file of cross-correlations."""
    inputs = hypodd_settings.read_inputs(data_folder("hypodd_examples") / "example4" / "hypoDD.inp")
    assert inputs[:4] == ("", "dt.ct", "event.sel.noise", "station.sel.z")
    assert (inputs.data, inputs.solver, inputs.air_quakes) == (2, "lsqr", "remove")
    np.testing.assert_allclose(inputs.velocity.vp_km_s, [4.0])
