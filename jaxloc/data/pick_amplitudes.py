"""How large the ground motion is after a pick."""

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.data.preprocessing import bandpass

BAND_HZ = (2.0, 15.0)
NYQUIST_SHARE = 0.8
"""The band ends at this share of the Nyquist frequency where the rate is low."""
AFTER_S = 2.0


def peak_amplitudes(
    records: Float[np.ndarray, "component sample"],
    usable: Bool[np.ndarray, "component sample"],
    rate_hz: float,
    time_s: Float[np.ndarray, " pick"],
    after_s: float = AFTER_S,
) -> Float[np.ndarray, " pick"]:
    """The largest absolute value of any component within `after_s` after each pick, from 2 to 15 Hz.

    Args:
        records: of one station, in any unit.
        usable: samples that count.
        rate_hz: of the records, above 5 Hz.
        time_s: of the picks from the first sample.
        after_s: length of the window.

    Returns:
        In the unit of the records; NaN where no sample is usable.
    """
    if not len(time_s):
        return np.zeros(0)
    band = (BAND_HZ[0], min(BAND_HZ[1], NYQUIST_SHARE * rate_hz / 2))
    size = np.where(usable, np.abs(bandpass(np.asarray(records, float), rate_hz, band)), np.nan)
    first = np.clip(np.round(time_s * rate_hz).astype(int), 0, size.shape[-1] - 1)
    windows = first[:, None] + np.arange(round(after_s * rate_hz) + 1)
    inside = size[:, np.minimum(windows, size.shape[-1] - 1)]
    missing = np.asarray(np.isnan(inside).all((0, 2)), bool)
    return np.where(missing, np.nan, np.nanmax(np.where(missing[:, None], 0.0, inside), (0, 2)))
