"""Ground motion and Wood-Anderson records of counts that ObsPy's responses made of known displacement."""

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as ObspyStation
from obspy.core.inventory.response import InstrumentSensitivity

from jaxloc.io.channel_records import Span, Stretch
from jaxloc.io.ground_motion import has_responses, to_displacement, to_wood_anderson
from jaxloc.io.responses import TAPER_S, corrected
from jaxloc.physics.wood_anderson import GAIN as WOOD_ANDERSON_GAIN
from jaxloc.physics.wood_anderson import POLES_RAD_S, wood_anderson_response

START = UTCDateTime("2020-01-01T00:00:00")
RATE_HZ, NUM = 100.0, 6000
TIME_S = np.arange(NUM) / RATE_HZ
POLES = [-0.037 + 0.037j, -0.037 - 0.037j]  # of a broad-band seismometer
GAIN = 6e8
AMPLITUDE_M = 1e-6


def response(units: str = "M/S") -> Response:
    zeros = {"M/S": [0j, 0j], "M/S**2": [0j], "PA": [0j, 0j]}[units]
    return Response.from_paz(zeros, POLES, GAIN, input_units=units, output_units="COUNTS")


def inventory(given: Response | None, code: str = "HH", end: UTCDateTime | None = None) -> Inventory:
    channels = [
        Channel(
            f"{code}{c}",
            "",
            64.0,
            -21.0,
            0,
            0,
            azimuth=az,
            dip=dip,
            start_date=START - 86400,
            end_date=end,
            response=given,
        )
        for c, az, dip in (("Z", 0, -90), ("N", 0, 0), ("E", 90, 0))
    ]
    station = ObspyStation("AA", 64.0, -21.0, 0, channels=channels)
    return Inventory([Network("XX", [station])], source="test")


def displacement_m(hz: float) -> np.ndarray:
    return AMPLITUDE_M * np.cos(2 * np.pi * hz * TIME_S) * np.exp(-(((TIME_S - 30) / 8) ** 2))


def counts_of(metres: np.ndarray, given: Response, code: str = "HH") -> Stream:
    """What a channel records of a displacement, by the spectrum of its response."""
    hz = np.fft.rfftfreq(2 * NUM, 1 / RATE_HZ)
    gain = np.zeros(len(hz), complex)
    gain[1:] = given.get_evalresp_response_for_frequencies(hz[1:], output="DISP")
    data = np.fft.irfft(np.fft.rfft(metres, 2 * NUM) * gain)[:NUM]
    header = {"network": "XX", "station": "AA", "location": "", "sampling_rate": RATE_HZ, "starttime": START}
    return Stream([Trace(data.copy(), header | {"channel": code + c}) for c in "ZNE"])


@pytest.mark.parametrize("units", ["M/S", "M/S**2"])
@pytest.mark.parametrize("hz", [1.0, 3.0, 8.0])
def test_displacement_and_wood_anderson_amplitude_are_recovered(units, hz):
    given = response(units)
    stream = counts_of(displacement_m(hz), given)
    options = (inventory(given), ["XX.AA"], START + 12, 36.0)
    found = to_displacement(stream, *options)
    assert found.reasons == ("",)
    assert found.usable.all()
    np.testing.assert_allclose(found.records[0, 2], displacement_m(hz)[1200:4800], atol=0.02 * AMPLITUDE_M)
    torsion = to_wood_anderson(stream, *options)
    expected_mm = 1e3 * AMPLITUDE_M * abs(wood_anderson_response(np.array(hz)))
    assert np.abs(torsion.records).max() == pytest.approx(expected_mm, rel=0.02)
    assert "gain 2080" in torsion.about


def test_the_wood_anderson_response_is_its_gain_above_its_period():
    assert abs(wood_anderson_response(np.array(100.0))) == pytest.approx(2080, rel=1e-3)
    assert abs(wood_anderson_response(np.array(0.0))) == 0
    assert abs(wood_anderson_response(np.array(1 / 0.8))) == pytest.approx(2080 / (2 * 0.7), rel=0.01)


@pytest.mark.parametrize(
    ("stations", "match"),
    [
        (inventory(None), "has no response"),
        (
            inventory(Response(instrument_sensitivity=InstrumentSensitivity(GAIN, 1.0, "M/S", "COUNTS"))),
            "only a sensitiv",
        ),
        (inventory(response("PA")), "to PA, not to ground motion"),
        (inventory(response(), code="BH"), "is not in the inventory"),
        (inventory(response(), end=START - 1), "no epoch of XX.AA..HHZ in the inventory covers"),
    ],
)
def test_without_a_response_there_is_a_reason_and_no_record(stations, match):
    stream = counts_of(displacement_m(3.0), response())
    found = to_wood_anderson(stream, stations, ["XX.AA", "XX.BB"], START + 12, 36.0)
    assert match in found.reasons[0]
    assert found.reasons[1] == "no record"
    assert not found.usable.any()
    assert not found.records.any()


def test_only_channels_with_stages_count_as_responses(tmp_path):
    table = tmp_path / "stations.csv"
    table.write_text("network,station,latitude,longitude,elevation\nXX,AA,64.0,-21.0,100\n")
    bare = Response(instrument_sensitivity=InstrumentSensitivity(GAIN, 1.0, "M/S", "COUNTS"))
    assert has_responses(inventory(response()))
    assert not has_responses(inventory(bare))
    assert not has_responses(table)
    assert not has_responses(None)
    stream = counts_of(displacement_m(3.0), response())
    assert "table" in to_wood_anderson(stream, table, ["XX.AA"], START, 20.0).reasons[0]


def test_samples_near_gaps_and_ends_are_not_usable():
    given = response()
    stream = counts_of(displacement_m(3.0), given)
    stream[2].data[3000:3100] = np.nan
    found = to_displacement(stream, inventory(given), ["XX.AA"], START, 60.0)
    usable = found.usable[0]
    assert not usable[:, :295].any()
    assert not usable[:, -290:].any()
    assert usable[:2, 310:5690].all()
    assert not usable[2, 2710:3390].any()
    assert usable[2, 310:2690].all()


def test_clipped_samples_are_marked_and_an_instrument_that_is_not_clipped_is_preferred():
    given = response()
    stream = counts_of(displacement_m(3.0), given)
    for trace in stream:
        trace.data = np.clip(np.round(trace.data), -5000, 5000)
    marked = to_displacement(stream, inventory(given), ["XX.AA"], START + 12, 36.0)
    assert marked.clipped[0].any()
    slow = response("M/S**2")
    both = stream + counts_of(displacement_m(3.0), slow, code="HN")
    stations = inventory(given) + inventory(slow, code="HN")
    found = to_displacement(both, stations, ["XX.AA"], START + 12, 36.0)
    assert not found.clipped.any()
    np.testing.assert_allclose(found.records[0, 0], displacement_m(3.0)[1200:4800], atol=0.02 * AMPLITUDE_M)


def test_impossible_numbers_are_refused():
    stream = counts_of(displacement_m(3.0), response())
    with pytest.raises(ValueError, match="duration_s must be positive, got 0"):
        to_displacement(stream, inventory(response()), ["XX.AA"], START, 0.0)


@pytest.mark.parametrize("wood_anderson", [True, False])
@pytest.mark.parametrize("units", ["M/S", "M/S**2"])
@pytest.mark.parametrize("number", [2500, 5999])
def test_values_are_those_of_obspys_response_tools(wood_anderson: bool, units: str, number: int):
    """ObsPy computes the response for each record; here it is computed once for a length of transform."""
    rng, given = np.random.default_rng(number), response(units)
    envelope = np.exp(-(((TIME_S[:number] - 12) / 3) ** 2))
    counts = 1e3 * envelope * rng.standard_normal(number) + 5 * rng.standard_normal(number) + 200
    expected = Trace(counts.copy(), {"sampling_rate": RATE_HZ, "starttime": START})
    expected.stats.response = given
    taper = TAPER_S / (number / RATE_HZ)
    expected.remove_response(output="DISP", pre_filt=(0.25, 0.5, 40, 47.5), water_level=None, taper_fraction=taper)
    if wood_anderson:
        paz = {"poles": list(POLES_RAD_S), "zeros": [0j, 0j], "gain": 1.0, "sensitivity": WOOD_ANDERSON_GAIN}
        expected.simulate(paz_simulate=paz, taper=False, zero_mean=False)
        expected.data *= 1e3  # mm
    found = corrected(Stretch(counts, np.ones(number, bool), RATE_HZ, START), given, 0.5, wood_anderson).stretch
    assert found is not None
    error = np.abs(found.samples - expected.data)[found.recorded]
    assert error.max() < 0.01 * np.abs(expected.data[found.recorded]).max()


@pytest.mark.parametrize(("grid_hz", "late_s"), [(100.0, 0.0), (200.0, 0.0), (200.0, 0.0137), (50.0, 0.0061)])
def test_records_are_interpolated_onto_a_grid(grid_hz: float, late_s: float):
    """A wave of 3 Hz on times between the samples, and on twice and half as many."""
    given, start = response(), START + late_s
    hz, time_s = 3.0, np.arange(4000) / RATE_HZ + late_s
    wave = lambda time_s: 1e-6 * np.cos(2 * np.pi * hz * time_s) * np.exp(-(((time_s - 20) / 5) ** 2))
    gain = given.get_evalresp_response_for_frequencies(np.array([hz]), output="DISP")[0]
    turned = 1e-6 * np.cos(2 * np.pi * hz * time_s + np.angle(gain)) * np.exp(-(((time_s - 20) / 5) ** 2))
    stretch = Stretch(abs(gain) * turned, np.ones(4000, bool), RATE_HZ, start)
    found = corrected(stretch, given, 0.5, False, Span(START, 8000, grid_hz)).stretch
    assert found is not None
    assert found.rate_hz == grid_hz
    at_s = float(found.start - START) + np.arange(len(found.samples)) / grid_hz
    assert np.abs(at_s * grid_hz - np.round(at_s * grid_hz)).max() < 1e-6
    np.testing.assert_allclose(found.samples[found.recorded], wave(at_s)[found.recorded], atol=0.02e-6)


def test_a_response_is_computed_once(monkeypatch: pytest.MonkeyPatch):
    """Windows of a channel of lengths that need transforms of one size share it."""
    given, calls = response(), []
    evaluate = Response.get_evalresp_response
    monkeypatch.setattr(
        Response, "get_evalresp_response", lambda *args, **options: calls.append(1) or evaluate(*args, **options)
    )
    for number in (2500, 2600, 3000, 2500):
        stretch = Stretch(np.random.default_rng(0).standard_normal(number), np.ones(number, bool), RATE_HZ, START)
        assert corrected(stretch, given, 0.5, True).stretch is not None
    assert len(calls) == 1
