"""Weights of the windows of a template in its stack, and the variances of their coefficients in noise."""

import numpy as np
from jaxtyping import Float
from scipy import fft

from jaxloc.detection.templates import Templates

WEAKER = 0.1
"""Amplitude, relative to the template's, of the event for which windows are weighted: one magnitude smaller."""


def weights(templates: Templates) -> Float[np.ndarray, " window"]:
    """Weight of each window in the stack, by its expected signal-to-noise ratio for an event of magnitude one smaller.

    A copy of the template with a ratio s of amplitudes of signal and noise has an expected correlation coefficient of
    rho = s / sqrt(1 + s^2), and noise one of zero mean and variance v (`noise_variance`). The sum of w c over windows
    has the largest ratio of expectation to standard deviation for w = rho / v, with s the template's `WEAKER` times.
    Weights of a template add up to one.
    """
    weak = WEAKER * templates.snr
    raw = weak / np.sqrt(1 + weak**2) / noise_variance(templates)
    return raw / np.bincount(templates.template, raw, len(templates.id))[templates.template]


def noise_variance(templates: Templates) -> Float[np.ndarray, " window"]:
    """Variance of the correlation coefficient of each window with noise.

    It is the power of the unit window at the frequencies of the noise (those of the noise kept with it, with a Hann
    taper), over the length of the window: 1 / (2 B T) where either spectrum is flat within the band B.
    """
    size = fft.next_fast_len(templates.value.shape[1] + templates.noise.shape[1], real=True)
    signal = np.abs(np.asarray(fft.rfft(templates.value, size))) ** 2
    noise = np.abs(np.asarray(fft.rfft(templates.noise * np.hanning(templates.noise.shape[1]), size))) ** 2
    mean = lambda power: power.mean(-1)
    return mean(signal * noise) / np.maximum(mean(signal) * mean(noise), 1e-30) / templates.length
