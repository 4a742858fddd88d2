"""The Wood-Anderson seismograph that local magnitudes are defined by."""

import numpy as np
from jaxtyping import Complex, Float

GAIN = 2080.0
POLES_RAD_S = (-5.49779 + 5.60886j, -5.49779 - 5.60886j)
"""Gain and poles for displacement (two zeros at 0) of Uhrhammer & Collins (1990), as IASPEI (2013) recommends: free
period 0.8 s, damping 0.7. The nominal values of Anderson & Wood (1925), 2800 and -6.2832 +- 4.7124i, give magnitudes
that are larger by 0.13."""
ABOUT = f"Wood-Anderson seismograph of gain {GAIN:.0f}, poles {POLES_RAD_S[0].real} +- {POLES_RAD_S[0].imag}i rad/s"


def wood_anderson_response(frequency_hz: Float[np.ndarray, "*shape"]) -> Complex[np.ndarray, "*shape"]:
    """Trace amplitude over ground displacement."""
    s = 2j * np.pi * np.asarray(frequency_hz)
    return GAIN * s**2 / ((s - POLES_RAD_S[0]) * (s - POLES_RAD_S[1]))
