"""Other locators' results on the same score card."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxloc import reporting
from jaxloc.data.predictions import Predictions, read_predictions
from jaxloc.distributions import gaussian_mixture
from jaxloc.metrics import score_card, score_events
from jaxloc.types import Label, Posterior


def judge(path: Path, folder: Path) -> dict[str, Any]:
    """Score a CSV of predictions (`jaxloc.data.predictions`) and write scores and pictures into a folder.

    A stated error is taken for that of a normal distribution, all of it for aleatoric. There is no training catalogue
    to compare with.

    Raises:
        ValueError: as `read_predictions`.
    """
    predictions = read_predictions(path)
    key = jax.random.key(reporting.SCORE_SEED)
    posterior, truth = as_posterior(predictions)
    scores = score_events(key, posterior, truth)
    cards = {"locator": score_card(key, scores)}
    error, stated = (np.asarray(scores[f"epicentre/{name}"]) for name in ("error", "stated"))
    about = {
        "name": path.stem,
        "dataset": path.name,
        "events": len(predictions.id),
        "sharpened": predictions.sharpened,
        "inside_one_stated": float((error <= stated).mean()),
        "inside_two_stated": float((error <= 2 * stated).mean()),
        "conformal": reporting.conformal(scores),
    }
    folder.mkdir(parents=True, exist_ok=True)
    reporting.write_scores(folder, cards, about)
    reporting.write_calibration(folder / "pictures", path.stem, scores)
    return {"about": about, **cards}


def as_posterior(predictions: Predictions) -> tuple[Posterior, Label]:
    """Normal posteriors about the true epicentres, and the truth."""
    single = lambda x: jnp.asarray(x, jnp.float32)
    tril = np.linalg.cholesky(predictions.covariance)
    log_weight = jnp.zeros((len(predictions.id), 1))
    mixture = gaussian_mixture(log_weight, single(predictions.estimate[:, None]), single(tril[:, None]))
    covariance = single(predictions.covariance)
    truth = Label(single(predictions.truth), jnp.asarray(predictions.known))
    return Posterior(mixture, jnp.zeros_like(covariance), covariance), truth
