"""Located events: what locating a data set gives, and files, scores and flags are made of."""

from typing import NamedTuple

import numpy as np

from jaxloc.calibration.event_statistics import Statistics
from jaxloc.data.onsets import Onsets
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.types import Batch, Posterior


class Located(NamedTuple):
    """Located events, without their waveforms.

    Attributes:
        batch: events, one or more.
        posterior: of each.
        features: of the network's layers for each [event, feature]; None if not asked for, or if the network has none.
        check: arrival densities against each posterior; None if not asked for, or if the model has none.
        onsets: of the waveforms; None if not asked for.
        statistics: for out-of-distribution flags, by name; None if not asked for, or without arrivals.
    """

    batch: Batch
    posterior: Posterior
    features: np.ndarray | None
    check: ArrivalCheck | None = None
    onsets: Onsets | None = None
    statistics: Statistics | None = None
