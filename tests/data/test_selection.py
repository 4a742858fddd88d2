"""Some of the events of a data set."""

import numpy as np
import pytest

from jaxloc.data.dataset import Dataset, Event
from jaxloc.data.selection import evenly
from jaxloc.geometry import Frame


def dataset(number: int) -> Dataset:
    events = tuple(Event(str(i), "") for i in range(number))
    return Dataset("d", Frame(0.0, 0.0), (), events, 20.0, 800, lambda index: np.asarray(index))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("number", "most", "taken"), [(10, 4, [0, 3, 6, 9]), (3, 5, [0, 1, 2]), (9, 1, [0]), (5, 5, [0, 1, 2, 3, 4])]
)
def test_events_are_taken_evenly(number: int, most: int, taken: list[int]) -> None:
    found = evenly(dataset(number), most)
    assert [event.id for event in found.events] == [str(i) for i in taken]
    np.testing.assert_array_equal(found.take(np.arange(len(found))), taken)


def test_no_event_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one event must be taken, got 0"):
        evenly(dataset(3), 0)
