"""Peterson's (1993) new low and high noise models of ground acceleration.

J. Peterson, Observations and modeling of seismic background noise, U.S. Geological Survey Open-File Report 93-322,
tables 3 and 4: in each interval of period the level is A + B log10(period) dB. Here the levels at the ends of the
intervals are tabulated; between them the models are straight lines in log-period.
"""

import numpy as np
from jaxtyping import Float

LOW_NOISE_DB = (
    (0.10, -168.00), (0.17, -166.70), (0.40, -166.70), (0.80, -169.20), (1.24, -163.70), (2.40, -148.60),
    (4.30, -141.10), (5.00, -141.10), (6.00, -149.00), (10.0, -163.80), (12.0, -166.20), (15.6, -162.10),
    (21.9, -177.50), (31.6, -185.00), (45.0, -187.50), (70.0, -187.50), (101.0, -185.00), (154.0, -185.00),
    (328.0, -187.50), (600.0, -184.40),
)  # fmt: skip
"""Period in s and acceleration in dB relative to 1 (m/s²)²/Hz."""

HIGH_NOISE_DB = (
    (0.10, -91.50), (0.22, -97.40), (0.32, -110.50), (0.80, -120.00), (3.80, -98.00), (4.60, -96.50), (6.30, -101.00),
    (7.90, -113.50), (15.4, -120.00), (20.0, -138.50), (354.8, -126.00),
)  # fmt: skip
"""As `LOW_NOISE_DB`."""

SHORTEST_S = 0.1
"""Both models end here; at shorter periods the last level is kept."""


def peterson_db(
    table: tuple[tuple[float, float], ...], frequency_hz: Float[np.ndarray, " frequency"]
) -> Float[np.ndarray, " frequency"]:
    """A model's power density of acceleration in dB relative to 1 (m/s²)²/Hz; levels are kept beyond its ends."""
    period_s, level_db = np.array(table).T
    return np.interp(-np.log10(frequency_hz), np.log10(period_s), level_db)
