"""Relative magnitudes of simulated detections: bias with noise, errors, and the reasons of channels left out."""

import jax
import numpy as np
import pytest
from scipy import signal

from jaxloc.detection.relative_magnitude import principal_slope, relative_magnitude

KEY, BAND = jax.random.key(0), signal.butter(4, (2, 8), "band", fs=50, output="sos")


def pair(seed: int, difference: float, noise: float, channels: int = 9) -> tuple[np.ndarray, ...]:
    """A template and a detection of the same wavelet, `difference` magnitudes larger, and the noise before each."""
    rng = np.random.default_rng(seed)
    filtered = lambda x: signal.sosfiltfilt(BAND, x, axis=-1)
    envelope = np.r_[np.zeros(200), np.exp(-np.arange(200) / 60), np.zeros(200)]
    wavelet = filtered(rng.normal(size=(channels, 600)) * envelope)
    noises = [noise * scale * filtered(rng.normal(size=wavelet.shape)) for scale in (1.0, 10**difference)]
    window, before = slice(200, 400), slice(0, 190)
    template, detection = wavelet + noises[0], 10**difference * wavelet + noises[1]
    return template[:, window], detection[:, window], noises[0][:, before], noises[1][:, before]


@pytest.mark.parametrize("difference", [-2.0, -0.8, 0.0, 0.7])
def test_ratios_are_recovered_without_noise(difference):
    found = relative_magnitude(KEY, *pair(0, difference, 1e-4), 2.0)
    assert found.difference == pytest.approx(difference, abs=1e-3)
    assert found.magnitude == pytest.approx(2 + difference, abs=1e-3)
    assert bool(found.flags) == (abs(difference) > 1)


def test_noise_does_not_bias_the_slope_and_its_error_is_right():
    slopes, errors = [], []
    for seed in range(150):
        template, detection, first, second = pair(seed, -0.5, 0.1, channels=1)
        slope = principal_slope(template[0], detection[0], first.var(), second.var())
        slopes.append(np.log10(slope.ratio) + 0.5)
        errors.append(slope.log10_sd)
    standard_error = np.std(slopes) / np.sqrt(len(slopes))
    assert abs(np.mean(slopes)) < 4 * standard_error
    assert 0.6 < np.std(slopes) / np.median(errors) < 1.6


def test_a_noisy_detection_is_not_too_large():
    """The ratio of root mean squares is: noise adds to a small signal."""
    misfits, naive = [], []
    for seed in range(60):
        template, detection, first, _ = pair(seed, -0.8, 0.02)
        extra = np.random.default_rng(seed).normal(size=(9, 800))
        extra = signal.sosfiltfilt(BAND, extra, axis=-1) * 0.06
        detection = detection + extra[:, 400:600]
        found = relative_magnitude(KEY, template, detection, first, extra[:, 100:300], 0.0)
        misfits.append(found.difference + 0.8)
        naive.append(np.median(np.log10(detection.std(1) / template.std(1))) + 0.8)
    assert np.mean(naive) > 0.05
    assert abs(np.nanmean(misfits)) < 0.2 * np.mean(naive) + 4 * np.nanstd(misfits) / np.sqrt(60)


def test_channels_that_are_left_out_have_a_reason():
    template, detection, first, second = pair(1, 0.0, 0.01)
    detection[0] *= -1
    detection[1] = second[1, :1].repeat(200) + 1e-9 * np.arange(200)
    detection[2] *= 30
    usable, clipped = np.ones(9, bool), np.zeros(9, bool)
    usable[3], clipped[4] = False, True
    found = relative_magnitude(KEY, template, detection, first, second, 1.0, 0.2, usable=usable, clipped=clipped)
    expected = ("correlation", "signal-to-noise", "outlier: +1.4", "samples missing", "clipped")
    assert all(text in reason for text, reason in zip(expected, found.reasons, strict=False))
    assert found.reasons[5:] == ("",) * 4
    assert found.sd == pytest.approx(np.hypot(found.difference_sd, 0.2))


def test_without_channels_there_is_no_magnitude():
    found = relative_magnitude(KEY, *pair(1, 0.0, 0.01), 1.0, clipped=np.ones(9, bool))
    assert np.isnan(found.magnitude)
    assert np.isnan(found.sd)
    assert found.flags == ()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t, d, n, m: (t, d[:, 1:], n, m, 1.0), "alike, got shapes"),
        (lambda t, d, n, m: (t, d, n[:, :5], m, 1.0), "template_noise must be"),
        (lambda t, d, n, m: (t, d, n, m, np.nan), "reference_magnitude must be finite, got nan"),
    ],
)
def test_wrong_input_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        relative_magnitude(KEY, *change(*pair(0, 0.0, 0.01)))
