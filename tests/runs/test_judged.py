"""Windows with several earthquakes are judged by the one nearest to the label in origin time, whatever its place."""

# pyright: reportArgumentType=false
# Data sets have NumPy arrays until they reach the device.

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.distributions.gaussian_mixture import gaussian_mixture, without_weights
from jaxloc.geometry import Frame
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.runs.flags import Verdict
from jaxloc.runs.judged import judged
from jaxloc.runs.located import Located
from jaxloc.runs.several_events import Searched
from jaxloc.types import Batch, Label, Observations

LABELS_S = (20.0, 6.0, 10.0, np.nan)  # catalogued origin times of four windows, the last one unknown
HOLDS = (  # (origin time, east in km) of the events in each, in the order in which they are found
    [(5.0, 0.0), (19.0, 50.0), (30.0, 0.0)],  # the second one is the catalogue's by its time, though it is far away
    [(5.0, 0.0), (20.0, 0.0)],  # the first one is
    [],  # refused
    [(5.0, 0.0), (10.0, 0.0)],  # nothing tells which
)
EVENTS = tuple(Event(f"w{i}", "", "2000-01-01T00:00:00") for i in range(len(HOLDS)))


def windows() -> Dataset:
    def take(index: np.ndarray) -> Batch:
        index = np.asarray(index)
        stations = np.zeros((len(index), 2, 3)), np.ones((len(index), 2), bool), np.zeros((len(index), 2), int)
        value, mask = np.zeros((len(index), 4)), np.ones((len(index), 4), bool)
        mask[:, 3] = np.isfinite(np.array(LABELS_S)[index])
        value[:, 3] = np.nan_to_num(np.array(LABELS_S)[index])
        labels = {"hypocentre": Label(value, mask), "window": Label(index, mask[:, 0])}
        return Batch(Observations(None, *stations, np.full(len(index), 50.0)), labels)

    stations = (Station("XX.A", 0.0, 0.0, 0.0), Station("XX.B", 0.1, 0.0, 0.0))
    return Dataset("windows", Frame(0.0, 0.0), stations, EVENTS, 50.0, 3000, take)


def search(dataset: Dataset, flags: tuple[str, ...] = ()) -> Searched:
    """Finds the first event of each window that is not explained yet; further ones with flags."""
    batch = dataset.take(np.arange(len(dataset)))
    explained = batch.observations.explained_s
    found = []
    for row, window in enumerate(np.asarray(batch.labels["window"].value)):
        known = [] if explained is None else np.asarray(explained)[row, 0, 0]
        left = [event for event in HOLDS[window] if not np.isclose(event[0], known).any()]
        found.append(left[0] if left else (np.nan, 0.0))
    origin_s, east_km = np.array(found).T
    mean = np.stack([east_km, 0 * east_km, 0 * east_km, np.nan_to_num(origin_s, nan=40.0)], -1)[:, None]
    posterior = without_weights(
        gaussian_mixture(jnp.zeros((len(found), 1)), mean, np.eye(4) + np.zeros((len(found), 1, 4, 4)))
    )
    arrival_s = np.repeat(origin_s[:, None, None], 2, 1).repeat(2, 2)
    check = ArrivalCheck(np.zeros(len(found)), arrival_s, arrival_s, np.ones((len(found), 2)))
    bare = batch._replace(observations=batch.observations._replace(explained_s=None))
    verdicts = [
        Verdict("" if np.isfinite(t) else "no event found", flags if explained is not None else ()) for t in origin_s
    ]
    return Searched(dataset, Located(bare, posterior, None, check), verdicts)


def test_origin_time_alone_selects_the_event() -> None:
    found = judged(search(windows()), search, lambda line: None)
    place = np.asarray(found.chosen.located.posterior.mean)
    np.testing.assert_allclose(place[:, 3], [19.0, 5.0, 40.0, 5.0], rtol=1e-6)
    np.testing.assert_allclose(place[:, 0], [50.0, 0.0, 0.0, 0.0], atol=1e-6)
    assert found.replaced == ("w0",)
    assert [event.id for event in found.chosen.windows.events] == ["w0", "w1", "w2", "w3"]
    assert [bool(verdict.refused) for verdict in found.chosen.verdicts] == [False, False, True, False]
    np.testing.assert_allclose(np.asarray(found.first.located.posterior.mean)[:, 3], [5.0, 5.0, 40.0, 5.0], rtol=1e-6)
    assert found.told() == {
        "windows": 3,
        "located": 3,
        "judged_by": ["w0"],
        "first": {"flagged": 1, "no_event": 1},
    }


@pytest.mark.parametrize("flags", [("picks contradict each other",)])
def test_flagged_further_events_do_not_count(flags: tuple[str, ...]) -> None:
    found = judged(search(windows()), lambda dataset: search(dataset, flags), lambda line: None)
    assert found.replaced == ()
    assert found.chosen is found.first


def test_windows_without_a_check_are_judged_by_their_first_event() -> None:
    first = search(windows())
    first = first._replace(located=first.located._replace(check=None))
    assert judged(first, search, lambda line: None).chosen is first
