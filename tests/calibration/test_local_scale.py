"""Recalibration by covariates, and conformal levels of similar events, on errors that depend on a covariate."""

import numpy as np
import pytest
import scipy.stats
from normal_posteriors import COVARIANCE, EVENTS, KEY, stated

from jaxloc.calibration.conformal import conformal_level, localised_level, similarity, weighted_level
from jaxloc.calibration.local_scale import cross_fitted_locally, fit_local_scale, temperatures
from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.types import Label

SLOPE = 1.0  # of the log-variance of errors, in standard deviations of the first covariate


@pytest.fixture(scope="module")
def uneven():
    """Posteriors that are all alike, errors whose variance is exp(slope times a covariate) of theirs; one covariate is
    of no account.
    """
    posterior, truth = stated(np.ones(4))
    covariates = np.random.default_rng(5).normal(size=(EVENTS, 2))
    middle = np.asarray(mean(posterior.hypocentre))
    away = (np.asarray(truth.value) - middle) * np.exp(0.5 * SLOPE * covariates[:, :1])
    return posterior, Label((middle + away).astype(np.float32), truth.mask), covariates


def squared(posterior, truth):
    away = np.asarray(truth.value) - np.asarray(mean(posterior.hypocentre))
    return np.einsum(
        "ei,ei->e", away, np.linalg.solve(np.asarray(covariance(posterior.hypocentre)), away[..., None])[..., 0]
    )


def test_the_slopes_are_those_of_the_errors(uneven):
    """The information of a slope of the log-variance of four coordinates is 2 an event: a standard error of 0.035."""
    values = fit_local_scale(*uneven)
    np.testing.assert_allclose(values, [0.0, SLOPE, 0.0], atol=4 * 0.035 + 0.02)


def test_few_events_have_one_temperature(uneven):
    """The prior holds: four events cannot show a slope."""
    posterior, truth, covariates = uneven
    values = fit_local_scale(posterior, truth, covariates, np.arange(EVENTS) < 4)
    assert (np.abs(values[1:]) < 1.0).all()
    assert (np.abs(np.log(temperatures(np.zeros(3), covariates))) == 0).all()


def test_coverage_is_nominal_in_groups_and_predicted_errors_rank_real_ones(uneven):
    posterior, truth, covariates = uneven
    local = cross_fitted_locally(KEY, posterior, truth, covariates)
    group = np.digitize(covariates[:, 0], [-0.7, 0.7])
    limit = scipy.stats.chi2.ppf(0.9, 4)
    for number in range(3):
        inside = squared(local, truth)[group == number] <= limit
        assert abs(inside.mean() - 0.9) < 4 * np.sqrt(0.09 / len(inside))
    before = squared(posterior, truth)[group == 2] <= limit
    assert before.mean() < 0.75  # one scale for all is too narrow there
    error = np.linalg.norm((np.asarray(truth.value) - np.asarray(mean(posterior.hypocentre)))[:, :2], axis=1)
    sd = [
        np.sqrt(np.trace(np.asarray(covariance(each.hypocentre))[:, :2, :2], axis1=1, axis2=2))
        for each in (posterior, local)
    ]
    assert np.ptp(sd[0]) < 1e-3 * np.sqrt(np.trace(COVARIANCE[:2, :2]))
    # Normal errors: 0.45 is expected at this slope, and a rank correlation of 400 errs by 0.05.
    assert scipy.stats.spearmanr(sd[1], error).statistic > 0.3


def levels_of(covariate, generator):
    """Levels of truths of posteriors that are too narrow where the covariate is large, too wide where it is small."""
    return generator.uniform(size=covariate.shape) ** np.exp(-2 * covariate)


def test_localised_levels_cover_marginally_and_nearly_by_group():
    """600 repetitions of 60 calibration events and a new one: at least nominal in all, within four standard errors; by
    half of the covariate's range far nearer to nominal than one level for all events.
    """
    generator, wanted = np.random.default_rng(0), np.array([0.5, 0.9])
    covariate = generator.uniform(-1, 1, (600, 61))
    level = levels_of(covariate, generator)
    local, common = [], []
    for z, v in zip(covariate, level, strict=True):
        own, new = similarity(z[:-1, None], z[:-1, None], 0.3), similarity(z[-1:, None], z[:-1, None], 0.3)[0]
        local.append(v[-1] <= localised_level(v[:-1], own, new, wanted))
        common.append(v[-1] <= conformal_level(v[:-1], wanted))
    error = 4 * np.sqrt(wanted * (1 - wanted) / 600)
    assert (np.mean(local, 0) > wanted - error).all()
    assert (np.mean(local, 0) < wanted + error + 2 / 61).all()
    large = covariate[:, -1] > 0
    gap = lambda found: abs(np.mean(np.array(found)[large], 0) - np.mean(np.array(found)[~large], 0))
    assert (gap(common) > 0.12).all()
    assert (gap(local) < 0.09).all()


def test_equal_similarities_give_the_ordinary_levels():
    generator, wanted = np.random.default_rng(1), np.array([0.5, 0.68, 0.9, 0.99])
    levels = generator.uniform(size=50)
    found = localised_level(levels, np.ones((50, 50)), np.ones(50), wanted)
    np.testing.assert_array_equal(found, conformal_level(levels, wanted))
    weighted = weighted_level(levels, np.ones(50), 1.0, wanted)
    np.testing.assert_array_equal(weighted[0], conformal_level(levels, wanted))


def test_weighted_levels_cover_under_covariate_shift():
    """Calibration events of a covariate that is uniform, new ones of one of density z: the weights are their ratio."""
    generator, inside = np.random.default_rng(2), []
    for _ in range(800):
        z, new = generator.uniform(size=80), np.sqrt(generator.uniform())
        v, own = levels_of(2 * z - 1, generator), levels_of(np.array(2 * new - 1), generator)
        inside.append(
            [own <= weighted_level(v, z, new, np.array([0.9]))[0, 0], own <= conformal_level(v, np.array([0.9]))[0]]
        )
    weighted, plain = np.mean(inside, 0)
    error = 4 * np.sqrt(0.09 / 800)
    assert 0.9 - error < weighted < 0.9 + error + 0.03
    assert weighted > plain


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: weighted_level(np.array([0.5]), np.array([-1.0]), 1.0, np.array([0.9])), "not negative, got -1"),
        (lambda: weighted_level(np.array([]), np.array([]), 1.0, np.array([0.9])), "no event to calibrate with"),
        (lambda: localised_level(np.array([]), np.ones((0, 0)), np.ones(0), np.array([0.9])), "no event to calibrate"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
