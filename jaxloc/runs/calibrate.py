"""A trained run held against events that it has not seen, and corrected by them."""

from typing import Any

import numpy as np

from jaxloc import prng
from jaxloc.calibration import calibration
from jaxloc.calibration.calibration import Calibration
from jaxloc.calibration.covariates import covariates_of
from jaxloc.calibration.local_levels import local_of
from jaxloc.data.dataset import Dataset
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.predict import locate, of_known
from jaxloc.types import Batch

BEST = "best"


def calibrate_run(
    fitted: Fitted, dataset: Dataset, kind: str = BEST, by: str = "", num_draws: int = 1000
) -> tuple[dict[str, Any], Calibration]:
    """Score cards of every recalibration of posteriors, cross-fitted, and the calibration by one of them.

    Args:
        fitted: a run.
        dataset: labelled events; those of whose hypocentre nothing is known are left out.
        kind: one of `jaxloc.calibration.recalibration.MAPS`, or "local"; `BEST` takes the one of highest
            cross-fitted likelihood.
        by: "gap" or "distance" for group-conditional conformal levels, "local" for those of similar events.
        num_draws: of each posterior, to score it by.

    Raises:
        ValueError: for training events, and as `calibration.calibrate`.
    """
    located, key = of_known(locate(fitted, dataset, with_features=True)), prng.stream("scores")
    if not len(located.batch.labels["hypocentre"].mask):
        raise ValueError(
            f"{dataset.name} has no event with a known hypocentre; events for calibration must be labelled"
        )
    refuse_training_events(fitted, located.batch)
    truth = located.batch.labels["hypocentre"]
    catalogue = fitted.spec.catalogue
    trained_km = np.asarray(catalogue.hypocentres, float)[np.asarray(catalogue.known)[:, :2].all(-1), :2]
    seen = located.batch.observations
    local = local_of(covariates_of(located.posterior, seen, trained_km, located.onsets), trained_km)
    cards = calibration.candidates(key, located.posterior, truth, num_draws, local)
    found = calibration.calibrate(
        key,
        located.posterior,
        seen,
        truth,
        located.features,
        kind=calibration.best(cards) if kind == BEST else kind,
        dataset=dataset.name,
        by=by,
        num_draws=num_draws,
        local=local,
    )
    return cards, found


def refuse_training_events(fitted: Fitted, batch: Batch) -> None:
    """Refuse training events of the run, on which its errors are too small.

    Raises:
        ValueError: where events have the very hypocentres of the training catalogue; gives their number.
    """
    value, mask = (np.asarray(x) for x in batch.labels["hypocentre"])
    trained_on = {tuple(np.round(row[:3], 3)) for row in np.asarray(fitted.spec.catalogue.hypocentres, np.float32)}
    again = sum(tuple(np.round(row[:3], 3)) in trained_on for row in value[mask[:, :3].all(-1)])
    if again:
        raise ValueError(
            f"{again} of {len(value)} events are training events of this run, on which its errors look smaller than "
            "they are; use events that it has not seen (--split selects them)"
        )
