"""PAL's picker: each rule by itself, onsets at known times, and analysts' picks of Iceland."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from jaxloc.detection import pal_onsets as onsets
from jaxloc.detection import pal_picker as pal
from jaxloc.detection.pal_quality import quality_of, s_amplitude
from jaxloc.detection.pal_records import constant_runs, gaps_filled, prepared, with_all_components
from jaxloc.detection.station_pairs import pairs_of
from jaxloc.io.seisbench import read_seisbench

RATE_HZ = 100.0
LENGTHS = pal.lengths_of(pal.RIDGECREST, RATE_HZ)


def wave(number: int, begin: int, hz: float, direction: tuple[float, float, float], decay_s: float) -> np.ndarray:
    """A decaying oscillation along one direction (Z, N, E) that starts at a sample."""
    time_s = (np.arange(number) - begin) / RATE_HZ
    trace = np.where(time_s >= 0, np.sin(2 * np.pi * hz * time_s) * np.exp(-np.maximum(time_s, 0) / decay_s), 0.0)
    return np.array(direction)[:, None] * trace


def earthquake(p: int, s: int, number: int = 6000, seed: int = 0) -> np.ndarray:
    """P mostly on the vertical, S of three times its size on the horizontals, and noise of 1 % of P."""
    noise = 0.01 * np.random.default_rng(seed).standard_normal((3, number))
    p_wave = wave(number, p, 8.0, (1.0, 0.4, 0.2), 2.0)
    return noise + p_wave + wave(number, s, 5.0, (0.3, 2.0, -2.5), 1.0)


@pytest.mark.parametrize(("p", "s"), [(2000, 2300), (1500, 2150), (3000, 3850)])
def test_p_and_s_of_an_earthquake_are_picked(p: int, s: int) -> None:
    picked = pal.pick_station(earthquake(p, s), RATE_HZ, pal.RIDGECREST)
    assert picked.p_s == pytest.approx([p / RATE_HZ], abs=0.1)
    assert picked.s_s == pytest.approx([s / RATE_HZ], abs=0.3)
    assert picked.snr[0] > 12
    assert 4 < picked.dominant_hz[0] < 12
    assert picked.origin_s[0] == pytest.approx(picked.p_s[0] - (picked.s_s[0] - picked.p_s[0]) * 3.4 / 2.5)
    assert not picked.refused


def test_a_second_earthquake_is_picked_after_the_dead_time_and_not_within() -> None:
    first = earthquake(2000, 2300, 9000)
    late, early = first + earthquake(5000, 5400, 9000, 1), first + earthquake(2600, 2900, 9000, 1)
    assert pal.pick_station(late, RATE_HZ, pal.RIDGECREST).p_s == pytest.approx([20.0, 50.0], abs=0.1)
    assert len(pal.pick_station(early, RATE_HZ, pal.RIDGECREST).p_s) == 1


def test_noise_silence_and_ends_of_the_record_give_no_picks() -> None:
    noise = np.random.default_rng(0).standard_normal((3, 20_000))
    for record in (noise, np.zeros((3, 6000)), earthquake(5500, 5700)):
        assert not len(pal.pick_station(record, RATE_HZ, pal.RIDGECREST).p_s)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (earthquake(2000, 2300) + wave(6000, 2000, 1.2, (40.0, 40.0, 40.0), 3.0), "dominant frequency"),
        (earthquake(9000, 2600) + wave(6000, 2000, 8.0, (1.0, 0.4, 0.2), 0.3), "early over late P"),
    ],
)
def test_a_refused_trigger_is_counted_with_the_reason(record: np.ndarray, reason: str) -> None:
    picked = pal.pick_station(record, RATE_HZ, pal.RIDGECREST)
    assert sum(picked.refused.values()) >= 1
    assert any(reason in each for each in picked.refused)


def test_the_amplitude_is_that_of_the_displacement() -> None:
    """A velocity of A 2 pi f cos(2 pi f t) along (0.6, 0.8) is a displacement of A."""
    time_s = np.arange(2000) / RATE_HZ
    velocity = np.outer([0.0, 0.6, 0.8], 3e-6 * 2 * np.pi * 2.0 * np.cos(2 * np.pi * 2.0 * time_s))
    assert s_amplitude(velocity, RATE_HZ) == pytest.approx(3e-6, rel=0.07)  # a sum for an integral


def test_sta_lta_is_the_ratio_of_means_after_and_before() -> None:
    energy = np.random.default_rng(1).uniform(1, 2, 300)
    ratio = onsets.sta_lta(energy, 20, 100)
    assert ratio[150] == pytest.approx(energy[151:171].mean() / energy[51:151].mean())
    assert not ratio[:100].any()
    assert not ratio[280:].any()
    assert not onsets.sta_lta(np.zeros(300), 20, 100).any()
    assert not onsets.sta_lta(energy[:90], 20, 100).any()


@pytest.mark.parametrize(
    ("values", "number", "expected"),
    [
        ([1, 3, 2, 4], 1, 1),
        ([1, 3, 2, 4], 2, 2),
        ([1, 3, 2, 1], 2, 1),
        ([1, 2, 3], 1, 0),
        ([3, 1, 1], 1, 0),
        ([1], 2, 0),
    ],
)
def test_turning_points_are_counted_from_the_first_value(values: list[float], number: int, expected: int) -> None:
    assert onsets.turning_point(np.array(values, float), number) == expected


def test_kurtosis_is_that_of_each_window() -> None:
    values = np.random.default_rng(2).exponential(size=50)
    found = onsets.kurtosis(values, 20)
    assert found.shape == (31,)
    assert found[7] == pytest.approx(stats.kurtosis(values[7:27]))
    assert not onsets.kurtosis(np.ones(30), 20).any()


def test_the_filter_takes_motion_along_p_away_and_leaves_motion_across_it() -> None:
    number, p = 2000, 500
    along = wave(number, p, 8.0, (1.0, 1.0, 0.0), 100.0)
    across = np.where(np.arange(number) < 650, along, wave(number, 650, 8.0, (0.0, 0.0, 1.0), 100.0))
    weight = onsets.polarisation_weight(across, p, LENGTHS)
    assert weight.shape == (200,)
    assert weight[:50].max() < 1e-6
    assert weight[155:].min() > 0.9


def test_a_spike_has_a_large_swing_ratio_and_an_earthquake_has_not() -> None:
    spike = earthquake(2000, 2300)
    spike[:, 2003] += 300.0
    ratios = [quality_of(record, 2000, 2300, RATE_HZ, 100).peak for record in (spike, earthquake(2000, 2300))]
    assert ratios[0] > 8 > 5 > ratios[1]


def test_gaps_are_filled_by_what_follows() -> None:
    trace = np.array([1.0, 2, 0, 0, 0, 0, 5, 6, 7, 8, 9, 3, 3])
    assert constant_runs(trace).tolist() == [[2, 6]]
    assert gaps_filled(trace, 100)[2:6].tolist() == [5, 6, 7, 8]
    assert gaps_filled(trace, 3)[2:6].tolist() == [5, 6, 7, 5]
    at_end = np.array([1.0, 2, 3, 0, 0, 0, 0])
    assert gaps_filled(at_end, 100).tolist() == at_end.tolist()
    two = np.array([0.0, 0, 0, 0, 4, 0, 0, 0, 0, 7, 8, 9, 1, 2])
    assert gaps_filled(two, 100)[:9].tolist() == [4, 4, 4, 4, 4, 7, 8, 9, 1]


def test_a_lacking_component_is_a_copy_and_nan_is_zero() -> None:
    record = earthquake(2000, 2300)
    assert (with_all_components(np.stack([0 * record[0], *record[1:]]))[0] == record[1]).all()
    record[0, 100:200] = np.nan
    assert np.isfinite(prepared(record, RATE_HZ, (1.0, 20.0), 5.0, 5.0)).all()


def test_the_upper_corner_stays_below_the_nyquist_frequency() -> None:
    assert np.isfinite(prepared(earthquake(2000, 2300), 40.0, (1.0, 40.0), 5.0, 5.0)).all()


@pytest.mark.parametrize(
    ("shape", "rate_hz", "change", "message"),
    [
        ((2, 6000), 100.0, {}, "3 components"),
        ((3, 1000), 100.0, {}, "more than 1750 samples"),
        ((3, 6000), 2.0, {}, "at least 2 samples"),
        ((3, 6000), 100.0, {"s_range_s": 2.0}, "s_range_s must be at least"),
    ],
)
def test_what_cannot_be_picked_is_refused(
    shape: tuple[int, int], rate_hz: float, change: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pal.pick_station(np.ones(shape), rate_hz, pal.RIDGECREST._replace(**change))


def test_the_pairs_of_all_stations_make_one_list_of_picks() -> None:
    picked = [pal.pick_station(earthquake(p, p + 300), RATE_HZ, pal.RIDGECREST) for p in (2000, 2500)]
    picks = pal.to_picks(picked, np.array([1000.0, 900.0]))
    pairs, alone = pairs_of(picks, 5.9, 3.4, 20.0)
    assert not any(alone)
    assert pairs.p_s[np.argsort(pairs.station)] == pytest.approx([1020.0, 925.0], abs=0.1)
    assert pal.to_picks([], np.zeros(0)).time_s.shape == (0,)


@pytest.mark.slow
def test_picks_of_an_analyst_come_back_where_p_triggers(data_folder: Callable[[str], Path]) -> None:
    """Of 196 P of weak events on noisy stations a third exceeds the threshold, as PAL's rule has it."""
    dataset = read_seisbench(data_folder("iceland_vt"))
    batch = dataset.take(np.arange(len(dataset)))
    waveforms, true = np.asarray(batch.observations.waveforms), batch.labels["arrivals"]
    value, known = np.asarray(true.value), np.asarray(true.mask)
    triggered, p_error_s, s_error_s = 0, [], []
    for event, station in np.argwhere(known[..., 0]):
        record = waveforms[event, station]
        if not record.any():
            continue
        p_s, s_s = value[event, station]
        ready = prepared(record, RATE_HZ, (1.0, 20.0), 5.0, 5.0)
        ratio = onsets.sta_lta(ready[0] ** 2, *LENGTHS.trigger)
        triggered += ratio[int(p_s * 100) - 50 : int(p_s * 100) + 50].max() > 12
        picked = pal.pick_station(record, RATE_HZ, pal.RIDGECREST)
        near = np.flatnonzero(np.abs(picked.p_s - p_s) < 1)
        p_error_s += (picked.p_s[near] - p_s).tolist()
        s_error_s += (picked.s_s[near] - s_s).tolist() if known[event, station, 1] else []
    assert triggered > 50
    assert np.mean(np.abs(p_error_s) < 0.1) > 0.9
    assert len(p_error_s) > 0.85 * triggered
    assert np.mean(np.abs(s_error_s) < 0.3) > 0.85
    assert np.median(np.abs(s_error_s)) < 0.1
