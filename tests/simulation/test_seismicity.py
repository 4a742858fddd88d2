"""Earthquakes of a day: numbers, magnitudes, rates, families and places as they were asked for."""

import jax
import numpy as np
import pytest

from jaxloc.simulation.seismicity import SeismicitySettings, draw_seismicity, omori_times_s

SETTINGS = SeismicitySettings(num_events=4000, hours=24.0)


@pytest.fixture(scope="module")
def day():
    return draw_seismicity(jax.random.key(0), SETTINGS)


def test_numbers_and_order(day):
    assert (day.kind == 0).sum() == 4000
    assert (day.kind == 1).sum() == SETTINGS.num_blasts
    assert (np.diff(day.hypocentre[:, 3]) >= 0).all()
    assert (day.hypocentre[:, 3] >= 0).all()
    assert day.hypocentre[:, 3].max() <= 86400


def test_magnitudes_follow_one_law(day):
    """The b-value is 1 within four standard errors, though main shocks are the largest of their sequences."""
    size = day.magnitude[day.kind == 0]
    b = np.log10(np.e) / (size.mean() - SETTINGS.magnitude[0])
    assert abs(b - 1.0) < 4 / np.sqrt(len(size))
    assert size.max() <= SETTINGS.magnitude[1]


def test_largest_sequence_begins_at_the_peak_rate(day):
    """The busiest minute has about so many events; the background alone would have two."""
    counts = np.histogram(day.hypocentre[:, 3], np.arange(0, 86401, 60))[0]
    assert 0.6 * SETTINGS.peak_per_minute < counts.max() < 1.6 * SETTINGS.peak_per_minute


def test_omori_times_have_their_distribution():
    """The share of events before t is that of the integrated rate, within four standard errors."""
    number, end_s, c_s, p = 20_000, 50_000.0, 100.0, 1.1
    times = omori_times_s(np.random.default_rng(1), number, end_s, c_s, p)
    whole = lambda t: (t + c_s) ** (1 - p) - c_s ** (1 - p)
    for t in (50.0, 1000.0, 20_000.0):
        share = whole(t) / whole(end_s)
        assert abs((times < t).mean() - share) < 4 * np.sqrt(share * (1 - share) / number)
    assert times.max() <= end_s * (1 + 1e-9)


def test_families_are_alike(day):
    """Members lie within some hundred metres and share one mechanism; others differ."""
    numbers = np.unique(day.family[day.family >= 0])
    assert len(numbers) > 20
    for each in numbers[:10]:
        members = np.flatnonzero(day.family == each)
        assert np.ptp(day.hypocentre[members, :3], axis=0).max() < 10 * SETTINGS.family_km
        np.testing.assert_array_equal(
            day.moment[members], np.broadcast_to(day.moment[members[0]], (len(members), 3, 3))
        )
    share = (day.family >= 0).sum() / (4000 * (1 - SETTINGS.background))
    assert share == pytest.approx(SETTINGS.families, abs=0.05)


def test_pairs_at_one_time_are_far_apart():
    """With background alone there are as many pairs within a second on opposite sides as were asked for."""
    settings = SeismicitySettings(num_events=60, num_sequences=0, simultaneous=8, num_blasts=0, outside=0.0)
    found = draw_seismicity(jax.random.key(3), settings).hypocentre
    close = [
        (i, i + 1)
        for i in range(59)
        if found[i + 1, 3] - found[i, 3] < 1 and np.hypot(*(found[i, :2] - found[i + 1, :2])) > 0.6 * settings.radius_km
    ]
    assert len(close) >= 8


def test_no_events():
    assert len(draw_seismicity(jax.random.key(0), SeismicitySettings(num_events=0, num_blasts=0)).magnitude) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_events": -1}, "num_events and num_sequences must be 0 or more"),
        ({"background": 1.2}, "background must be a share within 0-1, got 1.2"),
        ({"peak_per_minute": 0.0}, "peak_per_minute, omori_p and radius_km must be positive, got 0"),
        ({"magnitude": (2.0, 1.0)}, "magnitude must increase"),
    ],
)
def test_wrong_settings(changed, message):
    with pytest.raises(ValueError, match=message):
        draw_seismicity(jax.random.key(0), SETTINGS._replace(**changed))
