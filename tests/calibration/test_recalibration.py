"""Maps of posteriors to posteriors: normal distributions whose errors are known to be misstated."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from normal_posteriors import COVARIANCE, EVENTS, KEY, stated

from jaxloc.calibration import recalibration
from jaxloc.calibration.recalibration import MAPS, cross_fitted, fit, recalibrated
from jaxloc.distributions.credible_regions import highest_density_level
from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture, marginal, mean


def coverage(posterior, truth, dims, level=0.9):
    return float((_level(posterior.hypocentre, jnp.asarray(truth.value), dims) <= level).mean())


@partial(quick_jit, static_argnames="dims")
def _level(hypocentre, value, dims):
    return highest_density_level(KEY, marginal(hypocentre, dims), value[:, jnp.array(dims)], 200)


@pytest.mark.parametrize(
    ("kind", "factor", "tolerance"), [("temperatures", (4.0, 0.25, 2.0, 1.0), 0.29), ("temperature", (3.0,) * 4, 0.15)]
)
def test_temperatures_are_the_ratios_of_actual_to_predicted_variance(kind, factor, tolerance):
    """The variance of 400 normals errs by sqrt(2 / 400), seven per cent: four times that."""
    values = fit(kind, *stated(np.array(factor))).values
    np.testing.assert_allclose(values, np.array(factor)[: len(values)], rtol=tolerance)


def test_the_likelihood_is_highest_at_the_temperature_found():
    posterior, truth = stated(np.full(4, 3.0), components=5)
    best = fit("temperature", posterior, truth)
    loss = lambda factor: (
        -recalibrated(KEY, best._replace(values=factor * best.values), posterior)
        .hypocentre.log_prob(truth.value)
        .mean()
    )
    assert loss(1.0) < min(loss(0.95), loss(1.05))


def test_a_warmer_posterior_keeps_its_mean_and_splits_as_before():
    posterior, truth = stated(np.full(4, 3.0), components=5)
    found = fit("temperature", posterior, truth)
    new = recalibrated(KEY, found, posterior)
    np.testing.assert_allclose(mean(new.hypocentre), mean(posterior.hypocentre), atol=1e-4)
    np.testing.assert_allclose(
        covariance(new.hypocentre), found.values[0] * covariance(posterior.hypocentre), rtol=1e-3
    )
    np.testing.assert_allclose(
        new.epistemic + new.aleatoric, found.values[0] * np.broadcast_to(COVARIANCE, (EVENTS, 4, 4)), rtol=1e-3
    )
    np.testing.assert_allclose(new.epistemic, 0.25 * (new.epistemic + new.aleatoric), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["temperatures", pytest.param("quantiles", marks=pytest.mark.slow)])
def test_cross_fitted_marginals_have_nominal_coverage(kind):
    """Four binomial standard errors of 400 events, and what a map fitted to 320 errs itself: as much again."""
    posterior, truth = stated(np.array([4.0, 0.25, 2.0, 1.0]), components=5)
    assert coverage(posterior, truth, (0,)) < 0.7
    new = cross_fitted(KEY, kind, posterior, truth)
    for i in range(4):
        assert coverage(new, truth, (i,)) == pytest.approx(0.9, abs=4 * np.sqrt(2 * 0.09 / EVENTS)), i


def test_quantiles_take_a_bias_away():
    """The mean of 400 errors of depth (3 km) errs by 0.15 km, the median by a quarter more; four times that."""
    posterior, truth = stated(np.ones(4), bias=(0.0, 0.0, 2.0, 0.0))
    new = recalibrated(KEY, fit("quantiles", posterior, truth), posterior)
    error = np.asarray(mean(new.hypocentre)) - truth.value
    assert abs(error[:, 2].mean()) < 0.7
    assert abs(error[:, 0].mean()) < 0.5


@pytest.mark.slow
def test_quantiles_leave_a_calibrated_posterior_nearly_as_it_is():
    """Its variance, which a map by quantiles of 400 normals knows to a tenth, and its correlations."""
    posterior, truth = stated(np.ones(4))
    new = recalibrated(KEY, fit("quantiles", posterior, truth), posterior)
    np.testing.assert_allclose(np.diagonal(covariance(new.hypocentre).mean(0)), np.diagonal(COVARIANCE), rtol=0.2)
    correlation = lambda c: c[0, 1] / np.sqrt(c[0, 0] * c[1, 1])
    assert correlation(np.asarray(covariance(new.hypocentre)).mean(0)) == pytest.approx(
        correlation(COVARIANCE), abs=0.1
    )
    assert coverage(new, truth, (0, 1)) == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize("kind", list(MAPS))
def test_a_coordinate_that_is_never_known_stays_as_it_is(kind):
    posterior, truth = stated(np.ones(4))
    unknown = truth._replace(mask=truth.mask & np.array([True, True, True, False]))
    before, after = (
        covariance(p.hypocentre)[:, 3, 3]
        for p in (posterior, recalibrated(KEY, fit(kind, posterior, unknown), posterior))
    )
    # Pieces of a posterior have its variance up to the luck of a thousand draws, four times sqrt(2 / 1000).
    tolerance = {"quantiles": 0.18, "temperature": 0.15}.get(kind, 1e-4)
    np.testing.assert_allclose(np.median(after / before), 1, atol=tolerance)


def test_no_event_is_corrected_by_itself():
    """One event far off moves the map of the others, and not its own."""
    posterior, truth = stated(np.ones(4))
    value = np.array(truth.value)
    value[7] += 100.0
    spoilt = truth._replace(value=value)
    clean, other = (cross_fitted(KEY, "temperature", posterior, t).hypocentre for t in (truth, spoilt))
    width = lambda m, i: float(covariance(m)[i, 0, 0])
    assert width(other, 7) == pytest.approx(width(clean, 7), rel=1e-5)
    fold = np.random.default_rng(0).permutation(EVENTS) % 5
    elsewhere = int(np.flatnonzero(fold != fold[7])[0])
    assert width(other, elsewhere) > 1.05 * width(clean, elsewhere)


def test_altered_posteriors_go_through_the_maps_of_the_others():
    """Posteriors a kilometre to the east come out there, as wide as those that the maps were fitted to."""
    posterior, truth = stated(np.full(4, 4.0))
    parts = posterior.hypocentre.parts
    moved = posterior._replace(hypocentre=gaussian_mixture(*parts._replace(mean=parts.mean.at[..., 0].add(1.0))))
    own, other = (cross_fitted(KEY, "temperature", posterior, truth, altered=x).hypocentre for x in (None, moved))
    np.testing.assert_allclose(mean(other)[:, 0], mean(own)[:, 0] + 1.0, atol=1e-3)
    np.testing.assert_allclose(covariance(other), covariance(own), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda posterior, truth: fit("platt", posterior, truth),
            "no such recalibration: 'platt'; use one of none, temperature",
        ),
        (
            lambda posterior, truth: fit("temperature", posterior, truth._replace(mask=np.zeros((EVENTS, 4), bool))),
            "no event with a known epicentre",
        ),
        (
            lambda posterior, truth: cross_fitted(KEY, "temperature", posterior, truth, folds=401),
            "400 events cannot be divided into 401 folds",
        ),
    ],
)
def test_what_cannot_be_calibrated_is_refused(action, message):
    posterior, truth = stated(np.ones(4))
    assert set(recalibration.MAPS) == {"none", "temperature", "temperatures", "quantiles"}
    with pytest.raises(ValueError, match=message):
        action(posterior, truth)
