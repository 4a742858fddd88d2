"""Distance corrections of local magnitude: published anchors, a user's own, and a fit to simulated amplitudes."""

import numpy as np
import pytest

from jaxloc.detection.magnitude_curve_fit import fit_curve
from jaxloc.detection.magnitude_curves import CURVES, correction, curve_from, curve_named, station_corrections
from jaxloc.io.magnitude_curve_file import read_curve_table, write_curve_table


@pytest.mark.parametrize(
    ("name", "distance_km", "magnitude"),
    [
        ("hutton_boore", 100.0, 3.0),  # 1 mm at 100 km
        ("hutton_boore", 17.0, 2.0),  # 10 mm at 17 km
        ("iaspei", 100.0, 3.0),
        ("bakun_joyner", 100.0, 3.0),
        ("bakun_joyner", 10.0, 1.729),
        ("keir", 17.0, 2.0),
        ("langston", 17.0, 2.0),
        ("uk", 100.0, 3.0),
    ],
)
def test_a_millimetre_has_the_published_magnitude(name, distance_km, magnitude):
    tolerance = 0.02 if name == "hutton_boore" and distance_km == 17 else 0.002
    assert float(correction(CURVES[name], np.array(distance_km))) == pytest.approx(magnitude, abs=tolerance)


def test_the_uk_curve_lowers_magnitudes_of_near_stations_alone():
    near, far = (correction(CURVES["uk"], r) - correction(CURVES["iaspei"], r) for r in (np.array(5.0), np.array(80.0)))
    assert near == pytest.approx(-1.16 * np.exp(-1.0))
    assert abs(far) < 1e-6


def test_names_are_those_of_the_curves_and_an_unknown_one_lists_them():
    assert all(curve.name == name for name, curve in CURVES.items())
    with pytest.raises(ValueError, match=r"no such magnitude curve: 'richter'.*hutton_boore"):
        curve_named("richter")


def test_a_curve_of_ones_own_is_read_as_written(tmp_path):
    path, values, stations = tmp_path / "mine.csv", {"log_distance": 1.2, "distance": 0.002}, {"XX.AA": -0.1}
    write_curve_table(path, values, stations)
    assert read_curve_table(path) == (values, stations)
    curve = curve_from("mine.csv", values, stations)
    assert float(correction(curve, np.array(100.0))) == 3.0
    np.testing.assert_array_equal(station_corrections(curve, ("XX.BB", "XX.AA")), [0.0, -0.1])


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"distance": 0.1}, "must have log_distance"),
        ({"log_distance": 1.0, "distance": 0.0, "slope": 1.0}, "no such parameter.*'slope'"),
        ({"log_distance": 1.0, "distance": 0.0, "reference_km": -1.0}, "reference_km must be positive, got -1"),
        ({"log_distance": float("inf"), "distance": 0.0}, "log_distance must be finite"),
    ],
)
def test_wrong_curves_are_refused(values, match):
    with pytest.raises(ValueError, match=match):
        curve_from("mine.csv", values, {})


def test_a_table_with_a_name_twice_is_refused(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("parameter,value\ndistance,1\ndistance,2\n")
    with pytest.raises(ValueError, match="line 3: distance occurs twice"):
        read_curve_table(path)


def test_a_curve_and_station_corrections_are_recovered_from_simulated_amplitudes():
    rng = np.random.default_rng(0)
    true = CURVES["askja"]
    distance_km = rng.uniform(5, 120, (80, 8))
    magnitude, terms = rng.uniform(0, 3, 80), rng.normal(0, 0.3, 8)
    terms -= terms.mean()
    log_amplitude = magnitude[:, None] - correction(true, distance_km) - terms + 0.1 * rng.standard_normal((80, 8))
    amplitude_mm = np.where(rng.random((80, 8)) < 0.3, np.nan, 10**log_amplitude)
    amplitude_mm[3, 2] *= 100  # an outlier
    codes = tuple(f"XX.S{i}" for i in range(8))
    fit = fit_curve(amplitude_mm, distance_km, codes, true._replace(log_distance=1.0, distance=0.0))
    error = np.sqrt(np.diag(fit.covariance))
    assert abs(fit.curve.log_distance - true.log_distance) < 4 * error[0] < 0.3
    assert abs(fit.curve.distance - true.distance) < 4 * error[1] < 0.004
    np.testing.assert_allclose([fit.curve.station[code] for code in codes], terms, atol=0.08)
    assert fit.held_out < 0.5 * fit.held_out_start


def test_few_readings_make_no_curve():
    with pytest.raises(ValueError, match="needs 10 events and 30 readings"):
        fit_curve(np.ones((5, 2)), np.ones((5, 2)), ("XX.A", "XX.B"), CURVES["iaspei"])
