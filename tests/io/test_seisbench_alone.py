"""Records of noise, read without positions of stations."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxloc.io.seisbench_alone import read_alone


def test_traces_keep_kind_station_and_length(data_folder: Callable[[str], Path]) -> None:
    found = read_alone(data_folder("anywhere") / "noise_and_negatives", 50.0, 3000)
    assert found.waveforms.shape == (186, 3, 3000)
    urban = np.char.startswith(found.category, "noise (urban")
    assert set(found.station[urban]) == {"CI.USC"}
    assert urban.sum() == 142
    assert np.median(found.recorded[urban].sum(-1)) == 2000  # 40 s of most of them
    broadband = np.char.startswith(found.category, "noise (broadband")
    assert (found.recorded[broadband].sum(-1) >= 2998).all()  # a minute, but for the last sample at 20 Hz
    silent = (found.waveforms[broadband] == 0).all(-1)
    np.testing.assert_array_equal(silent, np.tile([True, False, True], (36, 1)))  # N alone


def test_folders_without_kinds_are_refused(data_folder: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="must have a column trace_category"):
        read_alone(data_folder("iceland_vt"), 50.0, 3000)
