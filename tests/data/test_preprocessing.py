"""What readers do to waveforms: missing samples, the time grid, resampling, filters, components."""

import warnings

import numpy as np
import pytest

from jaxloc.data.components import component_places, order_components, rotation_to_zne
from jaxloc.data.gaps import bridged, demean, is_silent, recorded_samples, silent_reasons
from jaxloc.data.preprocessing import (
    bandpass,
    bandpass_settled,
    between_samples,
    detrend,
    grid_position,
    onto_grid,
    resample,
)

NOISE = np.random.default_rng(1).normal(size=(1, 1, 1000))
ON_OFFSET = 5e4 + 100 * NOISE


def test_resample_keeps_a_band_and_drops_aliases() -> None:
    time_s = np.arange(4000) / 100
    low, high = np.sin(2 * np.pi * 3 * time_s), np.sin(2 * np.pi * 18 * time_s)
    out = resample(low + high, 100, 25)
    np.testing.assert_allclose(out[50:-50], np.sin(2 * np.pi * 3 * np.arange(1000) / 25)[50:-50], atol=0.02)
    assert resample(low, 99.9999, 100) is low


@pytest.mark.parametrize("rates", [(0, 10), (10, np.nan), (1e-3, 100)])
def test_wrong_sampling_rates_are_refused(rates) -> None:
    with pytest.raises(ValueError, match=r"rate|resample"):
        resample(np.zeros(4000), *rates)


def test_bandpass_is_narrow() -> None:
    """The corner of a Butterworth filter is at -3 dB."""
    time_s = np.arange(10_000) / 100
    out = bandpass(np.sin(2 * np.pi * 10 * time_s), 100, (1, 10))
    assert out[5000:].std() * 2**0.5 == pytest.approx(10 ** (-3.0103 / 20), abs=1e-3)


@pytest.mark.parametrize(("zero_phase", "begin"), [(False, 0), (True, 490)])
def test_bandpass_is_causal_except_at_zero_phase(zero_phase, begin) -> None:
    spike = np.zeros(1000)
    spike[500] = 1
    assert bandpass(spike, 100, (1, 10), zero_phase=zero_phase)[begin:500].any() == zero_phase


def test_component_orders() -> None:
    waveforms = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(order_components(waveforms, "2H1Z"), [[6, 7], [4, 5], [0, 1]])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda waveforms: order_components(waveforms, "XY"), "XY"),
        (lambda waveforms: order_components(waveforms[:2], "ZNE"), "needs 3 components, got 2"),
    ],
)
def test_wrong_components_are_refused(action, message) -> None:
    with pytest.raises(ValueError, match=message):
        action(np.arange(8.0).reshape(4, 2))


@pytest.mark.parametrize(
    ("letters", "places"),
    [
        ("ZNE", {"Z": 0, "N": 1, "E": 2}),
        ("12Z", {"Z": 0, "1": 1, "2": 2}),
        ("123", {"3": 0, "1": 1, "2": 2}),
        ("XYZ", {"Z": 0, "Y": 1, "X": 2}),
        ("zne", {"Z": 0, "N": 1, "E": 2}),
        ("N1Z", {"Z": 0, "N": 1}),
        ("XY", {}),
        ("UVW", {}),
    ],
)
def test_component_letters(letters: str, places: dict[str, int]) -> None:
    assert component_places(letters) == places


STS2 = ((270.0, 30.0, 150.0), (-35.2644,) * 3)
"""U, V, W of a Streckeisen STS-2: U points west; each axis 54.7 degrees from the vertical."""


@pytest.mark.parametrize(
    ("azimuths_deg", "dips_deg"),
    [
        ((0.0, 0.0, 90.0), (-90.0, 0.0, 0.0)),
        ((0.0, 37.0, 127.0), (-90.0, 0.0, 0.0)),
        ((0.0, 180.0, 90.0), (90.0, 0.0, 0.0)),
        STS2,
    ],
)
def test_rotation_recovers_ground_motion(azimuths_deg, dips_deg) -> None:
    azimuth, dip = np.deg2rad(azimuths_deg), np.deg2rad(dips_deg)
    up, north, east = np.random.default_rng(0).normal(size=(3, 5))
    motion = np.stack([up, north, east])
    recorded = np.outer(-np.sin(dip), up) + np.outer(np.cos(dip) * np.cos(azimuth), north)
    recorded += np.outer(np.cos(dip) * np.sin(azimuth), east)
    np.testing.assert_allclose(rotation_to_zne(azimuths_deg, dips_deg) @ recorded, motion, atol=1e-12)


def test_the_vertical_of_a_triaxial_sensor_needs_no_orientation() -> None:
    axes = np.linalg.inv(rotation_to_zne(*STS2))
    motion = np.random.default_rng(0).normal(size=(3, 7))
    out = order_components(axes @ motion, "UVW")
    np.testing.assert_allclose(out[0], motion[0], atol=1e-5)
    assert not out[1:].any()


@pytest.mark.parametrize(
    ("azimuths_deg", "dips_deg"), [((0, 0, 90), (0, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((np.nan, 0, 90), (-90, 0, 0))]
)
def test_unknown_orientation_gives_no_rotation(azimuths_deg, dips_deg) -> None:
    assert rotation_to_zne(azimuths_deg, dips_deg) is None


def spoilt(change) -> np.ndarray:
    waveforms = ON_OFFSET.copy()
    change(waveforms[0, 0])
    return waveforms


def put(begin: int | None, end: int | None, value: float | str):
    def change(x: np.ndarray) -> None:
        x[begin:end] = x[begin - 1] if value == "last" else value

    return change


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (put(300, 340, np.nan), (300, 340)),
        (put(300, 301, np.inf), (300, 301)),
        (put(300, 400, 0.0), (300, 400)),
        (put(300, 400, "last"), (299, 400)),
        (put(300, 400, -12345.0), (300, 400)),
        (put(700, None, 0.0), (700, 1000)),
        (put(700, None, "last"), (699, 1000)),
        (put(None, 80, 0.0), (0, 80)),
        (put(990, None, 0.0), (990, 1000)),
        (put(None, 80, 5e4), (0, 80)),
    ],
    ids=["nan", "inf", "zeros", "held", "code", "zero tail", "held tail", "zero head", "short tail", "mean head"],
)
@pytest.mark.parametrize("filtered", [False, True])
def test_missing_samples_leave_the_rest_as_it_was(change, missing, filtered: bool) -> None:
    """A record of noise on a large offset: the recorded part is as in the whole record, whatever fills the rest."""
    waveforms = spoilt(change)
    recorded = recorded_samples(waveforms)
    expected = np.ones(1000, bool)
    expected[slice(*missing)] = False
    np.testing.assert_array_equal(recorded[0, 0], expected)
    out = bridged(demean(np.where(recorded, waveforms, 0), recorded), recorded)
    whole = ON_OFFSET - ON_OFFSET[recorded].mean()
    if filtered:
        out = bandpass_settled(out, recorded, 100.0, (2.0, 10.0))
        whole = bandpass_settled(whole, np.ones_like(recorded), 100.0, (2.0, 10.0))
        # The filter settles within three periods of the lower corner; before that the error is that of noise.
        assert np.abs(out - whole)[recorded].max() < 4 * whole.std()
        expected[slice(missing[1], missing[1] + 150)] = False
    np.testing.assert_allclose(out[0, 0, expected], whole[0, 0, expected], atol=0.1 * whole.std())


@pytest.mark.parametrize(
    "waveform",
    [
        np.round(0.4 * NOISE),  # noise below one count: long runs of zero between single counts
        np.clip(np.sin(np.arange(1000) / 20), -0.8, 0.8)[None, None],  # clipped, 26 samples at a time
        np.where(np.arange(1000) == 500, 1.0, 0.0)[None, None],  # a spike without noise
        np.full((1, 1, 1000), 7.0),
        np.exp(-0.5 * ((np.arange(1000) - 400) / 3) ** 2)[None, None].astype(np.float32),
        np.exp(-0.5 * ((np.arange(1000) - 400) / 15) ** 2)[None, None].astype(np.float32),
    ],
    ids=["quantised", "clipped", "spike", "constant", "short pulse", "long pulse"],
)
def test_constant_runs_that_were_recorded(waveform) -> None:
    assert recorded_samples(waveform).all()


def test_samples_beyond_a_trace_are_not_recorded() -> None:
    waveforms = np.zeros((1, 3, 10))
    waveforms[0, 0, :4] = [5, 7, np.nan, 4]
    waveforms[0, 1, :4] = 3.0
    recorded = recorded_samples(waveforms, np.array([4]))
    np.testing.assert_array_equal(recorded[0, 0], [1, 1, 0, 1, 0, 0, 0, 0, 0, 0])
    centred = demean(np.where(recorded, waveforms, 0), recorded)
    np.testing.assert_allclose(centred[0, 0, :4], [5 - 16 / 3, 7 - 16 / 3, 0, 4 - 16 / 3])
    assert not centred[..., 4:].any()
    np.testing.assert_array_equal(silent_reasons(waveforms, recorded), [["", "constant", "zero"]])
    assert is_silent(np.zeros((2, 3, 5))).all()


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        (np.zeros(1000), "zero"),
        (np.full(1000, 1234.5), "constant"),
        (1e-30 * NOISE[0, 0], "too small"),
        (1e30 * NOISE[0, 0], "too large"),
        (np.full(1000, np.nan), "empty"),
        (np.clip(NOISE[0, 0], -0.5, 0.5), "clipped"),
        (1e-9 * NOISE[0, 0], ""),
        (np.clip(NOISE[0, 0], -2.5, 2.5), ""),
        (np.exp(-0.5 * ((np.arange(1000) - 400) / 10) ** 2), ""),
        (np.where(np.arange(1000) == 500, 1.0, 0.0), ""),
        (np.round(1e6 * NOISE[0, 0]), ""),
    ],
)
def test_silent_channels_are_named_without_library_warnings(waveform, reason) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = waveform.astype(np.float32)[None, None]
        assert silent_reasons(record, recorded_samples(record))[0, 0] == reason


@pytest.mark.parametrize(
    ("delay_s", "from_hz", "to_hz"),
    [
        (0.0, 100, 20),
        (0.024, 100, 20),
        (0.026, 100, 20),
        (0.024, 20, 20),
        (0.0333, 50, 20),
        (1.2345, 125, 50),
        (0.013, 40, 100),
    ],
)
def test_a_late_start_is_interpolated(delay_s, from_hz, to_hz) -> None:
    """A 2-Hz sine burst that is sampled from a start between grid points comes out in its place within 0.5 ms."""
    signal = lambda t: np.exp(-0.5 * ((t - 10) / 0.6) ** 2) * np.sin(2 * np.pi * 2 * (t - 10))
    record = signal(delay_s + np.arange(int(20 * from_hz)) / from_hz)
    first, skip, part = (x[0] for x in grid_position(np.array([delay_s]), from_hz, to_hz))
    out, recorded = onto_grid(record, np.ones(len(record), bool), from_hz, to_hz, skip, part)
    time_s = (first + np.arange(len(out))) / to_hz
    assert 0 <= first / to_hz - delay_s < 1 / to_hz
    assert recorded[:-8].all()
    # The slope is at most 4 pi per s.
    inside = slice(20, -20)
    np.testing.assert_allclose(out[inside], signal(time_s)[inside], atol=4 * np.pi * 0.5e-3)


def test_records_on_the_grid_are_not_interpolated() -> None:
    np.testing.assert_array_equal(grid_position(np.array([0.0, 0.5, 0.04]), 50.0, 50.0), [[0, 25, 2], [0] * 3, [0] * 3])
    assert between_samples(NOISE, 0.0) is NOISE


@pytest.mark.parametrize(("rate_hz", "lost"), [(50, np.arange(20, 25)), (200, np.arange(79, 100))])
def test_masks_follow_resampling(rate_hz, lost) -> None:
    recorded = np.ones(100, bool)
    recorded[40:50] = False
    out = onto_grid(np.zeros(100), recorded, 100, rate_hz, 0, 0.0)[1]
    np.testing.assert_array_equal(np.flatnonzero(~out), lost)


def test_no_drift_or_offset_rings_through_the_filter() -> None:
    time_s = np.arange(8000) / 100
    drift = 1e3 + 30 * np.sin(2 * np.pi * time_s / 60 + 1.0)
    out = bandpass_settled(drift, np.ones(8000, bool), 100.0, (1.0, 8.0))
    assert np.abs(out).max() < 0.02 * 30
    line = detrend(5 + 0.1 * time_s[None], np.ones((1, 8000), bool))
    np.testing.assert_allclose(line, 0, atol=1e-9)
