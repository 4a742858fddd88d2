"""Windows of noise at networks, and how false events are counted."""

# pyright: reportArgumentType=false
# Data sets have NumPy arrays until they reach the device.

import jax
import numpy as np
import pytest

from jaxloc.data.augmentation import only_stations
from jaxloc.io.seisbench_alone import Alone
from jaxloc.physics.readings import ArrivalCheck, ArrivalPicks
from jaxloc.runs.flags import Verdict
from jaxloc.simulation.disturbances import KINDS as KINDS_OF_DISTURBANCE
from jaxloc.studies.false_events import Judged, evidence_a_station, pooled, row_of
from jaxloc.studies.false_windows import FEW, FEWEST, ONE, of_records, simulated
from jaxloc.types import Batch, Observations

RATE_HZ, SAMPLES = 50.0, 3000
KINDS = ["urban"] * 12 + ["teleseism SKS", "teleseism P", "teleseism S", "teleseism SKS", "teleseism SKS"] + ["shake"]


def alone() -> Alone:
    """Records that are their own number, 40 s long; those of teleseisms have three names."""
    number = np.arange(1, len(KINDS) + 1, dtype=np.float32)
    recorded = np.broadcast_to(np.arange(SAMPLES) < 2000, (len(KINDS), SAMPLES))
    waveforms = number[:, None, None] * recorded[:, None] * np.ones((1, 3, 1), np.float32)
    return Alone(waveforms, recorded, np.array(["XX.A"] * len(KINDS)), np.array(KINDS))


def test_pseudo_networks_have_five_different_records_of_one_kind() -> None:
    few, one = of_records(np.random.default_rng(0), alone(), RATE_HZ, rounds=3)
    assert list(few) == ["urban", "teleseism"]  # of the third kind there are too few
    assert {name: len(each.dataset) for name, each in one.items()} == {"urban": 12, "teleseism": 5, "shake": 1}
    assert len(few["urban"].dataset) == FEWEST
    assert few["urban"].stations == FEW
    assert few["urban"].hours == pytest.approx(FEWEST * 40 / 3600)
    assert one["shake"].stations == ONE
    whole = few["urban"].dataset.take(np.arange(FEWEST)).observations
    assert whole.waveforms is not None
    numbers = np.asarray(whole.waveforms)[:, :, 0, 0]
    assert all(len(set(each)) == 5 for each in numbers.tolist())
    assert numbers.max() <= 12
    assert np.asarray(whole.station_mask).all()
    np.testing.assert_array_equal(np.asarray(whole.sample_mask).sum(-1), 2000)


@pytest.mark.parametrize("number", [1, 3])
def test_so_many_active_stations_are_left(number: int) -> None:
    mask = np.array([True, True, False, True, True, True])
    seen = Observations(
        np.ones((6, 3, 10), np.float32) * mask[:, None, None],
        np.zeros((6, 3)),
        mask,
        np.zeros(6, int),
        np.array(RATE_HZ),
        sample_mask=np.tile(mask[:, None], 10),
    )
    left = only_stations(jax.random.key(0), Batch(seen, {}), number).observations
    assert left.waveforms is not None
    assert left.sample_mask is not None
    kept = np.asarray(left.station_mask)
    assert kept.sum() == number
    assert not kept[2]
    np.testing.assert_array_equal(np.asarray(left.waveforms).any((1, 2)), kept)
    np.testing.assert_array_equal(np.asarray(left.sample_mask).any(-1), kept)


def judged(evidence: list[float]) -> Judged:
    decided = [Verdict("" if each > 10 else "no event found", ("cut",) if each > 90 else ()) for each in evidence]
    return Judged(decided, np.array(evidence), np.array(evidence) / 5)


def test_false_events_are_counted_an_hour() -> None:
    windows = of_records(np.random.default_rng(0), alone(), RATE_HZ, rounds=1)[1]["urban"]
    noise, events = judged([1.0] * 9 + [20.0, 50.0, 99.0]), pooled([judged([60.0]), judged([100.0])])
    row = row_of("urban", windows, noise, events)
    assert (row["located"], row["unflagged"], row["windows"]) == (3, 2, 12)
    assert row["per_hour"] == pytest.approx(3 / (12 * 40 / 3600))
    # The 95 % interval of three Poisson counts is 0.619 to 8.767 (Garwood 1936).
    assert row["per_hour_low"] * row["hours"] == pytest.approx(0.6187, abs=1e-3)
    assert row["per_hour_high"] * row["hours"] == pytest.approx(8.7673, abs=1e-3)
    assert row["auroc"] == pytest.approx(23 / 24)  # one of the 24 pairs is the wrong way round


def test_evidence_counts_stations_with_a_pick() -> None:
    sure = np.array([[[True, False], [False, False], [True, True]], [[False, False]] * 3])
    blank = np.zeros((2, 3, 2))
    picks = ArrivalPicks(blank, blank, blank, sure)
    check = ArrivalCheck(np.array([30.0, 4.0]), blank, blank, np.ones((2, 3)), picks)
    np.testing.assert_allclose(evidence_a_station(check), [15.0, 4.0])


def test_simulated_windows_are_of_one_kind_each() -> None:
    kinds = simulated(jax.random.key(0), number=2, num_samples=400, rate_hz=20.0)
    assert len(kinds) == len(KINDS_OF_DISTURBANCE)
    windows = kinds["simulated footsteps"]
    assert windows.hours == pytest.approx(2 * 20 / 3600)
    batch = windows.dataset.take(np.array([1]))
    assert batch.observations.waveforms is not None
    first = np.asarray(batch.observations.waveforms)
    assert first.shape == (1, 5, 3, 400)
    assert np.isfinite(first).all()
    assert (first.std(-1) > 0).all()
    assert not np.asarray(batch.labels["hypocentre"].mask).any()
    again = np.asarray(windows.dataset.take(np.array([1])).observations.waveforms)
    np.testing.assert_array_equal(first, again)
    other = np.asarray(kinds["simulated shot"].dataset.take(np.array([1])).observations.waveforms)
    assert not np.allclose(first, other)
