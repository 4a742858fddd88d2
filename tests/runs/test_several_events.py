"""Several earthquakes in one window, each found after what the ones before explain is left out."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.geometry import Frame
from jaxloc.physics.readings import LEFT_OUT, ArrivalCheck, Readings, pick_details, unexplained, window_log_mass
from jaxloc.runs.flags import Verdict
from jaxloc.runs.located import Located
from jaxloc.runs.several_events import MOST, Searched, with_further
from jaxloc.types import Batch, Observations

RATE_HZ = 50.0
STATIONS = (Station("XX.A", 0.0, 0.0, 0.0), Station("XX.B", 0.1, 0.0, 0.0))
HOLDS_S = ([5.0, 20.0, 40.0], [], [10.0])  # origin times of the events in each of three windows


def test_what_other_events_explain_is_left_out() -> None:
    log_rate = jnp.full((2, 3000, 2), LEFT_OUT)
    log_rate = log_rate.at[0, 500, 0].set(jnp.log(RATE_HZ)).at[0, 1500, 0].set(jnp.log(RATE_HZ))
    readings = Readings(window_log_mass(log_rate, RATE_HZ), jnp.array(RATE_HZ), jnp.ones(2))
    assert np.exp(readings.log_mass[0, 0, 1500]) == pytest.approx((1 - np.exp(-2)) / 2, rel=1e-3)
    explained_s = jnp.full((2, 2, 3), jnp.nan).at[0, 0, 0].set(10.1)
    left = unexplained(readings, explained_s)
    np.testing.assert_allclose(np.exp(left.log_mass).sum(-1), 1.0, rtol=1e-4)
    assert np.exp(left.log_mass[0, 0, 500]) < 1e-6
    assert np.exp(left.log_mass[0, 0, 1500]) == pytest.approx(1 - np.exp(-1), rel=1e-3)  # a window with one arrival
    np.testing.assert_allclose(left.log_mass[1], readings.log_mass[1], atol=1e-3)


def test_arrivals_of_several_events_do_not_share_their_probability() -> None:
    log_rate = (
        jnp.full((1, 3000, 2), LEFT_OUT).at[0, 500, 0].set(jnp.log(3 * RATE_HZ)).at[0, 1500, 0].set(jnp.log(RATE_HZ))
    )
    log_mass = window_log_mass(log_rate, RATE_HZ)
    share = Readings(log_mass, jnp.array(RATE_HZ), jnp.ones(1))
    several = share._replace(number=-log_mass[..., -1])
    assert pick_details(share).probability[0, 0] == pytest.approx(0.75 * (1 - np.exp(-4)), rel=1e-3)
    assert pick_details(several).probability[0, 0] == pytest.approx(1 - np.exp(-3), rel=1e-3)
    assert pick_details(several).time_s[0, 0] == pytest.approx(10.0, abs=1e-3)
    left = unexplained(several, jnp.full((1, 2, 1), jnp.nan).at[0, 0, 0].set(10.0))
    assert pick_details(left).probability[0, 0] == pytest.approx(1 - np.exp(-1), rel=1e-3)
    assert pick_details(left).probability[0, 1] == pytest.approx(0.0, abs=1e-6)  # no S at all


def test_without_other_events_densities_stay() -> None:
    readings = Readings(jnp.log(jnp.full((1, 2, 11), 1 / 11)), jnp.array(1.0), jnp.ones(1))
    assert unexplained(readings, None) is readings


def windows() -> Dataset:
    def take(index: np.ndarray) -> Batch:
        number = len(index)
        seen = Observations(
            None,
            np.zeros((number, 2, 3)),
            np.ones((number, 2), bool),
            np.zeros((number, 2), int),
            np.full(number, RATE_HZ),
        )
        return Batch(seen, {"window": (np.asarray(index), np.ones(number, bool))})  # pyright: ignore[reportArgumentType]

    events = tuple(Event(f"w{i}", "", "2000-01-01T00:00:00") for i in range(len(HOLDS_S)))
    return Dataset("windows", Frame(0.0, 0.0), STATIONS, events, RATE_HZ, 3000, take)


def search(dataset: Dataset) -> Searched:
    """Finds the first event of a window that is not explained yet."""
    batch = dataset.take(np.arange(len(dataset)))
    explained = batch.observations.explained_s
    found = []
    for row, window in enumerate(np.asarray(batch.labels["window"][0])):
        known = [] if explained is None else np.asarray(explained)[row, 0, 0]
        left = [t for t in HOLDS_S[window] if not np.isclose(t, known).any()]
        found.append(left[0] if left else np.nan)
    arrival_s = np.repeat(np.array(found)[:, None, None], 2, 1).repeat(2, 2)
    check = ArrivalCheck(np.zeros(len(found)), arrival_s, arrival_s, np.ones((len(found), 2)))  # pyright: ignore[reportArgumentType]
    located = Located(
        batch._replace(observations=batch.observations._replace(explained_s=None)), arrival_s, None, check
    )  # pyright: ignore[reportArgumentType]
    return Searched(dataset, located, [Verdict("" if np.isfinite(t) else "no event found") for t in found])


def test_each_window_gives_all_of_its_events_once() -> None:
    lines: list[str] = []
    whole = with_further(search(windows()), search, lines.append)
    times_s = {
        event.id: float(np.asarray(whole.located.check.arrival_s)[i, 0, 0])  # pyright: ignore[reportOptionalMemberAccess]
        for i, event in enumerate(whole.windows.events)
    }
    assert {name: t for name, t in times_s.items() if np.isfinite(t)} == {
        "w0": 5.0,
        "w0#2": 20.0,
        "w0#3": 40.0,
        "w2": 10.0,
    }
    assert len(whole.verdicts) == len(whole.windows) == len(np.asarray(whole.located.posterior))
    assert len(lines) == MOST - 1
    assert "2 windows" in lines[0]


def test_events_that_fit_badly_are_counted_and_left_out() -> None:
    def unsure(dataset: Dataset) -> Searched:
        found = search(dataset)
        return found._replace(verdicts=[v._replace(flags=("picks contradict each other",)) for v in found.verdicts])

    lines: list[str] = []
    whole = with_further(search(windows()), unsure, lines.append)
    assert [event.id for event in whole.windows.events] == ["w0", "w1", "w2"]
    assert lines[-1] == "left out: 2 further sets of arrivals that fit an earthquake, but not well"
