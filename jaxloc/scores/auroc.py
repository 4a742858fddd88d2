"""Area under the receiver operating characteristic of a score that separates two samples."""

import numpy as np
import scipy.stats
from jaxtyping import Float


def auroc(ordinary: Float[np.ndarray, " event"], strange: Float[np.ndarray, " other"]) -> float:
    """The probability that a score ranks an out-of-distribution event above an ordinary one."""
    statistic = scipy.stats.mannwhitneyu(strange, ordinary).statistic
    return float(statistic / (len(ordinary) * len(strange)))
