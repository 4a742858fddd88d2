"""Local magnitudes of simulated Wood-Anderson records: amplitudes, reasons, errors and their coverage."""

import jax
import numpy as np
import pytest

from jaxloc.detection.amplitudes import Amplitudes, half_swing, horizontal_amplitudes
from jaxloc.detection.local_magnitude import local_magnitude, magnitude_of_amplitudes
from jaxloc.detection.magnitude_curves import CURVES, correction
from jaxloc.detection.station_median import median_of_stations

KEY, RATE_HZ, CURVE = jax.random.key(0), 50.0, CURVES["iaspei"]
STATION_KM = np.array([[20.0, 0, 0], [0, 30.0, 0], [-40.0, 0, 0], [0, -50.0, 0]])
HYPOCENTRES = np.zeros((50, 4)) + [0.0, 0.0, 10.0, 0.0]
ARRIVAL_S = np.stack([np.linalg.norm(STATION_KM - HYPOCENTRES[0, :3], axis=-1) / v + 10 for v in (6.0, 3.5)], -1)


def records(magnitude: float, noise_mm: float = 1e-6) -> tuple[np.ndarray, np.ndarray]:
    """Wood-Anderson records of an S wave of 2 Hz of the amplitude of a magnitude, P of a fifth, and noise."""
    rng = np.random.default_rng(0)
    time_s = np.arange(2000) / RATE_HZ
    far_km = np.linalg.norm(STATION_KM - HYPOCENTRES[0, :3], axis=-1)
    amplitude_mm = 10 ** (magnitude - correction(CURVE, far_km))
    pulse = lambda at: np.exp(-(((time_s - at - 1) / 0.8) ** 2)) * np.sin(2 * np.pi * 2 * (time_s - at - 1))
    waves = np.stack([a * (pulse(s) + 0.2 * pulse(p)) for a, (p, s) in zip(amplitude_mm, ARRIVAL_S, strict=True)])
    return waves[:, None] + noise_mm * rng.standard_normal((4, 3, 2000)), np.ones((4, 3, 2000), bool)


def magnitude_of(seen: np.ndarray, usable: np.ndarray, **given):
    return local_magnitude(KEY, seen, usable, RATE_HZ, HYPOCENTRES, STATION_KM, ARRIVAL_S, CURVE, **given)


def test_the_magnitude_of_known_amplitudes_is_recovered():
    found = magnitude_of(*records(2.5))
    assert found.magnitude == pytest.approx(2.5, abs=0.03)  # the largest swing is a little below the envelope's
    assert 0.1 < found.sd < 0.2
    assert found.reasons == ("",) * 4
    assert found.curve == "iaspei"
    np.testing.assert_allclose(found.station, 2.5, atol=0.03)


def test_half_of_the_largest_swing_is_measured_and_drifts_are_not():
    time_s = np.arange(1000) / RATE_HZ
    sine = 3 * np.sin(2 * np.pi * time_s)
    assert half_swing(sine + 0.5 * time_s, RATE_HZ) == pytest.approx(3, abs=0.3)
    assert half_swing(sine, RATE_HZ) == pytest.approx(3, rel=0.01)


def test_each_station_without_an_amplitude_has_its_reason():
    seen, usable = records(2.0, 0.1)
    seen[1, :, :] = 0.1 * np.random.default_rng(1).standard_normal((3, 2000))
    usable[0, 1:] = False
    usable[2, 2, 900] = False
    arrivals = ARRIVAL_S.copy()
    arrivals[3] = 2.0, 8.0
    found = horizontal_amplitudes(seen, usable, RATE_HZ, arrivals)
    expected = ("no horizontal", "signal-to-noise ratio", "samples missing", "of noise before P, 2 s are needed")
    assert all(text in reason for text, reason in zip(expected, found.reasons, strict=True))
    assert np.isnan(found.amplitude).all()
    clipped = np.zeros_like(usable)
    clipped[0, 1, round(ARRIVAL_S[0, 1] * RATE_HZ) + 20] = True
    seen, usable = records(2.0)
    assert magnitude_of(seen, usable, clipped=clipped).reasons[0].startswith("clipped")
    late = ARRIVAL_S + [0.0, 40.0]
    assert "after its end" in horizontal_amplitudes(seen, usable, RATE_HZ, late).reasons[0]
    assert "no arrival" in horizontal_amplitudes(seen, usable, RATE_HZ, late * np.nan).reasons[0]


def test_reasons_known_before_are_kept_and_far_stations_left_out():
    near = CURVE._replace(farthest_km=45.0)
    seen, usable = records(2.0)
    given = ("", "no response", "", "")
    found = local_magnitude(KEY, seen, usable, RATE_HZ, HYPOCENTRES, STATION_KM, ARRIVAL_S, near, reasons=given)
    assert found.reasons == ("", "no response", "", "51 km away, beyond the 45 km of iaspei")
    assert np.isfinite(found.station).tolist() == [True, False, True, False]


def test_without_any_station_there_is_no_number():
    found = magnitude_of(*records(2.0), reasons=("no response",) * 4)
    assert np.isnan([found.magnitude, found.sd, *found.draws, *found.station]).all()


def test_the_uncertainty_of_the_location_enters_the_magnitude():
    """Two possible depths make two possible magnitudes of a station right above."""
    measured = Amplitudes(np.array([1.0]), np.array([10.0]), ("",))
    depth_km = np.where(np.arange(400) % 2, 5.0, 50.0)
    places = np.stack([0 * depth_km, 0 * depth_km, depth_km, 0 * depth_km], -1)
    found = magnitude_of_amplitudes(KEY, measured, places, np.zeros((1, 3)), CURVE, between_stations_sd=0.01)
    expected = correction(CURVE, np.array([5.0, 50.0]))
    assert found.magnitude == pytest.approx(expected.mean(), abs=1e-6)
    assert found.sd == pytest.approx(np.diff(expected).item() / 2, rel=0.01)
    assert found.draws.std() == pytest.approx(found.sd, rel=0.02)


def test_station_corrections_are_added():
    curve = CURVE._replace(station={"XX.B": 0.3})
    measured = Amplitudes(np.ones(2), np.full(2, 9.0), ("", ""))
    found = magnitude_of_amplitudes(KEY, measured, HYPOCENTRES, np.zeros((2, 3)), curve, codes=("XX.A", "XX.B"))
    assert found.station[1] - found.station[0] == pytest.approx(0.3)


def test_an_outlier_is_left_out_and_named():
    measured = Amplitudes(np.array([1.0, 1.1, 0.9, 1.05, 100.0]), np.full(5, 9.0), ("",) * 5)
    found = magnitude_of_amplitudes(KEY, measured, HYPOCENTRES, np.zeros((5, 3)), CURVE)
    assert found.reasons[:4] == ("",) * 4
    assert found.reasons[4].startswith("outlier")
    assert found.magnitude == pytest.approx(float(correction(CURVE, np.array(10.0))), abs=0.05)


@pytest.mark.parametrize("scatter", [0.15, 0.25, 0.35])
@pytest.mark.parametrize("stations", [1, 3, 6, 15])
def test_the_error_covers_the_truth(stations, scatter):
    """Intervals of 68 and 90 % of normal station magnitudes; one station knows its scatter by the prior alone."""
    rng = np.random.default_rng(stations)
    scores = []
    for _ in range(600):
        values = scatter * rng.standard_normal((1, stations))
        found = median_of_stations(values, np.zeros(1))
        scores.append(abs(found.magnitude) / found.sd)
    low, high = (0.5, 0.95) if stations < 6 else (0.58, 0.88)
    assert low < np.mean(np.array(scores) < 1) < high
    assert np.mean(np.array(scores) < 1.645) > 0.74


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda r, u, a: (r[:, :2], u[:, :2], a), "3 components"),
        (lambda r, u, a: (r, u[:, :, 1:], a), "usable must have the shape"),
        (lambda r, u, a: (r, u, a[1:]), r"arrival_s must be \[station, 2\]"),
    ],
)
def test_wrong_shapes_are_refused(change, match):
    seen, usable, arrivals = change(*records(2.0), ARRIVAL_S)
    with pytest.raises(ValueError, match=match):
        horizontal_amplitudes(seen, usable, RATE_HZ, arrivals)
