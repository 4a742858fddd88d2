"""Continuous records within a pass band, and what of them missing samples do not affect."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from jaxloc.data.gaps import bridged, demean
from jaxloc.data.preprocessing import bandpass, check_band

SETTLING_PERIODS = 2.0
"""Of the lower corner: samples so near a missing one are affected by how it was bridged."""


def in_band(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    rate_hz: float,
    band_hz: tuple[float, float],
) -> tuple[Float[np.ndarray, "station component sample"], Bool[np.ndarray, "station component sample"]]:
    """Records filtered without a shift of phase, and which of their samples missing ones do not reach by the filter.

    The ends of the records count as such: continuous records in chunks need as much more on both sides.

    Raises:
        ValueError: as `jaxloc.data.preprocessing.check_band`.
    """
    check_band(band_hz, rate_hz)
    reach = round(settling_s(band_hz) * rate_hz)
    out, kept = np.zeros(records.shape, np.float32), np.zeros(usable.shape, bool)
    for row in range(len(records)):  # in double precision, of one station at a time
        there = usable[row : row + 1]
        whole = bridged(demean(np.asarray(records[row : row + 1], np.float64), there), there)
        missing = (~there[0]).astype(np.uint8)
        kept[row] = ndimage.maximum_filter1d(missing, 2 * reach + 1, axis=-1, mode="constant", cval=1) == 0
        out[row] = np.where(kept[row], bandpass(whole[0], rate_hz, band_hz, zero_phase=True), 0.0)
    return out, kept


def settling_s(band_hz: tuple[float, float]) -> float:
    """For how long a missing sample affects the filtered record, on either side."""
    return SETTLING_PERIODS / band_hz[0]
