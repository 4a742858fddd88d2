"""Magnitude of a detection relative to the event of its template, from windows of the same channels.

A channel's amplitude ratio is the slope of the principal axis of its samples (detection over template) in units of the
noise's standard deviations. In these units noise has the same variance in all directions, so that taking it from the
covariance leaves the axis as it is: noise biases neither large nor small ratios, as it does a ratio of root mean
squares (Schaff & Richards 2014, eq. 10, GJI 197, 1572-1588) or a regression of one window on the other.
"""

import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxloc.detection.station_median import median_of_stations

SMALLEST_SNR = 2.0
SMALLEST_CC = 0.5
BETWEEN_CHANNELS_SD = 0.1
LARGE_DIFFERENCE = 1.0
TINY = 1e-12
SHORTEST = 10  # samples of a window or its noise


class RelativeMagnitude(NamedTuple):
    """A magnitude relative to a template's; NaN where no channel has one.

    Attributes:
        magnitude: of the detection.
        sd: its standard deviation, with that of the reference.
        difference: from the reference magnitude.
        difference_sd: its standard deviation.
        channel: differences of channels; NaN where there is a reason.
        channel_sd: their standard deviations by noise.
        reasons: why a channel does not contribute; "" where it does.
        flags: reasons not to trust the magnitude.
    """

    magnitude: float
    sd: float
    difference: float
    difference_sd: float
    channel: Float[np.ndarray, " channel"]
    channel_sd: Float[np.ndarray, " channel"]
    reasons: tuple[str, ...]
    flags: tuple[str, ...]


class Slope(NamedTuple):
    """Ratio of amplitudes, the standard deviation of its log10 by noise, and the correlation without noise."""

    ratio: float
    log10_sd: float
    correlation: float


def relative_magnitude(
    key: Key[Array, ""],
    template: Float[np.ndarray, "channel sample"],
    detection: Float[np.ndarray, "channel sample"],
    template_noise: Float[np.ndarray, "channel noise"],
    detection_noise: Float[np.ndarray, "channel noise"],
    reference_magnitude: float,
    reference_sd: float = 0.0,
    *,
    usable: Bool[np.ndarray, " channel"] | None = None,
    clipped: Bool[np.ndarray, " channel"] | None = None,
) -> RelativeMagnitude:
    """Magnitude of a detection.

    A magnitude unit is a factor of ten in amplitude, as in local magnitudes: right where the records' band lies below
    the corner frequencies of both events, or these have like ones.

    Args:
        key: of the error's draws.
        template: windows of the template's event, filtered alike and aligned by cross-correlation with the others.
        detection: windows of the detection.
        template_noise: before the template's event, filtered alike.
        detection_noise: before the detection.
        reference_magnitude: of the template's event.
        reference_sd: its standard deviation.
        usable: channels without gaps in any window; all of them by default.
        clipped: channels that reached the recorder's limit in either window.

    Raises:
        ValueError: where shapes do not belong together, windows are too short, or the reference is not finite.
    """
    _check(template, detection, template_noise, detection_noise, reference_magnitude)
    number = len(template)
    there = np.ones(number, bool) if usable is None else np.asarray(usable)
    at_limit = np.zeros(number, bool) if clipped is None else np.asarray(clipped)
    found = [
        _channel(template[i], detection[i], template_noise[i], detection_noise[i], bool(there[i]), bool(at_limit[i]))
        for i in range(number)
    ]
    channel, sd, reasons = (list(each) for each in zip(*found, strict=True)) if found else ([], [], [])
    values = np.array(channel, float)
    normal = np.asarray(jax.random.normal(key, (1,)))
    middle = median_of_stations(values[None], normal, BETWEEN_CHANNELS_SD)
    for i in np.flatnonzero(np.isfinite(values) & ~middle.used):
        reasons[i] = f"outlier: {values[i]:+.2f}, the median is {middle.magnitude:+.2f}"
    noise_sd = np.array(sd, float)[middle.used]
    # Noise of the channels is part of their scatter; it bounds the error where few channels agree by chance.
    error = max(middle.sd, float(np.sqrt((noise_sd**2).sum()) / max(len(noise_sd), 1))) if len(noise_sd) else math.nan
    large = abs(middle.magnitude) > LARGE_DIFFERENCE
    flags = (f"differs from its template by {middle.magnitude:+.2f}, beyond {LARGE_DIFFERENCE:g}: use ML",) * large
    magnitude = reference_magnitude + middle.magnitude
    total = math.hypot(error, reference_sd)
    return RelativeMagnitude(
        magnitude, total, middle.magnitude, error, values, np.array(sd, float), tuple(reasons), flags
    )


def _check(
    template: np.ndarray,
    detection: np.ndarray,
    template_noise: np.ndarray,
    detection_noise: np.ndarray,
    magnitude: float,
) -> None:
    if template.ndim != 2 or detection.shape != template.shape:
        raise ValueError(
            f"template and detection must be [channel, sample] alike, got shapes {template.shape} and {detection.shape}"
        )
    for name, noise in (("template_noise", template_noise), ("detection_noise", detection_noise)):
        if noise.ndim != 2 or len(noise) != len(template) or min(noise.shape[1], template.shape[1]) < SHORTEST:
            raise ValueError(
                f"{name} must be [channel, {SHORTEST} or more samples] of {len(template)} channels, got {noise.shape}"
            )
    if not math.isfinite(magnitude):
        raise ValueError(f"reference_magnitude must be finite, got {magnitude}; give the template's event one")


def _channel(
    template: np.ndarray,
    detection: np.ndarray,
    template_noise: np.ndarray,
    detection_noise: np.ndarray,
    usable: bool,
    clipped: bool,
) -> tuple[float, float, str]:
    """Difference of magnitude by one channel, its standard deviation, and why it has none."""
    nothing = lambda why: (math.nan, math.nan, why)
    if clipped:
        return nothing("clipped")
    parts = (template, detection, template_noise, detection_noise)
    if not usable or not all(np.isfinite(part).all() for part in parts):
        return nothing("samples missing")
    power = [float(np.var(part)) for part in parts]
    if not all(power):
        return nothing("silent")
    for name, signal, noise in (("template", power[0], power[2]), ("detection", power[1], power[3])):
        if signal < SMALLEST_SNR**2 * noise:
            return nothing(
                f"signal-to-noise ratio of the {name} {math.sqrt(signal / noise):.1f}, below {SMALLEST_SNR:g}"
            )
    slope = principal_slope(template, detection, power[2], power[3])
    if slope.correlation < SMALLEST_CC:
        return nothing(f"correlation {slope.correlation:.2f}, below {SMALLEST_CC:g}")
    return math.log10(slope.ratio), slope.log10_sd, ""


def principal_slope(
    x: Float[np.ndarray, " sample"], y: Float[np.ndarray, " sample"], x_noise: float, y_noise: float
) -> Slope:
    """The slope of y over x by the principal axis in units of noise.

    Args:
        x: samples of the template.
        y: samples of the detection.
        x_noise: variance of the noise of x, positive.
        y_noise: of y.
    """
    u, v = (x - x.mean()) / math.sqrt(x_noise), (y - y.mean()) / math.sqrt(y_noise)
    covariance = np.cov(u, v, ddof=0)
    if covariance[0, 1] <= 0:
        return Slope(math.nan, math.nan, -1.0)
    (across, along), vectors = np.linalg.eigh(covariance)
    cosine, sine = np.abs(vectors[:, 1]).tolist()
    signal = math.sqrt(max(covariance[0, 0] - 1, TINY) * max(covariance[1, 1] - 1, TINY))
    # The variance of an eigenvector's angle (Anderson 1963, Ann. Math. Stat. 34, 122-148).
    variance = across * along / (along - across) ** 2 / independent_samples(u, v)
    log10_sd = math.sqrt(max(variance, 0.0)) / (sine * cosine) / math.log(10)
    return Slope(sine / cosine * math.sqrt(y_noise / x_noise), log10_sd, min(covariance[0, 1] / signal, 1.0))


def independent_samples(u: Float[np.ndarray, " sample"], v: Float[np.ndarray, " sample"]) -> float:
    """Effective number of independent samples of two records, from their autocorrelations (Bartlett 1946)."""
    size = 2 * len(u)
    power = [np.abs(np.fft.rfft(part, size)) ** 2 for part in (u, v)]
    first, second = (np.fft.irfft(each, size) for each in power)
    overlap = float((first * second).sum() / (first[0] * second[0]))
    return max(len(u) / max(overlap, 1.0), 2.0)
