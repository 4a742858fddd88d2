"""The comparison of simulated with real records."""

import numpy as np
import pytest

from jaxloc.data.record_statistics import STATISTICS
from jaxloc.plots.record_samples import Sample, record_samples
from jaxloc.studies.record_statistics import (
    compared,
    pictured,
    real_samples,
    simulated_samples,
    statistics_of,
    table_of,
)


def _values(low: float, high: float, number: int = 101) -> dict[str, np.ndarray]:
    return {name: np.linspace(low, high, number) for name in STATISTICS}


def test_intervals_that_are_enclosed_are_told_from_those_that_are_not():
    simulated = _values(0.0, 100.0)
    assert all(one.inside for one in compared(_values(0.0, 100.0), simulated).values())
    # 10 % of 0 to 130 is 13, 90 % is 117.
    found = compared(_values(0.0, 130.0), simulated)
    assert all(not one.inside and one.low == 13 and one.high == 117 and one.number == 101 for one in found.values())
    text = table_of({"narrow": _values(20.0, 80.0), "wide": _values(0.0, 130.0)}, simulated)
    assert text.count("*") == len(STATISTICS)
    assert "13.0 / 65.0 / 117.0 *" in text
    assert "narrow (101)" in text


def test_statistics_of_too_few_records_are_left_out():
    few = _values(0.0, 1.0) | {"kurtosis": np.array([1.0] * 4 + [np.nan] * 97)}
    assert "kurtosis" not in compared(few, _values(0.0, 1.0))


def test_real_records_have_the_arrivals_of_their_set(data_folder):
    samples = real_samples(data_folder("anywhere/greece_corinth"))
    assert len(samples) > 20
    values = statistics_of(samples)
    # Local earthquakes: P stands out of the noise, and S follows within seconds.
    assert np.nanmedian(values["p_snr_db"]) > 10
    assert 1 < np.nanmedian(values["s_minus_p_s"]) < 6
    assert np.nanmedian(values["s_onset_db"]) > 3


@pytest.mark.slow
def test_simulated_records_have_one_earthquake_each():
    samples = simulated_samples(30, 0)
    assert len(samples) == 30
    assert all(0 <= sample.p_s < sample.s_s < 60 for sample in samples)
    values = statistics_of(samples)
    assert (np.isfinite(values["s_minus_p_s"])).all()
    assert np.nanmedian(values["p_snr_db"]) > 5


def test_a_picture_is_of_parts_about_p(tmp_path):
    waveforms = np.random.default_rng(0).normal(size=(3, 3000))
    samples = [Sample(waveforms, 50.0, 20.0, np.nan), Sample(waveforms, 50.0, 2.0, 4.0)]
    first, second = pictured(samples, 2, seed=0)
    assert {first.p_s, second.p_s} == {5.0, 2.0}
    assert {first.waveforms.shape[-1], second.waveforms.shape[-1]} == {1500}
    record_samples(tmp_path / "records.png", {"one": [first, second], "other": [first]}, "title")
    assert (tmp_path / "records.png").stat().st_size > 1000


def test_a_picture_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no record to draw"):
        record_samples(tmp_path / "records.png", {"one": []})
