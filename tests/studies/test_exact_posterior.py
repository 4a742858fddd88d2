"""Networks on picks against the exact posterior: the comparison, and a small network that approaches it."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from jaxloc.data.dataset import positions_km
from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.runs import config as configuration
from jaxloc.runs import train
from jaxloc.runs.datasets import fresh_events
from jaxloc.studies.exact_posterior import (
    PURPOSE,
    EventScores,
    calibration_of,
    compare,
    difference_from_exact,
    exact_posterior_of,
    rank_of,
    score_exact,
    table,
)

SMALL = [
    "posterior=point",
    "data.num_train=20000",
    "data.num_dev=50",
    "model.width=32",
    "stages.learn.steps=1500",
    "stages.weights.steps=0",
]


def test_ranks_are_the_mass_below_the_truth():
    """SciPy's normal distribution, component by component."""
    rng = np.random.default_rng(0)
    weight, centre, tril = np.array([0.3, 0.7]), rng.normal(size=(2, 4)), np.tril(rng.normal(size=(2, 4, 4)))
    truth, sd = rng.normal(size=4), np.sqrt((tril**2).sum(-1))
    mixture = gaussian_mixture(*(jnp.asarray(x, jnp.float32) for x in (np.log(weight), centre, tril)))
    expected = weight @ norm.cdf(truth, centre, sd)
    np.testing.assert_allclose(rank_of(mixture, jnp.asarray(truth, jnp.float32)), expected, atol=1e-5)


def test_the_exact_posterior_does_not_differ_from_itself():
    rng = np.random.default_rng(0)
    numbers = [rng.uniform(1, 2, shape) for shape in ((50,), (50, 4), (50,), (50, 4), (50, 4))]
    exact = EventScores(*numbers)
    row = difference_from_exact(exact, exact)
    assert row == {"gap": [0.0, 0.0], "width": [1.0] * 4, "apart": [0.0] * 4}
    wider = exact._replace(sd=2 * exact.sd, mean=exact.mean + 0.5 * exact.sd, nll=exact.nll + 0.2)
    row = difference_from_exact(wider, exact)
    np.testing.assert_allclose([row["gap"][0], *row["width"], *row["apart"]], [0.2, *[2.0] * 4, *[0.5] * 4])
    assert "| wider | 0.200 ± 0.000 |" in table({"wider": row | calibration_of(exact)})


@pytest.mark.slow
def test_the_exact_posterior_is_calibration_of():
    """Simulation-based calibration: 500 events of the prior; four tests at 1 %, Bonferroni's quarter of it each."""
    config = configuration.load("simulated_picks", SMALL)
    dataset = fresh_events(config["data"], 0, 500, PURPOSE)
    exact = exact_posterior_of(config["data"], positions_km(dataset.frame, dataset.stations))
    row = calibration_of(score_exact(jax.random.key(0), exact, dataset.take(np.arange(500))))
    assert min(row["sbc_p"].values()) > 0.01 / 4, row
    for level, share in row["coverage"].items():
        nominal = int(level) / 100
        assert abs(share - nominal) < 4 * np.sqrt(nominal * (1 - nominal) / 500), row


@pytest.mark.slow
def test_a_small_network_approaches_the_exact_posterior(tmp_path: Path):
    """A quarter of the experiment's training: within half a nat of a posterior that is 13 nats narrower than the prior.

    Its gap is not below zero by more than 4 standard errors.
    """
    run = tmp_path / "small"
    config = configuration.load("simulated_picks", [*SMALL, f"run_dir={run}"])
    train.run(config, run, say=lambda line: None)
    rows = compare([run], 300, tmp_path / "compared")
    gap, error = rows["small"]["gap"]
    assert -4 * error < gap < 0.5, rows
    assert max(rows["small"]["apart"]) < 0.5, rows
    np.testing.assert_allclose(rows["small"]["width"], 1.0, atol=0.25)
    assert json.loads((tmp_path / "compared" / "amortised.json").read_text())["events"] == 300
    assert (tmp_path / "compared" / "amortised_picks.png").stat().st_size > 20_000
    with pytest.raises(ValueError, match="no trained run"):
        compare([tmp_path / "none"], 10, tmp_path)
