"""Which instrument of a station is used, and how its components are turned: toy miniSEED of known signals."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from obspy import Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network
from obspy.core.inventory import Station as ObspyStation

from jaxloc.data.dataset import Dataset
from jaxloc.io.contributions import contributions, lost, table
from jaxloc.io.instruments import Quality, choose_instrument, instruments_of, sensor_rank
from jaxloc.io.waveforms import read_waveforms

START = UTCDateTime("2020-01-01T00:00:00")
HZ = {"Z": 1.0, "N": 1.5, "E": 2.5}
"""Each component of the ground motion is a sine of its own frequency."""


def motion(component: str, rate_hz: float, length_s: float = 60.0, start_s: float = 0.0) -> np.ndarray:
    time_s = start_s + np.arange(int(length_s * rate_hz)) / rate_hz
    return 1000 * np.sin(2 * np.pi * HZ[component] * time_s)


class Toy:
    """A folder of miniSEED that grows channel by channel."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        (folder / "mseed").mkdir()
        rows = "".join(f"XX.{code},64.{i},-21.{i},100\n" for i, code in enumerate(("AA", "BB", "CC")))
        (folder / "stations.csv").write_text("code,latitude,longitude,elevation\n" + rows)

    def add(self, channel: str, data: np.ndarray, rate_hz: float = 50.0, start_s: float = 0.0) -> None:
        header = dict(zip(("network", "station", "location", "channel"), channel.split("."), strict=True))
        header |= dict(sampling_rate=rate_hz, starttime=START + start_s)
        path = self.folder / "mseed" / f"{self.number:02d}.mseed"
        Trace(data.astype(np.float32), header).write(str(path), format="MSEED")
        self.number += 1

    def add_station(self, code: str, instrument: str, rate_hz: float = 50.0, scale: float = 1.0, **more: float) -> None:
        """Z, N, E of one instrument, LOC.BI."""
        location, _, band = instrument.rpartition(".")
        for component in "ZNE":
            self.add(f"XX.{code}.{location}.{band}{component}", scale * motion(component, rate_hz, **more), rate_hz,
                     more.get("start_s", 0.0))  # fmt: skip

    def read(self, inventory: Inventory | None = None, starts=(20.0,), length_s: float = 10.0) -> Dataset:
        source = self.folder / "stations.csv" if inventory is None else inventory
        windows = [START + start for start in starts]
        return read_waveforms(self.folder / "mseed", source, windows, rate_hz=50.0, num_samples=int(50 * length_s))


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def expected(start_s: float, scale: float = 1.0) -> np.ndarray:
    return scale * np.stack([motion(component, 50.0, 10.0, start_s) for component in "ZNE"])


def good(number: float = 1.0) -> Quality:
    return Quality("", number, 100.0)


@pytest.mark.parametrize(
    ("channels", "chosen"),
    [
        ({"00.HHZ": good(), "00.HHN": good(), "00.HHE": good(), ".EHZ": good()}, "00.HH"),
        ({".HHZ": good(), ".HHN": good(), ".HHE": good(), ".HNZ": Quality("", 1, 200), ".HNN": Quality("", 1, 200),
          ".HNE": Quality("", 1, 200)}, "HH"),
        ({"10.HHZ": good(), "00.HHZ": good()}, "00.HH"),
        ({".HHZ": good(), "00.HHZ": good()}, "HH"),
        ({"00.HHZ": Quality("zero", 0, 100), "10.HHZ": good()}, "10.HH"),
        ({"00.HHZ": good(0.5), "10.HHZ": good()}, "10.HH"),
        ({"00.HHZ": good(0.99), "10.HHZ": good()}, "00.HH"),
        ({".BHZ": Quality("", 1, 20), ".HHZ": good()}, "HH"),
        ({".BHZ": Quality("", 1, 50), ".HHZ": good()}, "HH"),
        ({".HHZ": Quality("", 1, 20), ".HNZ": good()}, "HH"),
        ({"00.HHZ": good(), "10.HHN": good(), "10.HHE": good()}, "10+00.HH"),
        ({"00.HHZ": good(), "00.HHN": Quality("constant", 1, 100), "10.HHN": good(), "10.HHE": good()}, "10+00.HH"),
        ({".EHZ": good(), ".HNN": good(), ".HNE": good()}, "HN"),
        ({".HHU": good(), ".HHV": good(), ".HHW": good(), ".BHZ": good()}, "HH"),
        ({".HH1": good(), ".HH2": good(), ".HH3": good(), ".BHZ": good(), ".BHN": good()}, "HH"),
    ],
)  # fmt: skip
def test_rule(channels: dict[str, Quality], chosen: str) -> None:
    qualities = {f"XX.AA.{name}": quality for name, quality in channels.items()}
    assert choose_instrument(instruments_of(qualities), qualities, 50.0)[0].name == chosen


@pytest.mark.parametrize(
    ("code", "rank"), [("HHZ", 0), ("EHZ", 0), ("SPZ", 0), ("Z", 0), ("HNZ", 1), ("BGZ", 1), ("LDO", 2)]
)
def test_sensors(code: str, rank: int) -> None:
    assert sensor_rank(code) == rank


def add_accelerometer_of_a_higher_rate(toy: Toy) -> None:
    toy.add_station("AA", "HH", 100.0)
    toy.add_station("AA", "HN", 200.0, scale=0.1)


def add_components_in_two_locations(toy: Toy) -> None:
    toy.add("XX.AA.00.HHZ", motion("Z", 50.0))
    toy.add("XX.AA.10.HHN", motion("N", 50.0))
    toy.add("XX.AA.10.HHE", motion("E", 50.0))


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (add_accelerometer_of_a_higher_rate, r"chosen among several instruments: XX.AA HH \(not HN\)"),
        (add_components_in_two_locations, r"combined of several instruments: XX.AA 10\+00.HH"),
    ],
)
def test_several_instruments_of_a_station_are_reported(toy: Toy, add, message: str) -> None:
    add(toy)
    data = toy.read()
    with pytest.warns(UserWarning, match=message):
        waveforms = data.take(np.array([0])).observations.waveforms
    np.testing.assert_allclose(waveforms[0, 0], expected(20), atol=15)


def test_a_location_code_that_changes_between_events(toy: Toy) -> None:
    """BB and CC move from blank to 10 after a minute; the third event is an hour later, with other codes for all."""
    toy.add_station("AA", "HH", length_s=240)
    for code in ("BB", "CC"):
        toy.add_station(code, "HH")
        toy.add_station(code, "10.HH", start_s=100.0)
    for code in ("AA", "BB", "CC"):
        toy.add_station(code, "20.EH", start_s=3600.0)
    starts = (20, 120, 3620)
    seen = toy.read(starts=starts).take(np.arange(3)).observations
    assert seen.station_mask.all()
    assert seen.sample_mask.all()
    for event, start in enumerate(starts):
        for station in range(3):
            np.testing.assert_allclose(seen.waveforms[event, station], expected(start), atol=15)


def test_the_active_instrument_of_each_window_is_used(toy: Toy) -> None:
    """00 is dead in the first window, 10 in the second: each window has the other one."""
    for location, dead in (("00", slice(0, 1500)), ("10", slice(1500, 3000))):
        for component in "ZNE":
            data = motion(component, 50.0)
            data[dead] = 17.0
            toy.add(f"XX.AA.{location}.HH{component}", data)
    seen = toy.read(starts=(10, 45)).take(np.arange(2)).observations
    assert seen.sample_mask.all()
    for event, start in enumerate((10, 45)):
        np.testing.assert_allclose(seen.waveforms[event, 0], expected(start), atol=15)


def oriented(letters: str, azimuths_deg, dips_deg) -> Inventory:
    channels = [
        Channel(f"HH{letter}", "", 64, -21, 100, 0, azimuth=azimuth, dip=dip)
        for letter, azimuth, dip in zip(letters, azimuths_deg, dips_deg, strict=True)
    ]
    return Inventory([Network("XX", [ObspyStation("AA", 64.0, -21.0, 100.0, channels=channels)])], source="test")


def turned(azimuths_deg, dips_deg, rate_hz: float = 50.0) -> np.ndarray:
    """The ground motion along three axes."""
    azimuth, dip = np.deg2rad(azimuths_deg), np.deg2rad(dips_deg)
    axes = np.stack([-np.sin(dip), np.cos(dip) * np.cos(azimuth), np.cos(dip) * np.sin(azimuth)], -1)
    return axes @ np.stack([motion(component, rate_hz) for component in "ZNE"])


ORIENTATIONS = {
    "borehole": ("Z12", (0.0, 37.0, 127.0), (-90.0, 0.0, 0.0)),
    "borehole 123": ("123", (200.0, 290.0, 0.0), (0.0, 0.0, -90.0)),
    "vertical first": ("123", (0.0, 0.0, 90.0), (-90.0, 0.0, 0.0)),
    "misoriented": ("ZNE", (0.0, 12.0, 102.0), (-90.0, 0.0, 0.0)),
    "upside down": ("ZNE", (0.0, 0.0, 90.0), (90.0, 0.0, 0.0)),
    "reversed": ("ZNE", (0.0, 180.0, 270.0), (-90.0, 0.0, 0.0)),
    "Galperin": ("UVW", (270.0, 30.0, 150.0), (-35.2644,) * 3),
    "other Galperin": ("UVW", (90.0, 330.0, 210.0), (-35.2644,) * 3),
    "XYZ": ("XYZ", (0.0, 90.0, 0.0), (0.0, 0.0, -90.0)),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_orientation_from_the_inventory(toy: Toy, name: str) -> None:
    letters, azimuths_deg, dips_deg = ORIENTATIONS[name]
    for letter, data in zip(letters, turned(azimuths_deg, dips_deg), strict=True):
        toy.add(f"XX.AA..HH{letter}", data)
    data = toy.read(oriented(letters, azimuths_deg, dips_deg))
    np.testing.assert_allclose(data.take(np.array([0])).observations.waveforms[0, 0], expected(20), atol=15)


def test_a_single_vertical_that_points_down(toy: Toy) -> None:
    toy.add("XX.AA..HHZ", -motion("Z", 50.0))
    waveforms = toy.read(oriented("Z", (0.0,), (90.0,))).take(np.array([0])).observations.waveforms
    np.testing.assert_allclose(waveforms[0, 0, 0], expected(20)[0], atol=15)


@pytest.mark.parametrize(
    ("letters", "components", "message"),
    [
        ("Z12", "ZNE", "1 taken for N, 2 taken for E.*XX.AA HH"),
        ("312", "ZNE", "3 taken for Z, 1 taken for N, 2 taken for E"),
        ("ZYX", "ZNE", "Y taken for N, X taken for E"),
        ("ZNEH", "ZNE", None),
    ],
)
def test_letters_without_an_inventory(toy: Toy, letters: str, components: str, message: str | None) -> None:
    for letter, component in zip(letters, components + "Z", strict=False):
        toy.add(f"XX.AA..HH{letter}", motion(component, 50.0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = toy.read()
    np.testing.assert_allclose(data.take(np.array([0])).observations.waveforms[0, 0], expected(20), atol=15)
    texts = " ".join(str(w.message) for w in caught)
    if message is None:
        assert "taken for" not in texts
    else:
        with pytest.warns(UserWarning, match=message):
            toy.read()


def test_a_triaxial_sensor_without_orientation_gives_its_vertical(toy: Toy) -> None:
    for letter, data in zip("UVW", turned((270.0, 30.0, 150.0), (-35.2644,) * 3), strict=True):
        toy.add(f"XX.AA..HH{letter}", data)
    with pytest.warns(UserWarning, match="U, V, W without orientation give the vertical alone.*XX.AA HH"):
        data = toy.read()
    waveforms = data.take(np.array([0])).observations.waveforms[0, 0]
    np.testing.assert_allclose(waveforms[0], expected(20)[0], atol=15)
    assert not waveforms[1:].any()


def test_each_station_reports_its_contribution(toy: Toy) -> None:
    """AA is whole, BB stops in the window and has a dead component, CC holds nothing in it."""
    toy.add_station("AA", "HH")
    for component in "ZN":
        toy.add(f"XX.BB.10.HH{component}", motion(component, 50.0, 26.0))
    toy.add("XX.BB.10.HHE", np.full(1300, 3.0))
    toy.add_station("CC", "HH", start_s=100.0)
    data = toy.read(starts=(20, 110))
    found = contributions(data, 0)
    assert [one.components for one in found] == ["ZNE", "ZN", ""]
    np.testing.assert_allclose([one.recorded for one in found], [1, 0.6, 0], atol=0.01)
    assert [one.channels for one in found] == ["HH", "10.HH", ""]
    assert lost(found) == "gaps filled with zeros at XX.BB 40%; nothing from XX.CC (no record)"
    assert table(found)[1].split() == ["XX.BB", "10.HH", "ZN", "60%", "E", "constant,", "40%", "not", "recorded"]
    assert [one.components for one in contributions(data, 1)] == ["", "", "ZNE"]
    with pytest.warns(UserWarning, match=r"window at 2020-01-01T00:01:50.* nothing from XX.AA, XX.BB \(no record\)"):
        toy.read(starts=(110,)).take(np.array([0]))
