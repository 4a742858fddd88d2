"""Station tables and waveform files: toy miniSEED whose samples are known, and a real network."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime, read_inventory
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as ObspyStation
from obspy.core.inventory.response import InstrumentSensitivity

from jaxloc.data.dataset import Station
from jaxloc.io.waveforms import read_waveforms

START = UTCDateTime("2020-01-01T00:00:00")
TABLE = "network,station,latitude,longitude,elevation\nXX,AA,64.0,-21.0,100\nXX,BB,64.1,-21.2,250\n"


def sine(hz: float, rate_hz: float, length_s: float, start_s: float = 0.0) -> np.ndarray:
    return 1000 * np.sin(2 * np.pi * hz * (start_s + np.arange(int(length_s * rate_hz)) / rate_hz))


def trace(code: str, data: np.ndarray, rate_hz: float, start: UTCDateTime = START) -> Trace:
    network, station, location, channel = code.split(".")
    header = dict(network=network, station=station, location=location, channel=channel)
    return Trace(data.astype(np.float32), header | dict(sampling_rate=rate_hz, starttime=start))


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """AA at 100 Hz with an offset, Z N E; BB at 50 Hz with Z, 1, 2 and a gap of 10 s in Z."""
    whole = [trace(f"XX.AA..HH{c}", sine(hz, 100, 60) + 5e4, 100) for c, hz in zip("ZNE", (1, 2, 4), strict=True)]
    whole += [trace(f"XX.BB..HH{c}", sine(hz, 50, 60), 50) for c, hz in zip("12", (2, 4), strict=True)]
    pieces = [
        trace("XX.BB..HHZ", sine(1, 50, 20), 50),
        trace("XX.BB..HHZ", sine(1, 50, 30, 30), 50, START + 30),
    ]
    folder = tmp_path / "mseed"
    folder.mkdir()
    for i, one in enumerate(whole):
        one.write(str(folder / f"{i}.mseed"), format="MSEED")
    Stream(pieces).write(str(folder / "z.mseed"), format="MSEED")
    (tmp_path / "stations.csv").write_text(TABLE)
    return tmp_path


def test_windows_hold_the_right_samples(toy: Path) -> None:
    data = read_waveforms(
        toy / "mseed",
        toy / "stations.csv",
        [START + 8, "2020-01-01T00:00:40.5Z"],
        rate_hz=50,
        num_samples=500,
    )
    assert [station.code for station in data.stations] == ["XX.AA", "XX.BB"]
    assert len(data) == 2
    seen, labels = data.take(np.array([1, 0]))
    assert seen.waveforms.shape == (2, 2, 3, 500)
    assert seen.station_mask.all()
    for row, start_s in enumerate((40.5, 8.0)):
        for component, hz in enumerate((1, 2, 4)):
            for station in range(2):
                expected = sine(hz, 50, 10, start_s)
                if (row, station, component) == (1, 1, 0):
                    continue  # the gap begins 12 s into this window's piece
                # 1 %: what the anti-aliasing filter and the mean of a few unfinished periods leave.
                np.testing.assert_allclose(seen.waveforms[row, station, component], expected, atol=15)
    assert not labels["hypocentre"].mask.any()
    assert not labels["arrivals"].mask.any()


def test_a_gap_is_zero_and_reported(toy: Path) -> None:
    data = read_waveforms(toy / "mseed", toy / "stations.csv", [START + 15], rate_hz=50, num_samples=1000)
    waveforms = data.take(np.array([0])).observations.waveforms
    assert not waveforms[0, 1, 0, 251:749].any()
    assert waveforms[0, 1, 0, 751:].any()
    (toy / "mseed" / "3.mseed").unlink()
    (toy / "mseed" / "4.mseed").unlink()
    data = read_waveforms(toy / "mseed", toy / "stations.csv", [START + 15], rate_hz=50, num_samples=1000)
    with pytest.warns(UserWarning, match=r"gaps filled with zeros at XX.BB 50%"):
        data.take(np.array([0]))


def test_everything_by_default(toy: Path) -> None:
    data = read_waveforms(str(toy / "mseed" / "*.mseed"), toy / "stations.csv")
    assert (len(data), data.rate_hz, data.num_samples) == (1, 50.0, 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.take(np.array([0])).observations.station_mask.all()


def test_windows_from_a_table(toy: Path) -> None:
    (toy / "events.csv").write_text(
        "id,origin_time,latitude_deg,longitude_deg,depth_km,magnitude\ne1,2020-01-01T00:00:20,64.05,-21.1,7.5,\n"
    )
    data = read_waveforms(
        toy / "mseed", toy / "stations.csv", toy / "events.csv", rate_hz=50, num_samples=500, before_s=3.0
    )
    labels = data.take(np.array([0])).labels
    assert data.events[0].id == "e1"
    assert data.events[0].start == "2020-01-01T00:00:17.000000Z"
    np.testing.assert_allclose(labels["hypocentre"].value[0, 2:], [7.5, 3.0])
    assert labels["hypocentre"].mask.all()
    assert not labels["magnitude"].mask.any()


def test_trained_stations(toy: Path) -> None:
    given = (Station("XX.ZZ", 64.0, -21.1, 0.0), Station("XX.BB", 64.1, -21.2, 250.0))
    data = read_waveforms(toy / "mseed", toy / "stations.csv", stations=given)
    seen = data.take(np.array([0])).observations
    assert [station.code for station in data.stations] == ["XX.ZZ", "XX.BB", "XX.AA"]
    np.testing.assert_array_equal(seen.station_index[0], [0, 1, -1])
    np.testing.assert_array_equal(seen.station_mask[0], [False, True, True])
    with pytest.raises(ValueError, match=r"XX.AA"):
        read_waveforms(toy / "mseed", toy / "stations.csv", stations=given, unknown_stations="refuse")


@pytest.mark.parametrize("given", [Path, lambda path: read_inventory(str(path))], ids=["file", "inventory"])
def test_sensitivity_of_stationxml(toy: Path, given) -> None:
    def channel(code: str, units: str) -> Channel:
        total = InstrumentSensitivity(4e8, 1.0, units, "COUNTS")
        return Channel(code, "", 64, -21, 0, 0, response=Response(instrument_sensitivity=total))

    def station(code: str) -> ObspyStation:
        channels = [channel("HHZ", "M/S"), channel("HHN", "M/S**2")]
        return ObspyStation(code, 64.0, -21.0, 10.0, channels=channels)

    inventory = Inventory([Network("XX", [station("AA"), station("BB")])], source="test")
    inventory.write(str(toy / "stations.xml"), format="STATIONXML")
    counts = read_waveforms(toy / "mseed", toy / "stations.csv", [START + 5], num_samples=100)
    source = given(toy / "stations.xml")
    with pytest.warns(UserWarning, match=r"left in counts.*XX.AA..HHN"):
        metres = read_waveforms(toy / "mseed", source, [START + 5], num_samples=100)
    ours, theirs = (data.take(np.array([0])).observations.waveforms[0, 0] for data in (metres, counts))
    np.testing.assert_allclose(ours[0] * 4e8, theirs[0], rtol=1e-5)
    np.testing.assert_array_equal(ours[1], theirs[1])


@pytest.mark.parametrize(("rate_hz", "named"), [(100.0, "XX.BB 50 Hz"), (50.0, ""), (20.0, "")])
def test_stations_below_the_rate_asked_for_are_named(toy: Path, rate_hz: float, named: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_waveforms(toy / "mseed", toy / "stations.csv", [START], num_samples=100, rate_hz=rate_hz)
    said = [str(warning.message) for warning in caught if "sampled below" in str(warning.message)]
    assert [text.split(": ")[1] for text in said] == ([named] if named else [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(inventory="one.csv"), "inventory lacks: XX.BB"),
        (dict(files="nowhere"), "no waveform files"),
        (dict(files="broken.mseed"), "cannot be read"),
        (dict(windows=[START + 1e6]), "outside the data"),
        (dict(windows=["tomorrow"]), "'tomorrow' is no time"),
        (dict(windows=[]), "windows is empty"),
        (dict(windows="none.csv"), "no such file of windows"),
        (dict(windows="one.csv"), "neither a column start nor origin_time"),
        (dict(num_samples=None), "num_samples must be given"),
        (dict(bandpass_hz=(1.0, 40.0)), "bandpass_hz"),
        (dict(rate_hz=-1.0), "positive"),
    ],
)
def test_refuses(toy: Path, change: dict, message: str) -> None:
    (toy / "one.csv").write_text("\n".join(TABLE.splitlines()[:2]))
    (toy / "broken.mseed").write_bytes(b"no waveforms here" * 40)
    options = dict(files="mseed", inventory="stations.csv", windows=[START], num_samples=100) | change
    options = {name: toy / value if isinstance(value, str) else value for name, value in options.items()}
    with pytest.raises(ValueError, match=message):
        read_waveforms(**options)


DATA = Path(os.environ.get("JAXLOC_DATA", Path(__file__).parents[3] / "shared" / "data"))


def test_hengill() -> None:
    folder = DATA / "hengill_continuous"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set JAXLOC_DATA")
    data = read_waveforms(
        str(folder / "*.mseed"), folder / "stations.csv", ["2018-12-30T03:01:00", "2018-12-30T03:04:20"],
        rate_hz=100, num_samples=3000, bandpass_hz=(2.0, 20.0),
    )  # fmt: skip
    seen = data.take(np.arange(2)).observations
    assert len(data.stations) == 20
    assert seen.waveforms.shape == (2, 20, 3, 3000)
    assert seen.station_mask.all()
    assert np.isfinite(seen.waveforms).all()
    assert seen.waveforms.any(-1).all()
    # The network is 30 km wide and above sea level.
    assert np.ptp(seen.station_km[0, :, :2], axis=0).max() < 60
    assert (seen.station_km[..., 2] < 0).all()
