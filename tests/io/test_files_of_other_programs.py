"""Stations and velocity models of other programs' files, and codes of stations as they spell them."""

import warnings

import numpy as np
import pytest

from jaxloc.data.dataset import Station
from jaxloc.io import nonlinloc_control
from jaxloc.io.contents import Contents, hypocentre
from jaxloc.io.convert import with_stations
from jaxloc.io.formats import FORMATS
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile
from jaxloc.io.picks import read_picks
from jaxloc.io.station_codes import by_spelling, code_of_label
from jaxloc.io.stations import read_stations
from jaxloc.io.velocity_model import read_velocity, read_velocity_error, velocity_file
from jaxloc.physics.layered import layered

STATIONS = tuple(Station(f"XX.S{i}", 36.0 + 0.1 * i, -117.25 + 0.2 * i, 500.0 + 250 * i) for i in range(4))
VELOCITY = layered([0.0, 1.5, 12.0], [4.0, 5.19, 6.92], [4.0 / 1.73, 3.0, 4.0])
START_NS = 1_588_334_400_000_000_000


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(
    "name", ["hypodd_stations", "hypoinverse_stations", "nonlinloc_control", "pal_stations", "stationxml"]
)
def test_stations_of_any_format(name, tmp_path):
    path = tmp_path / "stations.any"
    path.write_bytes(FORMATS[name].write(Contents(stations=STATIONS)))
    found = read_stations(path)
    assert [station.code for station in found] == [station.code for station in STATIONS]
    np.testing.assert_allclose([s[1:4] for s in found], [s[1:4] for s in STATIONS], atol=1e-5)


@pytest.mark.parametrize("name", ["hypoinverse_crust", "pal_velocity", "nonlinloc_control", "velocity_table"])
def test_velocity_models_of_any_format(name, tmp_path):
    path = tmp_path / "model.any"
    path.write_bytes(FORMATS[name].write(Contents(velocity=VELOCITY)))
    model = read_velocity(path)
    np.testing.assert_allclose(np.stack(model[:2]), np.stack(VELOCITY[:2]), rtol=1e-6)
    both = name in ("nonlinloc_control", "velocity_table")
    expected = VELOCITY.vs_km_s if both else VELOCITY.vp_km_s / 1.73
    np.testing.assert_allclose(model.vs_km_s, expected, rtol=1e-5)
    assert read_velocity_error(path, 0.02).speed == pytest.approx(0.02)
    assert velocity_file(path).settings()["top_km"] == pytest.approx([0.0, 1.5, 12.0])


def test_a_model_without_s_speeds_has_a_warning(tmp_path):
    (tmp_path / "a.crh").write_bytes(FORMATS["hypoinverse_crust"].write(Contents(velocity=VELOCITY)))
    with pytest.warns(UserWarning, match=r"a\.crh: there are no S speeds: P speeds over 1\.73 are taken"):
        read_velocity(tmp_path / "a.crh")


def test_pyocto_models_are_read_without_conversion(tmp_path):
    (tmp_path / "a.csv").write_text("depth,vp,vp_grad,vs,vs_grad\n0,5,0.1,2.9,0.05\n10,6.2,0,3.5,0\n")
    assert len(read_velocity(tmp_path / "a.csv").top_km) > 4


EVENTS = (hypocentre("1", None, 36.0, -117.0, 5.0)._replace(start="2020-05-01T12:00:00Z"),)
STATION_LINES = "GTSRCE AB LATLON 36 -117 0 1.2\nGTSRCE CD LATLON 36 -117.5 0 1.5\n"
LAYER_LINES = "LAYER 0 5 0 2.9 0 2.7 0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (STATION_LINES, "has no velocity model; give a file that has"),
        (
            FORMATS["hypodd_events"].write(Contents(events=EVENTS)).decode(),
            "looks like HypoDD events .* no velocity mo",
        ),
    ],
)
def test_files_without_a_velocity_model_are_named(text, message, tmp_path):
    (tmp_path / "a").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_velocity(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAYER_LINES, "has no stations; give a file that has"),
        ("P VELOCITY MODEL\n 5.00 0.00\n", "looks like HYPOINVERSE crust .* no stations"),
    ],
)
def test_files_without_stations_are_named(text, message, tmp_path):
    (tmp_path / "a").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_stations(tmp_path / "a")


def test_the_form_of_a_table_is_refused_for_other_files(tmp_path):
    (tmp_path / "a.in").write_text(LAYER_LINES)
    with pytest.raises(ValueError, match=r"--velocity-form gradient is for tables; .*a\.in is a NonLinLoc control"):
        read_velocity(tmp_path / "a.in", "gradient")


def test_other_programs_spell_codes_in_other_ways():
    assert by_spelling(["NC.ABC", "NC.CD", "BK.CD"]) == {
        "ABC": "NC.ABC", "NCABC": "NC.ABC", "NCCD": "NC.CD", "BKCD": "BK.CD",
    }  # fmt: skip
    labels = ("AK_RC01_--", "NP_8040_D0", "NP_AMJG1", "NP040_D0", "RC01", "XX.AB_CD_00")
    assert [code_of_label(label) for label in labels] == ["AK.RC01", "NP.8040", *labels[2:]]


def test_picks_find_their_stations_in_other_spellings(tmp_path):
    """Codes as in HypoDD's files from NCSN data, and the list's without networks."""
    picks = [Pick(f"XXS{i}", "P", START_NS + i * 10**9) for i in range(3)]
    whole = Contents(PickFile((PickedEvent("1", tuple(picks)),)))
    path = tmp_path / "a.obs"
    path.write_bytes(FORMATS["nonlinloc_picks"].write(whole))
    assert [s.code for s in read_picks(path, STATIONS).dataset.stations] == ["XX.S0", "XX.S1", "XX.S2"]
    named = with_stations(whole, STATIONS)
    assert [pick.station for pick in named.picks.events[0].picks] == ["XX.S0", "XX.S1", "XX.S2"]
    path.write_bytes(FORMATS["nonlinloc_picks"].write(named))
    glued = [station._replace(code=station.code.replace(".", "")) for station in STATIONS]
    assert [s.code for s in read_picks(path, glued).dataset.stations] == ["XXS0", "XXS1", "XXS2"]


def test_codes_that_quakeml_forbids_are_written_with_a_warning(tmp_path):
    pick = Pick("STATION_NINE", "P", START_NS, 0.1)
    whole = Contents(PickFile((PickedEvent("1", (pick,)),)))
    with pytest.warns(UserWarning, match="STATION_NINE have more"):
        data = FORMATS["quakeml"].write(whole)
    (tmp_path / "a.xml").write_bytes(data)
    assert FORMATS["quakeml"].read(tmp_path / "a.xml").picks.events[0].picks[0].station == "STATION_NINE"


def test_codes_that_hypoinverse_cannot_hold_are_named():
    whole = Contents(PickFile((PickedEvent("1", (Pick("NCCCH1", "P", START_NS, 0.1),)),)))
    with pytest.raises(ValueError, match=r"station NCCCH1 must have a code of five characters .* --stations"):
        FORMATS["hypoinverse_archive"].write(whole)


def test_control_files_are_read_as_for_a_location(data_folder):
    path = data_folder("nonlinloc_alaska2018") / "nlloc_sample.in"
    control = nonlinloc_control.read_control(path)
    stations, velocity = nonlinloc_control.read_stations_and_layers(path)
    assert stations == control.stations
    np.testing.assert_array_equal(np.stack(velocity), np.stack(control.velocity))
    assert {"AK.RC01", "NP.8040"} < {station.code for station in read_stations(path)}
