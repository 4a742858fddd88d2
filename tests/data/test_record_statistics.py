"""Statistics of records that were made to have known ones."""

import numpy as np
import pytest

from jaxloc.data.record_statistics import STATISTICS, record_statistics

RATE_HZ = 100.0
SECOND = np.arange(6000) / RATE_HZ
P_S, S_S = 20.0, 24.0


def _record(seed: int = 0) -> np.ndarray:
    """White noise, a P of 8 Hz on the vertical and an S of 5 Hz, 10 times as large and decaying, on the horizontals."""
    record = np.random.default_rng(seed).normal(size=(3, len(SECOND)))
    record[0] += 100 * np.sin(2 * np.pi * 8 * SECOND) * (SECOND >= P_S) * (SECOND < S_S)
    since = SECOND - S_S
    record[1:] += 1000 * np.sin(2 * np.pi * 5 * SECOND) * (since >= 0) * np.exp(-np.maximum(since, 0) / 5)
    return record


def test_names_are_those_of_the_table():
    assert record_statistics(_record(), RATE_HZ, P_S, S_S).keys() == STATISTICS.keys()


def test_ratios_of_a_known_record():
    found = record_statistics(_record(), RATE_HZ, P_S, S_S)
    assert found["p_snr_db"] == pytest.approx(10 * np.log10(100**2 / 2), abs=0.5)
    # The mean energy of an S that decays by exp(-1/5) in its second; the filter takes less than .1 dB.
    energy = 2.5 * (1 - np.exp(-2 / 5))
    assert found["s_over_p_db"] == pytest.approx(20 + 10 * np.log10(energy), abs=0.3)
    assert found["s_onset_db"] == pytest.approx(10 * np.log10(1000**2 * energy / 2), abs=0.8)
    assert found["s_minus_p_s"] == pytest.approx(4.0)
    # The filter answers the onset of S with a tenth of a dB.
    assert found["coda_5_db"] == pytest.approx(-20 * np.log10(np.e) * 5 / 5, abs=0.2)
    assert found["coda_10_db"] == pytest.approx(-20 * np.log10(np.e) * 10 / 5, abs=0.2)


def test_centroids_are_those_of_the_waves():
    found = record_statistics(_record(), RATE_HZ, P_S, S_S)
    assert found["p_centroid_hz"] == pytest.approx(8.0, abs=0.2)
    assert found["s_centroid_hz"] == pytest.approx(5.0, abs=0.2)


def test_noise_of_known_slope_ratio_and_kurtosis():
    each = []
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=(3, len(SECOND)))
        hz = np.fft.rfftfreq(len(SECOND), 1 / RATE_HZ)
        noise = np.fft.irfft(np.fft.rfft(noise) * np.maximum(hz, 0.2) ** -1.0)
        noise[1:] *= 2.0
        each.append(record_statistics(noise, RATE_HZ, P_S, np.nan))
    mean = {name: np.mean([one[name] for one in each]) for name in STATISTICS}
    error = {name: 4 * np.std([one[name] for one in each]) / 40**0.5 for name in STATISTICS}
    assert abs(mean["slope_low_db"] + 20) < error["slope_low_db"] + 1.5  # the window of Welch's method leaks
    assert abs(mean["slope_high_db"] + 20) < error["slope_high_db"] + 0.5
    assert abs(mean["horizontal_noise_db"] - 20 * np.log10(2)) < error["horizontal_noise_db"]
    assert abs(mean["kurtosis"]) < error["kurtosis"] + 0.1  # of few independent samples
    assert all(np.isnan(one[name]) for one in each for name in ("s_over_p_db", "s_minus_p_s", "coda_5_db"))


def test_what_a_record_lacks_is_unknown():
    vertical = _record()
    vertical[1:] = 0
    found = record_statistics(vertical, RATE_HZ, P_S, S_S)
    assert np.isfinite(found["p_snr_db"])
    assert all(np.isnan(found[name]) for name in ("horizontal_noise_db", "s_over_p_db", "s_centroid_hz", "coda_5_db"))
    early = record_statistics(_record()[:, 1950:], RATE_HZ, 0.5, S_S - 19.5)
    assert all(np.isnan(early[name]) for name in ("slope_low_db", "kurtosis", "p_snr_db"))
    assert np.isfinite(early["s_over_p_db"])
    short = record_statistics(_record()[:, :2410], RATE_HZ, P_S, S_S)
    assert all(np.isnan(short[name]) for name in ("s_over_p_db", "coda_5_db"))
