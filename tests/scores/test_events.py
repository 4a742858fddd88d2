"""The score card against closed forms, and against locators that are known to be calibrated or not."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from rich.console import Console

from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture
from jaxloc.locators.climatology import kernel_density, repeated
from jaxloc.scores.events import REGIONS, crps, energy_score, score_events
from jaxloc.scores.score_card import Card, lookup, score_card, table, to_json
from jaxloc.types import LEVELS, Label, Posterior

KEYS = jax.random.split(jax.random.key(3), 5)
NUM_EVENTS = 400


def gaussian_posterior(num_events: int, scale: float = 1.0) -> Posterior:
    """Posteriors of different widths; `scale` misstates them about the same means."""
    centre = 20 * jax.random.normal(KEYS[0], (num_events, 1, 4))
    sd = jnp.exp(0.5 * jax.random.normal(KEYS[1], (num_events, 1, 1))) * jnp.array([1.0, 1.0, 2.0, 0.3])
    tril = scale * sd[..., None] * jnp.eye(4)
    mixture = gaussian_mixture(jnp.zeros((num_events, 1)), centre, tril)
    return Posterior(mixture, 0.25 * covariance(mixture), 0.75 * covariance(mixture))


@pytest.fixture(scope="module")
def truth() -> Label:
    """Drawn from the posteriors themselves, so these are calibrated; ten have no origin time, two nothing."""
    value = gaussian_posterior(NUM_EVENTS).hypocentre.sample(KEYS[2])
    known = jnp.ones((NUM_EVENTS, 4), bool).at[:10, 3].set(False).at[:2].set(False)
    return Label(jnp.where(known, value, 0.0), known)


@pytest.fixture(scope="module")
def scores(truth: Label) -> dict[str, np.ndarray]:
    return score_events(KEYS[3], gaussian_posterior(NUM_EVENTS), truth, num_draws=500)


@pytest.fixture(scope="module")
def card(scores: dict[str, np.ndarray]) -> Card:
    return score_card(KEYS[4], scores, num_resamples=300)


def normal_crps(z: float) -> float:
    """CRPS of a standard normal at z (Gneiting and Raftery 2007, sect. 4.2)."""
    return z * (2 * scipy.stats.norm.cdf(z) - 1) + 2 * scipy.stats.norm.pdf(z) - 1 / np.sqrt(np.pi)


@pytest.mark.parametrize("z", [0.0, 0.7, -3.0])
def test_crps_of_a_normal(z: float) -> None:
    draws = 2 * jax.random.normal(KEYS[0], (100_000,)) + 5
    # E|X - y| has a standard error of at most 2 / sqrt(n) = 0.006
    assert float(crps(draws, jnp.array(5 + 2 * z))) == pytest.approx(2 * normal_crps(z), abs=0.02)


def test_crps_is_the_pairwise_form_and_fair() -> None:
    draws, at = jax.random.normal(KEYS[0], (9,)), 0.4
    pairs = np.abs(np.subtract.outer(draws, draws)).sum() / (9 * 8)
    assert float(crps(draws, jnp.array(at))) == pytest.approx(np.abs(draws - at).mean() - pairs / 2, abs=1e-6)
    few = jax.vmap(lambda key: crps(jax.random.normal(key, (3,)), jnp.array(at)))
    values = few(jax.random.split(KEYS[1], 40_000))
    error = 4 * float(values.std()) / 200
    assert abs(float(values.mean()) - normal_crps(at)) < error  # unbiased at three draws


def test_energy_score_is_crps_in_one_dimension_and_known_in_two() -> None:
    draws = jax.random.normal(KEYS[0], (1500, 2))
    one = energy_score(draws[:, :1], jnp.array([0.4]))
    assert float(one) == pytest.approx(float(crps(draws[:, 0], jnp.array(0.4))), abs=1e-5)
    # at the centre of a standard normal: E|X| = sqrt(pi/2), E|X - X'| = sqrt(pi)
    exact = np.sqrt(np.pi / 2) - np.sqrt(np.pi) / 2
    assert float(energy_score(draws, jnp.zeros(2))) == pytest.approx(exact, abs=4 * 0.66 / np.sqrt(1500))


def test_scores_of_gaussians_are_the_closed_forms(scores: dict[str, np.ndarray], truth: Label) -> None:
    mixture = gaussian_posterior(NUM_EVENTS).hypocentre
    use = np.asarray(truth.mask.all(-1))
    centre, sd = np.asarray(mixture.mean)[use], np.sqrt(np.asarray(mixture.variance))[use]
    z = (np.asarray(truth.value)[use] - centre) / sd
    np.testing.assert_allclose(scores["depth/error"][use], -(z * sd)[:, 2], atol=1e-4)
    np.testing.assert_allclose(scores["depth/mode_error"][use], -(z * sd)[:, 2], atol=1e-4)
    np.testing.assert_allclose(scores["epicentre/stated"][use], np.hypot(sd[:, 0], sd[:, 1]), rtol=1e-4)
    nll = (0.5 * z**2 + np.log(sd) + 0.5 * np.log(2 * np.pi))[:, :3].sum(-1)
    np.testing.assert_allclose(scores["hypocentre/nll"][use], nll, atol=1e-3)
    # PIT and levels from 500 draws: five standard errors of a share
    noise = 5 * 0.5 / np.sqrt(500)
    np.testing.assert_allclose(scores["east/pit"][use], scipy.stats.norm.cdf(z[:, 0]), atol=noise)
    exact = scipy.stats.chi2.cdf((z[:, :3] ** 2).sum(-1), 3)
    np.testing.assert_allclose(scores["hypocentre/level"][use], exact, atol=noise)
    width = 2 * sd[:, 3] * scipy.stats.norm.ppf(0.95)
    ratio = scores["origin/width90"][use] / width
    assert abs(ratio.mean() - 1) < 0.02
    assert ratio.std() < 0.1
    np.testing.assert_allclose(scores["depth/epistemic_share"], 0.25, rtol=1e-5)


@pytest.mark.parametrize("region", REGIONS)
def test_a_calibrated_locator_has_nominal_coverage(card: Card, region) -> None:
    for level in LEVELS:
        covered = card[region]["coverage"][f"{round(100 * level)}"]
        error = 4 * np.sqrt(level * (1 - level) / NUM_EVENTS)
        assert abs(covered["value"] - level) < error
        assert covered["low"] <= covered["value"] <= covered["high"]
    assert card[region]["level_uniformity"]["p_value"] > 1e-3
    assert card["depth"]["pit_uniformity"]["p_value"] > 1e-3
    bias = card["east"]["error"]["bias"]
    assert bias["low"] < bias["value"] < bias["high"]
    assert card["epicentre"]["rank_correlation"]["low"] > 0.2  # wider posteriors, larger errors
    # A quarter of every variance is epistemic: that part ranks errors as the whole does.
    same = card["epicentre"]["rank_correlation"]["value"]
    assert card["epicentre"]["epistemic_rank_correlation"]["value"] == pytest.approx(same, abs=0.01)


def test_overconfidence_shows(truth: Label, card: Card) -> None:
    narrow = gaussian_posterior(NUM_EVENTS, scale=0.5)
    other = score_card(KEYS[4], score_events(KEYS[3], narrow, truth, num_draws=500), num_resamples=100)
    assert other["epicentre"]["coverage"]["90"]["high"] < 0.6
    assert other["depth"]["pit_uniformity"]["p_value"] < 1e-3
    for score in ("hypocentre/nll/mean", "hypocentre/energy/mean", "depth/crps/mean"):  # proper scores
        mine, theirs = lookup(card, score), lookup(other, score)
        assert mine is not None
        assert theirs is not None
        assert mine["value"] < theirs["value"]


def test_unknown_truth_and_failures_are_counted(scores: dict[str, np.ndarray], card: Card) -> None:
    assert np.isnan(scores["origin/error"][:10]).all()
    assert np.isfinite(scores["origin/stated"]).all()
    counts = {region: (card[region]["number"], card[region]["unknown"]) for region in REGIONS}
    assert counts["origin"] == counts["space_time"] == (NUM_EVENTS - 10, 10)
    assert counts["epicentre"] == counts["depth"] == (NUM_EVENTS - 2, 2)
    broken = scores | {"epicentre/nll": np.where(np.arange(NUM_EVENTS) == 50, np.nan, 1.0)}
    assert score_card(KEYS[4], broken, 10)["epicentre"]["failed"] == 1
    nothing = scores | {"depth/known": np.zeros(NUM_EVENTS)}
    assert score_card(KEYS[4], nothing, 10)["depth"]["number"] == 0


def test_the_card_is_json_and_repeats(scores: dict[str, np.ndarray], card: Card) -> None:
    assert json.loads(to_json(card)) == card
    assert score_card(KEYS[4], scores, num_resamples=300) == card


def test_bootstrap_intervals_are_those_of_the_mean(scores: dict[str, np.ndarray], card: Card) -> None:
    error = scores["epicentre/error"][2:]
    mean = card["epicentre"]["error"]["mean"]
    half = 1.96 * error.std() / np.sqrt(len(error))
    assert mean["value"] == pytest.approx(error.mean(), rel=1e-6)
    assert (mean["high"] - mean["low"]) / 2 == pytest.approx(half, rel=0.2)


def test_the_catalogue_is_a_calibrated_but_wide_posterior(truth: Label, card: Card) -> None:
    known = np.asarray(truth.mask)
    train = np.asarray(gaussian_posterior(NUM_EVENTS).hypocentre.sample(KEYS[4]))
    baseline = repeated(kernel_density(train, np.ones_like(known)), NUM_EVENTS)
    other = score_card(KEYS[4], score_events(KEYS[3], baseline, truth, 300), num_resamples=50)
    assert 0.85 < other["epicentre"]["coverage"]["90"]["value"] < 1.0
    assert other["epicentre"]["error"]["mean"]["value"] > 5 * card["epicentre"]["error"]["mean"]["value"]
    assert other["epicentre"]["rank_correlation"]["value"] is None  # it says the same of all events
    assert other["epicentre"]["epistemic_rank_correlation"]["value"] is None
    shown = Console(width=100, record=True)
    shown.print(table({"ours": card, "catalogue": other}))
    text = shown.export_text()
    assert "epicentre" in text.lower()
    assert max(map(len, text.splitlines())) <= 100


def test_the_catalogue_without_origin_times_is_broad_in_them() -> None:
    known = np.ones((30, 4), bool)
    known[:, 3] = False
    known[:3, 2] = False
    value = np.where(known, np.random.default_rng(0).normal(size=(30, 4)), 0)
    mixture = repeated(kernel_density(value, known, (np.zeros(4), np.array([1.0, 1.0, 1.0, 60.0]))), 2).hypocentre
    assert mixture.batch_shape == (2,)
    assert float(mixture.variance[0, 3]) == pytest.approx(3600, rel=1e-4)
    assert np.isfinite(mixture.log_prob(jnp.zeros((2, 4)))).all()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda: score_events(KEYS[0], gaussian_posterior(3), Label(jnp.zeros((2, 4)), jnp.ones((2, 4), bool))),
            "batch shape",
        ),
        (lambda: kernel_density(np.zeros((0, 4)), np.zeros((0, 4), bool)), "training split"),
    ],
)
def test_wrong_arguments_are_named(action, message) -> None:
    with pytest.raises(ValueError, match=message):
        action()


@pytest.mark.parametrize("number", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)), 4, 5])
def test_few_events_have_no_interval_and_no_rank_correlation(number: int) -> None:
    posterior = gaussian_posterior(number)
    label = Label(posterior.hypocentre.sample(KEYS[2]), jnp.ones((number, 4), bool))
    few = score_card(KEYS[4], score_events(KEYS[3], posterior, label, num_draws=100), num_resamples=50)
    shown = Console(width=100, record=True)
    shown.print(table({"ours": few}))
    line = next(line for line in shown.export_text().splitlines() if "rank correlation" in line)
    if number < 5:
        assert few["epicentre"]["rank_correlation"] == {"value": None, "low": None, "high": None}
        assert "too few events" in line
        assert "0.00, 0.00" not in shown.export_text()
    else:
        assert "[" in line


@pytest.mark.parametrize("words", ["coverage of 90 % region", "predicted epicentre sd", "climatology"])
def test_the_card_has_the_usual_terms(card: Card, words) -> None:
    shown = Console(width=100, record=True)
    shown.print(table({"ours": card, "catalogue": card}))
    text = shown.export_text()
    assert words in text
    assert "catalogue" not in text


def test_one_program_scores_any_number_of_events(truth: Label) -> None:
    from jaxloc.scores.events import _score_chunk

    whole = score_events(KEYS[3], gaussian_posterior(20), Label(truth.value[:20], truth.mask[:20]), num_draws=50)
    before = _score_chunk._cache_size()
    for number in (1, 15, 16, 17):
        some = score_events(KEYS[3], gaussian_posterior(number), Label(truth.value[:number], truth.mask[:number]), 50)
        assert len(some["depth/crps"]) == number
    assert _score_chunk._cache_size() == before
    assert len(whole["depth/crps"]) == 20
