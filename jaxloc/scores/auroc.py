"""Area under the receiver operating characteristic of a score that separates two samples."""

import numpy as np
import scipy.stats
from jaxtyping import Float


def auroc(in_distribution: Float[np.ndarray, " event"], out_of_distribution: Float[np.ndarray, " other"]) -> float:
    """The probability that a score ranks an out-of-distribution event above an ordinary one."""
    statistic = scipy.stats.mannwhitneyu(out_of_distribution, in_distribution).statistic
    return float(statistic / (len(in_distribution) * len(out_of_distribution)))
