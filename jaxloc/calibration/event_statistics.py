"""Statistics of a located event that differ between events like those of training and others.

Each is a number an event that does not depend on the number of stations or on where in the record the event is; medians
and shares over stations, so that single stations do not decide.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.data.onsets import Onsets
from jaxloc.data.wave_statistics import WaveStatistics
from jaxloc.physics.readings import ArrivalCheck

FAR_S = 0.5  # of a pick from its predicted arrival
LEAST_S = 0.01
BEGINS = 1.0  # log-ratio of energies after and before an arrival that is seen
OTHER = 1.6  # log-ratio of energies of an onset that is seen
Statistics = Mapping[str, Float[np.ndarray, " event"]]

MEANING = {
    "evidence": "arrivals fit no hypocentre as they do in earthquakes",
    "p_density": "P is not where the hypocentre predicts it",
    "s_density": "S is not where the hypocentre predicts it",
    "p_worst": "P is missing at some stations where the hypocentre predicts it",
    "s_worst": "S is missing at some stations where the hypocentre predicts it",
    "misfit": "picks are far from predicted arrivals",
    "far_picks": "many picks are far from predicted arrivals",
    "read_p": "few stations have a P",
    "read_s": "few stations have an S",
    "asymmetry": "energy ends more sharply than it begins",
    "p_rise": "records do not begin where P is predicted",
    "s_rise": "records do not grow where S is predicted",
    "p_s": "P is too strong for its S",
    "pitch": "frequencies are not those of local earthquakes",
    "other": "energy sets in again where neither P nor S is predicted",
    "epistemic": "draws of the network's weights disagree",
    "sd": "the predicted uncertainty is not that of such events",
}
"""What an extreme value of each statistic says."""


def statistics_of(
    check: ArrivalCheck,
    onsets: Onsets,
    waves: WaveStatistics,
    covariance: Float[np.ndarray, "event 4 4"],
    epistemic: Float[np.ndarray, "event 4 4"],
    duration_s: float,
) -> Statistics:
    """Statistics of a batch of events, by the names of `MEANING`; finite.

    Args:
        check: arrival densities against posteriors, with picks.
        onsets: of the records.
        waves: of the records about the predicted arrivals.
        covariance: of each posterior.
        epistemic: its epistemic part.
        duration_s: length of the records.

    Raises:
        ValueError: where the check has no picks.
    """
    if check.picks is None:
        raise ValueError("check.picks is None; picks must have been read from the arrival densities")
    active = np.asarray(check.active) > 0
    arrival_s, log_ratio = np.asarray(check.arrival_s, float), np.asarray(check.log_ratio, float)
    inside = active[..., None] & (arrival_s > 0) & (arrival_s < duration_s)
    picks = check.picks
    sure = np.asarray(picks.sure) & active[..., None]
    away_s = np.abs(np.asarray(picks.time_s, float) - arrival_s)
    number = np.maximum(active.sum(1), 1)
    sd = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-12))
    share = np.trace(epistemic[:, :3, :3], axis1=1, axis2=2) / np.trace(covariance[:, :3, :3], axis1=1, axis2=2)
    found = {
        "evidence": np.arcsinh(np.asarray(check.log_evidence, float) / number),
        "misfit": np.log(_quantile(away_s.reshape(len(sd), -1), sure.reshape(len(sd), -1), 0.5, FAR_S) + LEAST_S),
        "far_picks": _share(away_s > FAR_S, sure, 1.0),
        "asymmetry": _quantile(onsets.log_ratio - onsets.reversed_log_ratio, active, 0.5, 0.0),
        "p_s": _quantile(waves.log_p_s, active, 0.5, 0.0),
        "pitch": _quantile(waves.log_pitch, active, 0.5, 0.0),
        "other": _quantile(waves.log_other, active, 0.75, 0.0),
        "epistemic": np.log(np.clip(share, 1e-6, 1.0)),
        "sd": np.log(np.hypot(sd[:, 0], sd[:, 1])),
    }
    for i, phase in enumerate("ps"):
        found |= {
            f"{phase}_density": _quantile(log_ratio[..., i], inside[..., i], 0.5, 0.0),
            f"{phase}_worst": _quantile(log_ratio[..., i], inside[..., i], 0.2, 0.0),
            f"read_{phase}": sure[..., i].sum(1) / number,
            f"{phase}_rise": _quantile(waves.log_rise[..., i], inside[..., i], 0.5, 0.0),
        }
    return {name: np.nan_to_num(found[name], nan=0.0, posinf=20.0, neginf=-20.0) for name in MEANING}


def _quantile(
    values: Float[np.ndarray, "event station"], use: Bool[np.ndarray, "event station"], share: float, otherwise: float
) -> Float[np.ndarray, " event"]:
    """The quantile over the stations in use; `otherwise` where there is none."""
    kept = np.where(use & np.isfinite(values), values, np.nan)
    empty = np.isnan(kept).all(1)
    kept[empty, 0] = otherwise
    return np.nanquantile(kept, share, axis=1)


def _share(
    values: Bool[np.ndarray, "event station phase"], use: Bool[np.ndarray, "event station phase"], otherwise: float
) -> Float[np.ndarray, " event"]:
    number = use.sum((1, 2))
    return np.where(number > 0, (values & use).sum((1, 2)) / np.maximum(number, 1), otherwise)
