"""Association on simulated picks whose events are known."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxloc.data.pick_list import NO_EVENT, PickList
from jaxloc.detection import association
from jaxloc.detection.odds_calibration import computed
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import uniform

VELOCITY = uniform(6.0, 1.75)
REGION = Region((0.0, 160.0), (0.0, 160.0), (0.0, 20.0), (0.0, 0.0))
SETTINGS = association.Settings(cell_km=10.0, bin_s=2.0, size_km=(40.0, 160.0), passes=1)


def stations(number=24):
    rng = np.random.default_rng(3)
    return np.column_stack([rng.uniform(0, 160, (number, 2)), np.zeros(number)])


def picks_of(hypocentres, station_km, reach_km=70.0, noise=30, span_s=120.0, seed=0):
    """P and S at all stations within reach, errors of 0.1 s, and false picks; the event of each."""
    rng = np.random.default_rng(seed)
    away = np.linalg.norm(hypocentres[:, None, :3] - station_km, axis=-1)
    event, station, phase = np.nonzero(np.repeat((away < reach_km)[..., None], 2, axis=-1))
    travel_s = away[event, station] / np.array([6.0, 6.0 / 1.75])[phase]
    time_s = hypocentres[event, 3] + travel_s + 0.1 * rng.normal(size=len(event))
    station = np.append(station, rng.integers(0, len(station_km), noise))
    phase = np.append(phase, rng.integers(0, 2, noise))
    time_s = np.append(time_s, rng.uniform(0, span_s, noise))
    event = np.append(event, np.full(noise, NO_EVENT))
    order = np.argsort(time_s)
    ones = np.ones(len(order))
    return PickList(station[order], phase[order], time_s[order], 0.1 * ones, ones, np.nan * ones), event[order]


def test_two_simultaneous_events_100_km_apart_are_both_found():
    station_km = stations()
    truth = np.array([[30.0, 40.0, 8.0, 50.0], [120.0, 85.0, 12.0, 50.0]])
    picks, event = picks_of(truth, station_km)
    found = association.associate(picks, station_km, VELOCITY, REGION, SETTINGS)
    assert len(found.hypocentre) == 2
    order = np.argsort(found.hypocentre[:, 0])
    away = (found.hypocentre[order] - truth) / np.sqrt(np.einsum("eii->ei", found.covariance[order]))
    assert (np.abs(away) < 5).all()
    assert (computed(found.log_odds, (found.event != NO_EVENT).mean()) > 10).all()
    of_truth = np.where(found.event == NO_EVENT, NO_EVENT, np.argsort(order)[found.event])
    assert (of_truth == event)[event != NO_EVENT].mean() > 0.95
    assert (of_truth[event == NO_EVENT] == NO_EVENT).mean() > 0.8


def test_no_pick_has_two_events_and_each_left_over_has_a_reason():
    station_km = stations()
    truth = np.array([[60.0, 60.0, 8.0, 50.0], [63.0, 62.0, 8.0, 51.5]])
    picks, _ = picks_of(truth, station_km)
    found = association.associate(picks, station_km, VELOCITY, REGION, SETTINGS)
    assert all((reason == "") == (event != NO_EVENT) for reason, event in zip(found.reason, found.event, strict=True))
    of_ray = np.stack([found.event, picks.station, picks.phase])[:, found.event != NO_EVENT]
    assert len(np.unique(of_ray, axis=1).T) == of_ray.shape[1]
    assert len(found.hypocentre) == 2


def test_picks_that_follow_arrivals_make_no_event_once_they_are_learnt():
    """Two picks of five have another 1.5 s later: these have the moveout of an event."""
    station_km, rng = stations(), np.random.default_rng(5)
    truth = np.column_stack([rng.uniform(40, 120, (12, 2)), np.full(12, 8.0), np.arange(12) * 60.0 + 30.0])
    picks, event = picks_of(truth, station_km, reach_km=120.0, span_s=760.0)
    again = np.flatnonzero((event != NO_EVENT) & (rng.random(len(event)) < 0.4))
    late = PickList(*(each[again] for each in picks))._replace(time_s=picks.time_s[again] + 1.5)
    both = PickList(*(np.concatenate(each) for each in zip(picks, late, strict=True)))
    both = PickList(*(each[np.argsort(both.time_s)] for each in both))
    once, learnt = (
        association.associate(both, station_km, VELOCITY, REGION, SETTINGS._replace(passes=passes)) for passes in (1, 2)
    )
    assert len(once.hypocentre) > 12
    assert len(learnt.hypocentre) == 12
    np.testing.assert_allclose(learnt.hypocentre[:, 3], truth[:, 3], atol=0.5)


def test_clutter_alone_makes_no_event():
    station_km = stations()
    picks, _ = picks_of(np.zeros((0, 4)), station_km, noise=120)
    found = association.associate(picks, station_km, VELOCITY, REGION, SETTINGS)
    assert len(found.hypocentre) == 0
    assert (found.event == NO_EVENT).all()


def test_chunks_do_not_change_the_events():
    station_km = stations()
    truth = np.array([[60.0, 60.0, 8.0, 31.0], [100.0, 40.0, 8.0, 63.0]])
    picks, _ = picks_of(truth, station_km)
    whole = association.associate(picks, station_km, VELOCITY, REGION, SETTINGS)
    cut = association.associate(picks, station_km, VELOCITY, REGION, SETTINGS._replace(chunk_s=32.0))
    np.testing.assert_array_equal(whole.event, cut.event)
    np.testing.assert_allclose(whole.hypocentre, cut.hypocentre, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma_s": np.array([0.1, 0.0])}, "must be positive"),
        ({"time_s": np.array([1.0, 0.0])}, "order of their times"),
        ({"station": np.array([0, 99])}, "row 99"),
    ],
)
def test_bad_picks_are_refused(change, message):
    picks = PickList(np.array([0, 1]), np.array([0, 0]), np.array([0.0, 1.0]), np.full(2, 0.1), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=message):
        association.associate(picks._replace(**change), stations(), VELOCITY, REGION, SETTINGS)


@pytest.mark.slow
def test_pyocto_synthetic_events_are_found():
    folder = Path(os.environ.get("JAXLOC_DATA", "/none")) / "pyocto_synthetic"
    if not folder.is_dir():
        pytest.skip("needs $JAXLOC_DATA/pyocto_synthetic")
    pytest.importorskip("pyarrow", reason="reads Parquet")
    import pandas as pd

    from jaxloc.geometry import frame_of, to_km
    from jaxloc.io.velocity_model import read_velocity

    table, listed = pd.read_parquet(folder / "picks.parquet"), pd.read_parquet(folder / "stations.parquet")
    table = table.sort_values("time")
    frame = frame_of(listed.latitude.to_numpy(), listed.longitude.to_numpy())
    east_km, north_km = to_km(frame, listed.latitude.to_numpy(), listed.longitude.to_numpy())
    station_km = np.column_stack([east_km, north_km, -listed.elevation / 1000])
    time_s = table.time.to_numpy("datetime64[us]").astype(np.int64) * 1e-6
    rows = {code: i for i, code in enumerate(listed.id)}
    ones = np.ones(len(table))
    picks = PickList(
        table.station.map(rows).to_numpy(), (table.phase == "S").to_numpy(int), time_s, 0.5 * ones, ones, np.nan * ones
    )
    found = association.associate(picks, station_km, read_velocity(folder / "graeber.csv"))
    truth = table.event.to_numpy()
    assert len(found.hypocentre) >= 49
    right = sum(
        np.unique(truth[(found.event == k) & (truth >= 0)], return_counts=True)[1].max(initial=0)
        for k in range(len(found.hypocentre))
    )
    assert right / (found.event != NO_EVENT).sum() >= 0.97
    assert right / (truth >= 0).sum() >= 0.97
