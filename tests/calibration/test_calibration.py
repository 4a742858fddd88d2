"""Calibrations: regions that hold what they say, in groups, and the file beside the run."""

from functools import cache

import jax
import numpy as np
import pytest
from normal_posteriors import EVENTS, KEY, stated
from scipy.stats import chi2

from jaxloc.calibration import calibration
from jaxloc.calibration.covariates import covariates_of
from jaxloc.calibration.local_levels import local_of
from jaxloc.calibration.storage import FILE, read_calibration, write_calibration
from jaxloc.distributions.gaussian_mixture import mean
from jaxloc.types import LEVELS, Observations

FEATURES = np.random.default_rng(0).normal(size=(EVENTS, 5))


def predicted(*arguments):
    return calibration.calibrated_predictions(jax.random.key(0), *arguments)


def seen(posterior):
    """A station 10 km east of the stated epicentre of every second event, and 100 km east of the others."""
    middle = np.asarray(mean(posterior.hypocentre))
    away = np.where(np.arange(EVENTS) % 2, 100.0, 10.0)
    station = np.stack([middle[:, 0] + away, middle[:, 1], np.zeros(EVENTS)], -1)[:, None]
    there = np.ones((EVENTS, 1), bool)
    return Observations(None, station, there, there.astype(int), np.ones(EVENTS))


@cache
def calibrated(kind="none", by="", factor=3.0):
    posterior, truth = stated(np.full(4, factor))
    args = (KEY, posterior, seen(posterior), truth, FEATURES)
    return posterior, truth, calibration.calibrate(*args, kind=kind, dataset="made up", by=by)


@pytest.mark.slow
@pytest.mark.parametrize(("region", "dims"), [("ellipse", 2), ("interval", 1), ("ellipsoid", 3)])
def test_regions_drawn_at_calibrated_levels_have_their_coverage(region, dims):
    """Errors are sqrt(3) times what is stated: the level of a normal that holds 90 % is known."""
    _, _, found = calibrated()
    wanted = chi2.cdf(3 * chi2.ppf(LEVELS, dims), dims)
    # Of 400 levels the 90th percentile errs, in probability, by sqrt(0.09 / 400); the density of levels here < 1.
    np.testing.assert_allclose(found.levels[region][0], wanted, atol=4 * np.sqrt(0.25 / EVENTS))
    np.testing.assert_allclose(found.levels["ellipsoid"][0], found.levels["hypocentre"][0], atol=0.02)


def test_a_map_makes_levels_nominal():
    _, _, found = calibrated("temperature")
    for table in found.levels.values():
        np.testing.assert_allclose(table[0], LEVELS, atol=4 * np.sqrt(2 * 0.25 / EVENTS))


def test_groups_have_levels_of_their_own():
    """Events far from the station have errors twice as large as they state, those near it are right."""
    posterior, truth = stated(np.ones(4))
    far = np.arange(EVENTS) % 2 == 1
    middle = np.asarray(mean(posterior.hypocentre))
    value = np.where(far[:, None], middle + 2 * (truth.value - middle), truth.value)
    found = calibration.calibrate(
        KEY, posterior, seen(posterior), truth._replace(value=value), None, kind="none", dataset="", by="distance"
    )
    levels = calibration.conformal_levels(found, posterior, seen(posterior))["ellipse"]
    assert len(found.groups.edges) >= 1
    assert levels[~far].mean() == pytest.approx(0.9, abs=0.05)
    assert levels[far].mean() == pytest.approx(1 - 0.1**4, abs=0.01)  # chi-square of two degrees: 1 - 0.1^(2^2)


def test_posteriors_and_alarms_after_calibration():
    posterior, _, found = calibrated("temperature")
    features = np.concatenate([FEATURES[:-1], FEATURES[:1] + 100])
    predictions = predicted(found, posterior, seen(posterior), features)
    ratio = np.asarray(predictions.posterior.hypocentre.variance / posterior.hypocentre.variance)
    np.testing.assert_allclose(ratio, 3, rtol=0.15)
    np.testing.assert_allclose(predictions.ellipse_levels, 0.9, atol=0.06)
    assert "look to the network unlike" in predictions.ood_reasons[-1]
    assert np.mean([bool(reason) for reason in predictions.ood_reasons]) < 0.1


@pytest.mark.slow
def test_too_few_events_draw_nothing_larger():
    posterior, truth = stated(np.ones(4))
    few = lambda tree: jax.tree.map(lambda x: x[:8], tree)
    found = calibration.calibrate(
        KEY, few(posterior), few(seen(posterior)), few(truth), None, kind="none", dataset="few"
    )
    assert (found.levels["ellipse"][0][2:] == 1).all()
    assert np.isnan(predicted(found, few(posterior), few(seen(posterior)), None).ellipse_levels).all()


def test_a_file_holds_all_of_it(tmp_path):
    posterior, _, found = calibrated("temperature", by="gap")
    write_calibration(tmp_path, found)
    again = read_calibration(tmp_path)
    assert (again.dataset, again.number, again.groups) == (found.dataset, found.number, found.groups)
    np.testing.assert_allclose(again.map.values, found.map.values, atol=1e-6)
    first, second = (predicted(c, posterior, seen(posterior), FEATURES) for c in (found, again))
    np.testing.assert_allclose(first.posterior.hypocentre.mean, second.posterior.hypocentre.mean, atol=1e-3)
    np.testing.assert_allclose(first.ellipse_levels, second.ellipse_levels, atol=1e-6)
    assert first.ood_reasons == second.ood_reasons
    assert read_calibration(tmp_path / "nowhere") is None
    (tmp_path / FILE).write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        read_calibration(tmp_path)


@pytest.mark.slow
def test_the_best_map_is_that_of_highest_cross_fitted_likelihood():
    few = lambda tree: jax.tree.map(lambda x: x[:60], tree)
    best = lambda posterior, truth: calibration.best(calibration.candidates(KEY, few(posterior), few(truth), 100))
    assert best(*stated(np.full(4, 9.0))) in ("temperature", "temperatures")
    assert best(*stated(np.ones(4), bias=(0.0, 0.0, 6.0, 0.0))) == "quantiles"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda found, posterior: calibrated(by="magnitude"), 'by "gap" or by "distance", got \'magnitude\''),
        (
            lambda found, posterior: calibration.conformal_levels(found, posterior, seen(posterior), 0.8),
            r"level 0\.8 was not calibrated",
        ),
    ],
)
def test_groups_and_levels_that_were_not_calibrated_are_refused(action, message):
    posterior, _, found = calibrated()
    with pytest.raises(ValueError, match=message):
        action(found, posterior)


@pytest.mark.slow
def test_a_local_calibration_follows_its_covariate_and_comes_back_from_its_file(tmp_path):
    """Errors three times as large in variance far from the training events, which lie at the origin."""
    posterior, truth = stated(np.ones(4))
    middle, observed = np.asarray(mean(posterior.hypocentre)), seen(posterior)
    trained_km = np.zeros((1, 2))
    covariates = covariates_of(posterior, observed, trained_km, None)
    far = covariates.nearest_km > np.median(covariates.nearest_km)
    value = np.where(far[:, None], middle + 3**0.5 * (truth.value - middle), truth.value)
    local = local_of(covariates, trained_km)
    found = calibration.calibrate(
        KEY, posterior, observed, truth._replace(value=value), None, kind="local", dataset="", by="local", local=local
    )
    write_calibration(tmp_path, found)
    again = read_calibration(tmp_path)
    assert again is not None
    predictions = predicted(again, posterior, observed, None)
    ratio = np.asarray(predictions.posterior.hypocentre.variance / posterior.hypocentre.variance)[:, 0]
    assert ratio[far].mean() > 1.5 * ratio[~far].mean()
    np.testing.assert_allclose(predictions.ellipse_levels, 0.9, atol=0.12)
    direct = predicted(found, posterior, observed, None)
    np.testing.assert_allclose(direct.ellipse_levels, predictions.ellipse_levels, atol=1e-3)
    with pytest.raises(ValueError, match="must have covariates"):
        calibration.calibrate(KEY, posterior, observed, truth, None, kind="local", dataset="")
