"""Detection by templates: known events in noise, found at the right times whatever the chunks."""

import jax
import numpy as np
import pytest
from matched_records import BAND_HZ, RATE_HZ, SETTINGS, Swarm, known, swarm, templates_of

from jaxloc.data.cross_correlation import LEAST_SD
from jaxloc.detection.matched_detection import (
    Detections,
    MatchSettings,
    candidates,
    detect,
    detections,
    joined,
    measured,
    scanned,
)
from jaxloc.detection.matched_times import differential_times
from jaxloc.detection.matched_windows import aligned_windows, matches
from jaxloc.detection.stack_peaks import Peaks
from jaxloc.detection.template_weights import weights
from jaxloc.detection.templates import KnownEvents, Templates, join, make_templates, take

MAD = MatchSettings(mad=9.0)


@pytest.fixture(scope="module")
def case() -> tuple[Swarm, Templates, Detections]:
    made = swarm()
    templates = templates_of(made)
    return made, templates, detect(jax.random.key(0), made.records, made.usable, templates, settings=MAD)


def test_every_event_is_found_once_at_its_time(case: tuple) -> None:
    made, _, found = case
    heads = np.unique(found.head)
    np.testing.assert_allclose(found.origin_s[heads], made.origin_s, atol=0.6 / RATE_HZ)
    np.testing.assert_array_equal(found.template[heads], made.family)
    assert (found.num_stations[heads] >= 3).all()


def test_templates_find_themselves_with_a_coefficient_of_one(case: tuple) -> None:
    made, templates, found = case
    np.testing.assert_array_equal(found.template[found.is_self], [0, 1])
    np.testing.assert_allclose(found.origin_s[found.is_self], made.origin_s[:2], atol=1e-9)
    np.testing.assert_allclose(found.coefficient[found.is_self], 1, atol=1e-6)
    own = found.is_self[found.lags.detection]
    np.testing.assert_allclose(np.asarray(found.lags.lags.lag_s)[own], 0, atol=LEAST_SD / RATE_HZ)
    assert len(set(zip(templates.station, templates.phase, templates.template, strict=True))) == own.sum()


def test_lags_are_those_of_the_arrivals_within_their_errors(case: tuple) -> None:
    made, templates, found = case
    times, coefficient = differential_times(templates, found)
    origin_s = made.origin_s
    event = lambda rows: np.abs(found.origin_s[np.asarray(rows), None] - origin_s).argmin(1)
    first, second = event(times.first), event(times.second)
    at = np.asarray(times.station), np.asarray(times.phase)
    clock = lambda rows: found.origin_s[np.asarray(rows)]
    true_s = (made.arrival_s[(first, *at)] - clock(times.first)) - (made.arrival_s[(second, *at)] - clock(times.second))
    z = (np.asarray(times.time_s) - true_s) / np.asarray(times.sd_s)
    assert len(z) > 15
    assert (coefficient >= 0.6).all()
    assert np.sqrt(np.mean(z**2)) < 2
    assert np.abs(z).max() < 5
    assert (np.asarray(times.sd_s) < 0.5 / RATE_HZ).mean() > 0.7


@pytest.mark.parametrize(("edge_s", "start_s"), [(100.0, 0.0), (170.007, 0.0), (93.7, 7.3)])
def test_detections_do_not_depend_on_the_chunks(case: tuple, edge_s: float, start_s: float) -> None:
    made, templates, whole = case
    parts = [(start_s, edge_s), (edge_s, 250.0)]
    pad_s, chunks = 15.0, []
    for begin_s, end_s in parts:
        first = max(round((begin_s - pad_s) * RATE_HZ), 0)
        cut = slice(first, round((end_s + pad_s) * RATE_HZ))
        chunks.append((made.records[..., cut], made.usable[..., cut], first / RATE_HZ))
    scans = [
        scanned(records, usable, (templates,), at_s, own, MAD)
        for (records, usable, at_s), own in zip(chunks, parts, strict=True)
    ]
    some = candidates(templates, scans, MAD)
    measures = []
    for (records, usable, at_s), (begin_s, end_s) in zip(chunks, parts, strict=True):
        rows = np.flatnonzero((some.peaks.origin_s >= begin_s) & (some.peaks.origin_s < end_s))
        own = Peaks(*(x[rows] for x in some.peaks))
        measures.append((rows, measured(records, usable, templates, own, at_s, MAD)))
    found = detections(templates, some, joined(measures, len(some.peaks.template)), MAD)
    np.testing.assert_array_equal(found.template, whole.template)
    np.testing.assert_allclose(found.origin_s, whole.origin_s, atol=1e-9)
    np.testing.assert_allclose(found.statistic, whole.statistic, rtol=0.01)
    np.testing.assert_allclose(found.coefficient, whole.coefficient, atol=1e-9)
    np.testing.assert_array_equal(found.head, whole.head)
    np.testing.assert_allclose(found.lags.lags.lag_s, whole.lags.lags.lag_s, atol=1e-6)


def test_rates_of_false_alarms_order_detections(case: tuple) -> None:
    made, templates, _ = case
    found = detect(jax.random.key(0), made.records, made.usable, templates)
    assert len(found.tails) == 2
    assert (found.per_day <= 1).all()
    assert (np.diff(found.per_day[np.argsort(found.statistic)]) <= 0).all()
    assert found.is_self.sum() == 2


def test_a_gap_takes_stations_away_and_no_event() -> None:
    made = swarm(gaps=((0, 6000, 9000), (1, 6000, 9000)))
    templates = templates_of(made)
    found = detect(jax.random.key(0), made.records, made.usable, templates, settings=MAD)
    third = int(np.abs(found.origin_s - made.origin_s[2]).argmin())
    np.testing.assert_allclose(found.origin_s[third], made.origin_s[2], atol=0.6 / RATE_HZ)
    own = found.lags.station[found.lags.detection == third]
    assert not {0, 1} & set(own.tolist())
    assert found.num_stations[third] <= 4


def test_detections_that_few_stations_support_are_counted_and_left_out(case: tuple) -> None:
    made, templates, found = case
    strict = detect(
        jax.random.key(0), made.records, made.usable, templates, settings=MAD._replace(fewest_stations=6, support=6.0)
    )
    assert strict.unsupported > 0
    assert len(strict.template) + strict.unsupported == len(found.template)
    assert strict.is_self.sum() == 2


def test_magnitudes_are_those_of_the_ratio_of_amplitudes() -> None:
    """Of a quarter and of a tenth of the template's amplitude, above the noise; a weak one has no magnitude."""
    events = ((0, 40.0, 60.0), (0, 90.31, 15.0), (0, 140.007, 6.0), (0, 200.5, 1.5))
    made = swarm(events)
    found = detect(jax.random.key(0), made.records, made.usable, templates_of(made, (0,)), settings=MAD)
    assert len(found.origin_s) == 4
    expected = np.log10([1.0, 0.25, 0.1])
    np.testing.assert_allclose(found.magnitude.value[:3], expected, atol=0.05)
    assert np.all(found.magnitude.sd[1:3] < 0.2)
    assert np.all(found.magnitude.channels[:3] >= 6)
    assert np.isnan(found.magnitude.value[3])
    assert found.magnitude.channels[3] == 0


def test_aligned_windows_have_the_ratio_of_amplitudes(case: tuple) -> None:
    made, templates, found = case
    row = int(np.flatnonzero(np.abs(found.origin_s - made.origin_s[2]) < 0.05)[0])
    peaks = Peaks(found.template[[row]], found.origin_s[[row]], found.statistic[[row]])
    windows = aligned_windows(
        made.records, made.usable, templates, matches(made.records, made.usable, templates, peaks)
    )
    assert len(windows.window) == (templates.template == 0).sum()
    assert windows.detected_noise.shape == windows.template_noise.shape
    slope = (windows.template * windows.detected).sum() / (windows.template**2).sum()
    np.testing.assert_allclose(slope, 2.0 / 8.0, rtol=0.25)
    self_peak = Peaks(np.array([1]), made.origin_s[[1]], np.ones(1))
    same = aligned_windows(
        made.records, made.usable, templates, matches(made.records, made.usable, templates, self_peak)
    )
    np.testing.assert_allclose(same.template_noise, same.detected_noise)


def test_events_without_signal_make_no_template_and_say_why() -> None:
    made = swarm()
    some = known(made, (0, 4))
    templates, lost = make_templates(
        made.records, made.usable, RATE_HZ, some, settings=SETTINGS._replace(least_snr=3.5, fewest_stations=5)
    )
    assert templates.id == ("event 0",)
    assert "5 are needed" in lost["event 4"]
    assert (templates.snr >= 3.5).all()


def test_templates_join_and_are_taken_apart() -> None:
    made = swarm()
    one, two = (templates_of(made, (row,)) for row in (0, 1))
    both = join([one, two])
    whole = templates_of(made)
    for column, expected in zip(both, whole, strict=True):
        np.testing.assert_array_equal(column, expected)
    again = take(both, np.array([1]))
    for column, expected in zip(again, two, strict=True):
        np.testing.assert_array_equal(column, expected)
    np.testing.assert_allclose(np.bincount(whole.template, weights(whole)), 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"band_hz": (2.0, 30.0)}, "0 < low < high < 25"),
        ({"after_s": (-0.3, 1.0)}, "must have two samples"),
        ({"least_snr": -1.0}, "must not be negative"),
    ],
)
def test_impossible_settings_are_refused(change: dict, message: str) -> None:
    made = swarm()
    with pytest.raises(ValueError, match=message):
        make_templates(made.records, made.usable, RATE_HZ, known(made, (0,)), settings=SETTINGS._replace(**change))


def test_records_of_other_stations_are_refused() -> None:
    made = swarm()
    some = KnownEvents(("a",), np.zeros((1, 4)), np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="the same stations"):
        make_templates(made.records, made.usable, RATE_HZ, some, settings=SETTINGS)
    assert SETTINGS.band_hz == BAND_HZ
