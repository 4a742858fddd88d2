"""A day's truth: arrivals, faults, and picks with known properties."""

import jax
import numpy as np
import pytest

from jaxloc.simulation.day import (
    FaultSettings,
    Interval,
    NetworkSettings,
    clock_error_s,
    draw_day,
    draw_faults,
    inside,
)
from jaxloc.simulation.day_picks import PICK_KINDS, ClutterSettings, DetectionSettings, draw_picks
from jaxloc.simulation.propagation import Path
from jaxloc.simulation.seismicity import SeismicitySettings

SEISMICITY = SeismicitySettings(num_events=300, hours=6.0, magnitude=(0.0, 4.0))
NO_FAULTS = FaultSettings(outages=0, gaps=0, clock_chance=0, constants=0)


@pytest.fixture(scope="module")
def day():
    return draw_day(jax.random.key(0), SEISMICITY, NetworkSettings(6), NO_FAULTS)


@pytest.fixture(scope="module")
def picked(day):
    return draw_picks(jax.random.key(1), day)


def test_arrivals_follow_the_true_model(day):
    """S after P, both later than along a straight line at the fastest speed, and apparent Vp/Vs as in the crust."""
    away = np.linalg.norm(day.sources.hypocentre[:, None, :3] - day.station_km, axis=-1)
    p, s = np.moveaxis(day.travel_s, -1, 0)
    assert (s > p).all()
    far = away > 8
    assert (p[far] > away[far] / 8.5).all()
    assert (p[far] < away[far] / 3.5).all()
    assert 1.6 < np.median(s / p) < 1.85


def test_without_errors_travel_times_are_those_of_rays():
    exact = Path(delay_sd_s=0.0, slowness_sd=0.0, jitter_sd_s=(0.0, 0.0))
    few = SEISMICITY._replace(num_events=5, num_blasts=0, simultaneous=0)
    found = draw_day(jax.random.key(2), few, NetworkSettings(6, speed_sd=0.0, path=exact), NO_FAULTS)
    np.testing.assert_allclose(found.travel_s, found.rays.time_s, rtol=1e-5)
    np.testing.assert_array_equal(found.actual.vp_km_s, found.assumed.vp_km_s)


def test_families_share_the_errors_of_their_paths(day):
    """Arrivals of members differ from those of their rays by nearly the same time, of others by an error of its own."""
    late_s = day.travel_s - day.rays.time_s
    family = day.sources.family
    within = [np.ptp(late_s[family == each], axis=0).max() for each in np.unique(family[family >= 0])]
    assert max(within) < 0.01
    assert np.ptp(late_s[family < 0], axis=0).min() > 0.02


def test_intervals_and_clocks():
    clocks = (Interval(1, 10.0, 20.0, 0.5), Interval(1, 15.0, 30.0, -0.2))
    station, time_s = np.array([0, 1, 1, 1, 1]), np.array([12.0, 5.0, 12.0, 17.0, 20.0])
    np.testing.assert_allclose(clock_error_s(clocks, station, time_s), [0, 0, 0.5, 0.3, -0.2])
    np.testing.assert_array_equal(inside(clocks[:1], station, time_s), [False, False, True, True, False])


def test_numbers_of_faults_are_those_of_a_poisson_process():
    found = draw_faults(jax.random.key(3), FaultSettings(gaps=5.0, clock_chance=1.0), 100, 43200.0)
    assert abs(len(found.gaps) - 250) < 4 * np.sqrt(250)
    assert len(found.clocks) == 100
    assert all(0 <= each.start_s < each.end_s <= 43200 for each in (*found.gaps, *found.outages))


def test_larger_and_nearer_events_are_picked_more_often(day, picked):
    picks, ratio_db = picked
    picked_at = np.zeros(day.travel_s.shape, bool)
    real = picks.event >= 0
    picked_at[picks.event[real], picks.station[real], picks.phase[real]] = True
    assert picked_at[ratio_db > 20].mean() > 0.9
    assert picked_at[ratio_db < -5].mean() < 0.05
    high = day.sources.magnitude > 1.0
    assert picked_at[high].mean() > picked_at[~high].mean() + 0.1


def test_errors_of_picks_are_those_reported(day, picked):
    """Without outliers and wrong names nearly all normalised errors are standard normal."""
    clean = DetectionSettings(outliers=0.0, wrong_phase=0.0, reported_sd=0.0)
    picks, _ = draw_picks(jax.random.key(4), day, clean)
    real = picks.event >= 0
    error_s = picks.time_s[real] - day.arrival_s[picks.event[real], picks.station[real], picks.phase[real]]
    z = error_s / picks.sigma_s[real]
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * real.sum())


def test_coda_hides_arrivals():
    """Ratios in a busy hour are lower than where coda falls at once."""
    busy = SEISMICITY._replace(num_events=400, hours=1.0)
    found = draw_day(jax.random.key(5), busy, NetworkSettings(6), NO_FAULTS)
    slow, fast = (draw_picks(jax.random.key(6), found, DetectionSettings(coda_db_s=rate))[1] for rate in (0.5, 1e3))
    assert (slow <= fast + 1e-9).all()
    assert (slow < fast - 1).mean() > 0.1


def test_probabilities_are_calibrated(picked):
    picks, _ = picked
    real, place = picks.event >= 0, np.minimum((picks.probability * 5).astype(int), 4)
    for each in range(5):
        at = place == each
        p = picks.probability[at].mean()
        assert abs(real[at].mean() - p) < 4 * np.sqrt(p * (1 - p) / at.sum()) + 0.02


def test_picks_are_in_order_and_labelled(day, picked):
    picks, _ = picked
    assert (np.diff(picks.time_s) >= 0).all()
    assert ((picks.event >= 0) == (picks.kind < 2)).all()
    number = np.bincount(picks.kind, minlength=len(PICK_KINDS))
    assert abs(number[PICK_KINDS.index("uniform")] - 6 * 25) < 4 * np.sqrt(150)
    assert (day.sources.kind[picks.event[picks.event >= 0]] == picks.kind[picks.event >= 0]).all()


def test_no_picks_within_outages():
    faults = NO_FAULTS._replace(outages=8.0)
    found = draw_day(jax.random.key(7), SEISMICITY, NetworkSettings(6), faults)
    picks, _ = draw_picks(jax.random.key(8), found)
    assert found.faults.outages
    assert not inside(found.faults.outages, picks.station, picks.time_s).any()


def test_teleseisms_and_telemetry_reach_many_stations(day):
    many = ClutterSettings(uniform=0, coda=0, spikes=0, telemetry=200.0, teleseisms=100.0)
    picks, _ = draw_picks(jax.random.key(9), day, clutter=many)
    telemetry = np.sort(picks.time_s[picks.kind == PICK_KINDS.index("telemetry")])
    assert (np.diff(telemetry) < 0.2).mean() > 0.4
    assert (picks.kind == PICK_KINDS.index("teleseism")).sum() > 150


def test_wrong_settings(day):
    with pytest.raises(ValueError, match=r"outliers must be a share within 0-1, got 1\.5"):
        draw_picks(jax.random.key(0), day, DetectionSettings(outliers=1.5))
    with pytest.raises(ValueError, match="numbers of picks must be 0 or more"):
        draw_picks(jax.random.key(0), day, clutter=ClutterSettings(uniform=-1.0))
