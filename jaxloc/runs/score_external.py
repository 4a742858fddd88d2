"""Locations of other programs, scored as jaxloc's own."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxloc import prng
from jaxloc.distributions.bandwidth import silverman
from jaxloc.distributions.gaussian_mixture import gaussian_mixture, without_weights
from jaxloc.io.locations import Predictions, read_predictions
from jaxloc.io.locations_nonlinloc import read_nonlinloc
from jaxloc.io.locations_quakeml import read_quakeml
from jaxloc.io.reference_catalogue import QUAKEML
from jaxloc.io.uncertainty_checks import summary
from jaxloc.runs import report
from jaxloc.scores.events import score_events
from jaxloc.scores.gaussian import score_gaussian_events
from jaxloc.scores.score_card import score_card
from jaxloc.types import Label, Posterior


def score_predictions(path: Path, folder: Path, truth: Path | None = None) -> dict[str, Any]:
    """Score a file of predictions (`read`) and write scores and pictures into a folder.

    A reported uncertainty is read as that of a normal distribution, all of it aleatoric; scatter as a posterior.
    There is no training catalogue to compare with.

    Raises:
        ValueError: as `read`.
    """
    predictions = read(path, truth)
    key = prng.stream("scores")
    scores = score(key, predictions)
    cards = {"locator": score_card(key, scores)}
    error, predicted = (np.asarray(scores[f"epicentre/{name}"]) for name in ("error", "stated"))
    about = {
        "name": path.stem,
        "dataset": path.name,
        "events": len(predictions.id),
        "sharpened": predictions.sharpened,
        "without_truth": list(predictions.without_truth),
        "warnings": summary(predictions.findings),
        "inside_one_stated": float((error <= predicted).mean()),
        "inside_two_stated": float((error <= 2 * predicted).mean()),
        "conformal": report.conformal(scores),
    }
    folder.mkdir(parents=True, exist_ok=True)
    report.write_scores(folder, cards, about)
    report.write_calibration(folder / "pictures", path.stem, scores)
    return {"about": about, **cards}


def read(path: Path, truth: Path | None = None) -> Predictions:
    """Predictions by the kind of file: a CSV with its truths, QuakeML, or NonLinLoc's (a file, folder or glob).

    Raises:
        ValueError: where truths are needed and not given, or given and not needed; as the readers.
    """
    quakeml = path.suffix.lower() in QUAKEML
    if quakeml or path.is_dir() or path.suffix.lower() == ".hyp":
        if truth is None:
            raise ValueError(f"{path} has no truths; use --truth with a CSV or QuakeML file of them")
        return (read_quakeml if quakeml else read_nonlinloc)(path, truth)
    if truth is not None:
        raise ValueError(f"{path} has its truths in its own columns: leave out --truth")
    return read_predictions(path)


def score(key: Key[Array, ""], predictions: Predictions) -> dict[str, np.ndarray]:
    """Scores by event, in closed form where posteriors are normal."""
    if predictions.scatter_km is None:
        return score_gaussian_events(*_about_true_origin(predictions)[1:5])
    return score_events(key, *as_posterior(predictions))


def as_posterior(predictions: Predictions) -> tuple[Posterior, Label]:
    """Posteriors about the true epicentres, normal or of scatter, and the truth."""
    single = lambda x: jnp.asarray(x, jnp.float32)
    predictions = _about_true_origin(predictions)
    truth = Label(single(predictions.truth), jnp.asarray(predictions.known))
    mean, kernel = predictions.estimate[:, None], predictions.covariance
    if predictions.scatter_km is not None:
        mean, kernel = _smoothed(predictions)
    tril = np.linalg.cholesky(kernel)
    mixture = gaussian_mixture(jnp.zeros(mean.shape[:2]), single(mean), single(tril[:, None]))
    return without_weights(mixture), truth


def _about_true_origin(predictions: Predictions) -> Predictions:
    """Origin times counted from the true ones: seconds since 1970 have a step of 128 s in single precision."""
    estimate, truth = predictions.estimate.copy(), predictions.truth.copy()
    estimate[:, 3] -= truth[:, 3]
    truth[:, 3] = 0.0
    return predictions._replace(estimate=estimate, truth=truth)


def _smoothed(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Kernels at samples, shrunk towards their mean so that mean and covariance stay (West 1993, JRSS B 55).

    Their width is Silverman's (1986, eq. 4.14) of a normal density in three dimensions.
    """
    samples, known = predictions.scatter_km, predictions.known[:, :3]
    assert samples is not None
    count = samples.shape[1]
    width = silverman(count, 3)
    centre = samples.mean(1, keepdims=True)
    apart = samples - centre
    spread = predictions.covariance.copy()
    spread[:, :3, :3] = np.einsum("eki,ekj->eij", apart, apart) / count + 1e-4 * np.eye(3)
    spread[:, :3, :3] = np.where(known[:, :, None] & known[:, None, :], spread[:, :3, :3], np.eye(3))
    shrunk = np.where(known[:, None], centre + np.sqrt(1 - width**2) * apart, 0.0)
    mean = np.concatenate([shrunk, np.broadcast_to(predictions.estimate[:, None, 3:], (*samples.shape[:2], 1))], -1)
    spread[:, :3, :3] *= width**2
    return mean, spread
