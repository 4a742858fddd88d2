"""MESS: each step by itself, and a template found again in noise with its picks and links."""

import numpy as np
import pytest

from jaxloc.data.pick_list import NO_EVENT
from jaxloc.detection import mess, mess_picks
from jaxloc.detection.matched_filter import normalised_correlation

RATE_HZ = 50.0
TRAVEL_S = np.array([[3.0, 5.2], [4.0, 6.9], [5.0, 8.7], [6.0, 10.4], [7.0, 12.1]])
ORIGINS_S = (30.0, 80.0, 120.0)  # the second is the template
DELAY_S = 0.2  # of P at the second station, in the third event
SETTINGS = mess.Settings()


def burst(rng: np.random.Generator) -> np.ndarray:
    """Waveforms of P and S of one source at all stations, 3 s each."""
    envelope = np.exp(-np.arange(150) / 40)
    return rng.standard_normal((len(TRAVEL_S), 2, 3, 150)) * envelope


@pytest.fixture(scope="module")
def records() -> np.ndarray:
    rng = np.random.default_rng(0)
    traces = 0.05 * rng.standard_normal((len(TRAVEL_S), 3, 8000))
    source = burst(rng)
    for event, origin_s in enumerate(ORIGINS_S):
        for station, travel in enumerate(TRAVEL_S):
            for phase, travel_s in enumerate(travel):
                late_s = DELAY_S * (event == 2 and station == 1 and phase == 0)
                at = round((origin_s + travel_s + late_s) * RATE_HZ)
                traces[station, :, at : at + 150] += source[station, phase]
    return traces


@pytest.fixture(scope="module")
def template(records: np.ndarray) -> mess.Template:
    found, reason = mess.cut_template(records, RATE_HZ, ORIGINS_S[1], ORIGINS_S[1] + TRAVEL_S)
    assert reason == ""
    assert found is not None
    return found


@pytest.fixture(scope="module")
def detected(records: np.ndarray, template: mess.Template) -> list[mess_picks.Detected]:
    usable = np.ones(records.shape, bool)
    (found,) = mess.detect(normalised_correlation, records, usable, RATE_HZ, [template])
    each = []
    for origin_s, correlation in zip(*found, strict=True):
        picks = mess_picks.pick(normalised_correlation, records, usable, RATE_HZ, template, origin_s)
        each.append(mess_picks.Detected(0, origin_s, correlation, template.station, picks))
    return each


def test_a_template_has_the_nearest_stations_in_the_order_of_p(template: mess.Template) -> None:
    assert template.station.tolist() == [0, 1, 2, 3, 4]
    assert template.detect.shape == (5, 3, 500)
    assert template.p.shape == (5, 1, 100)
    assert template.s.shape == (5, 2, 150)
    assert np.abs(template.detect.mean(-1)).max() < 1e-12
    assert template.travel_s == pytest.approx(TRAVEL_S)


@pytest.mark.parametrize(
    ("change", "missing"), [({"most": 4}, []), ({}, [0]), ({"least_snr": 1e9}, None), ({}, [0, 1])]
)
def test_stations_without_picks_or_signal_are_left_out(
    records: np.ndarray, change: dict[str, float], missing: list[int] | None
) -> None:
    arrival_s = ORIGINS_S[1] + TRAVEL_S
    arrival_s[missing or []] = np.nan
    found, reason = mess.cut_template(records, RATE_HZ, ORIGINS_S[1], arrival_s, SETTINGS._replace(**change))
    if missing is None or len(missing) > 1:
        assert found is None
        assert "at least 4 are needed" in reason
    else:
        assert found is not None
        assert len(found.station) == 4


def test_all_events_are_found_at_their_origin_times(detected: list[mess_picks.Detected]) -> None:
    assert [each.origin_s for each in detected] == pytest.approx(ORIGINS_S, abs=0.15)
    assert detected[1].correlation == pytest.approx(1.0, abs=1e-3)
    assert min(each.correlation for each in detected) > 0.6


def test_picks_are_at_the_arrivals_and_see_a_delay(detected: list[mess_picks.Detected]) -> None:
    for event, each in enumerate(detected):
        late = np.zeros((5, 2))
        late[1, 0] = DELAY_S * (event == 2)
        assert each.picks.arrival_s == pytest.approx(ORIGINS_S[event] + TRAVEL_S + late, abs=0.021)
        assert (each.picks.correlation > 0.9).all()
        assert (each.picks.amplitude > 0).all()
        assert each.picks.late_s + each.origin_s + TRAVEL_S == pytest.approx(each.picks.arrival_s, abs=0.011)


def test_templates_at_different_stations_share_the_records(records: np.ndarray, template: mess.Template) -> None:
    usable = np.ones(records.shape, bool)
    fewer = mess.Template(*(each[1:] for each in template))
    both = mess.detect(normalised_correlation, records, usable, RATE_HZ, [fewer, template])
    alone = mess.detect(normalised_correlation, records, usable, RATE_HZ, [fewer])
    assert both[0].origin_s.tolist() == alone[0].origin_s.tolist()
    assert len(both[1].origin_s) == len(both[0].origin_s) == 3


def test_noise_has_no_detections(template: mess.Template) -> None:
    noise = np.random.default_rng(5).standard_normal((5, 3, 8000))
    found = mess.detect(normalised_correlation, noise, np.ones(noise.shape, bool), RATE_HZ, [template])
    assert [len(each.origin_s) for each in found] == [0]


def test_fewer_than_four_alike_stations_are_no_detection(records: np.ndarray, template: mess.Template) -> None:
    usable = np.ones(records.shape, bool)
    usable[:2] = False
    found = mess.detect(normalised_correlation, records, usable, RATE_HZ, [template])
    assert [len(each.origin_s) for each in found] == [0]


def test_peaks_are_widened_once_in_the_dead_time() -> None:
    correlation = np.zeros(1000)
    correlation[[100, 110, 300, 900]] = [0.4, 0.6, 0.5, 0.2]
    wide = mess.expanded(correlation, 0.3, 50, 250)
    assert np.flatnonzero(wide == 0.6).tolist() == list(range(85, 135))
    assert (wide > 0.3).sum() == 51  # the peak at 300 lies in the dead time and keeps its width
    far = mess.expanded(
        np.roll(correlation, 0) * (np.arange(1000) < 200) + 0.5 * (np.arange(1000) == 500), 0.3, 50, 250
    )
    assert (far == 0.5).sum() == 50


@pytest.mark.parametrize(
    ("by", "expected"), [(2, [0, 0, 1, 2]), (-1, [2, 3, 4, 0]), (9, [0, 0, 0, 0]), (-9, [0, 0, 0, 0])]
)
def test_shifting_brings_zeros_in(by: int, expected: list[float]) -> None:
    moved = mess.shifted(np.array([[1.0, 2, 3, 4]]), np.array([by]))
    assert moved.tolist() == [expected]


def test_an_event_is_at_the_middle_of_its_plateau() -> None:
    stack = np.zeros(2000)
    stack[400:451] = 0.5
    stack[500], stack[1000:1003] = 0.9, 0.4
    origin_s, correlation = mess.peaks(stack, 0.3, 50, 250, RATE_HZ)
    assert origin_s == pytest.approx([425 / 50, 1001 / 50])
    assert correlation == pytest.approx([0.5, 0.4])


def detection(template: int, origin_s: float, correlation: float = 0.6, late_s: float = 0.1) -> mess_picks.Detected:
    shape = (4, 2)
    picks = mess_picks.CorrelationPicks(
        origin_s + TRAVEL_S[:4], np.full(shape, late_s), np.full(shape, 0.81), np.ones(4)
    )
    return mess_picks.Detected(template, origin_s, correlation, np.arange(4), picks)


TEMPLATE_KM = np.array([[0.0, 0, 5], [2, 0, 5], [0, 4, 8]])
TEMPLATE_S = np.array([10.0, 50.0, 90.0])


def test_an_event_of_two_templates_starts_at_their_mean_and_is_linked_to_both() -> None:
    given = [detection(0, 200.0, 0.5), detection(1, 200.3, 0.7), detection(2, 300.0)]
    linked = mess_picks.link(given, TEMPLATE_S, TEMPLATE_KM)
    assert linked.origin_s.tolist() == [200.3]  # the best; one template alone makes no event
    assert linked.template.tolist() == [NO_EVENT]
    assert linked.start.tolist() == [[1, 0, 5]]
    assert sorted(set(linked.link_template.tolist())) == [0, 1]
    assert linked.link_weight == pytest.approx(0.9)
    of_first = linked.link_s[linked.link_template == 0]
    assert of_first == pytest.approx(0.1 - 0.3)  # on the clock of the event
    assert len(of_first) == 8


def test_a_template_that_finds_itself_is_that_event_and_keeps_its_place() -> None:
    given = [detection(1, 50.1), detection(0, 50.0, 0.9)]
    linked = mess_picks.link(given, TEMPLATE_S, TEMPLATE_KM)
    assert linked.template.tolist() == [1]
    assert linked.start.tolist() == [TEMPLATE_KM[1].tolist()]
    assert set(linked.link_template.tolist()) == {0}


def test_two_templates_that_find_each_other_are_linked_once() -> None:
    given = [detection(0, 10.0), detection(1, 10.0), detection(1, 50.0), detection(0, 50.0)]
    linked = mess_picks.link(given, TEMPLATE_S, TEMPLATE_KM)
    assert linked.template.tolist() == [0, 1]
    assert len(set(zip(linked.link_event.tolist(), linked.link_template.tolist(), strict=True))) == 1


@pytest.mark.parametrize(
    "change", [{"least_pick": 0.9}, {"latest_s": (0.05, 0.05)}, {"fewest_stations": 5}, {"least_detection": 0.65}]
)
def test_weak_links_are_left_out(change: dict[str, float]) -> None:
    given = [detection(0, 200.0, 0.6), detection(1, 200.0, 0.6)]
    linked = mess_picks.link(given, TEMPLATE_S, TEMPLATE_KM, mess_picks.LinkSettings()._replace(**change))
    assert not len(linked.link_s)


def test_the_most_similar_templates_are_kept() -> None:
    given = [detection(0, 200.0, 0.5), detection(1, 200.0, 0.7), detection(2, 200.0, 0.6)]
    linked = mess_picks.link(given, TEMPLATE_S, TEMPLATE_KM, mess_picks.LinkSettings(most=2))
    assert sorted(set(linked.link_template.tolist())) == [1, 2]


def test_no_detections_make_no_events() -> None:
    linked = mess_picks.link([], TEMPLATE_S, TEMPLATE_KM)
    assert linked.start.shape == (0, 3)
    assert not len(linked.link_s)
