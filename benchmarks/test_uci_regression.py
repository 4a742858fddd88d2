"""Test log density and error of regressions on UCI data sets, and published ones: one hidden layer of 50 units.

JAXLOC_UCI=FOLDER JAXLOC_UCI_SPLITS=5 pytest benchmarks/test_uci_regression.py -k "usual and boston"

FOLDER has boston.txt, concrete.txt, ...: numbers separated by blanks, a row for each example, the target last. Splits
are random, 90 to 10 % (`random`), or leave out the middle third of the order of each feature (`gap`; Foong and others
2019). Published figures are for 20 other random splits of the same sets.
"""

import os
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import numpyro.distributions as dist
import pytest

from jaxloc import inference, regression

# Log density and root mean square error: probabilistic backpropagation (Hernandez-Lobato and Adams 2015), dropout (Gal
# and Ghahramani 2016), ensembles of five (Lakshminarayanan and others 2017).
PUBLISHED = {
    "boston": ((-2.57, 3.01), (-2.46, 2.97), (-2.41, 3.28)),
    "concrete": ((-3.16, 5.67), (-3.04, 5.23), (-3.06, 6.03)),
    "energy": ((-2.04, 1.80), (-1.99, 1.66), (-1.38, 2.09)),
    "kin8nm": ((0.90, 0.10), (0.95, 0.10), (1.20, 0.09)),
    "naval": ((3.73, 0.01), (3.80, 0.01), (5.63, 0.00)),
    "power": ((-2.84, 4.12), (-2.80, 4.02), (-2.79, 4.11)),
    "protein": ((-2.97, 4.73), (-2.89, 4.36), (-2.83, 4.71)),
    "wine": ((-0.97, 0.64), (-0.93, 0.62), (-0.94, 0.64)),
    "yacht": ((-1.63, 1.02), (-1.55, 1.11), (-1.18, 1.58)),
}
METHODS = {
    "usual": regression.fit,
    "mean_field": partial(regression.fit, method=inference.mean_field),
    "five_mean_fields": partial(regression.fit, method=inference.mean_field, members=5),
    "five_points": partial(regression.fit, method=inference.point, members=5),
    "nuts": partial(regression.fit, method=inference.nuts),
}
MODULE = nn.Sequential([nn.Dense(50), nn.relu, nn.Dense(2)])
DRAWS = 100


def _likelihood(raw: jax.Array) -> dist.Distribution:
    return dist.Normal(raw[0], jax.nn.softplus(raw[1]) + 1e-3)


def _random(features: np.ndarray, split: int) -> np.ndarray:
    """Whether each row is in the test set: a random tenth."""
    return np.random.default_rng(split).permutation(len(features)) >= round(0.9 * len(features))


def _gap(features: np.ndarray, split: int) -> np.ndarray:
    """Whether each row is in the test set: the middle third of the order of one feature."""
    rank = np.argsort(np.argsort(features[:, split], kind="stable"))
    return (rank >= len(features) // 3) & (rank < 2 * len(features) // 3)


def _scores(fit: partial, features: np.ndarray, targets: np.ndarray, test: np.ndarray) -> tuple[float, float]:
    """Mean log density and root mean square error, in units of the targets, of a fit to standardised rows."""
    mean, sd = features[~test].mean(0), features[~test].std(0)
    features = (features - mean) / np.where(sd > 1e-9 * np.abs(mean), sd, 1.0)
    mean, sd = targets[~test].mean(), targets[~test].std()
    standard = (targets - mean) / sd
    fitted = fit(jax.random.key(0), MODULE, _likelihood, features[~test], standard[~test])
    density = regression.log_density(fitted, jax.random.key(1), features[test], standard[test], DRAWS).mean()
    means = np.asarray(regression.predict(fitted, jax.random.key(1), features[test], DRAWS).mean).mean(0)
    return float(density) - np.log(sd), sd * float(np.sqrt(np.mean((means - standard[test]) ** 2)))


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["random", "gap"])
def test_regression(kind: str, method: str, name: str, capsys: pytest.CaptureFixture) -> None:
    """Print means over splits with standard errors, and the published figures."""
    path = Path(os.environ.get("JAXLOC_UCI", "")) / f"{name}.txt"
    if "JAXLOC_UCI" not in os.environ or not path.exists():
        pytest.skip(f"needs {name}.txt in the folder that JAXLOC_UCI names")
    rows = np.loadtxt(path)
    features, targets = rows[:, :-1], rows[:, -1]
    number = features.shape[1] if kind == "gap" else int(os.environ.get("JAXLOC_UCI_SPLITS", "20"))
    choose = _gap if kind == "gap" else _random
    scores = np.array([_scores(METHODS[method], features, targets, choose(features, k)) for k in range(number)])
    assert np.isfinite(scores).all()
    mean, error = scores.mean(0), scores.std(0) / np.sqrt(max(number - 1, 1))
    with capsys.disabled():
        print(f"\n{name}, {kind}, {method}: {mean[0]:.3f} ± {error[0]:.3f}, error {mean[1]:.3g} ± {error[1]:.2g}")
        print("    published, random splits: " + "; ".join(f"{density}, {rmse}" for density, rmse in PUBLISHED[name]))
