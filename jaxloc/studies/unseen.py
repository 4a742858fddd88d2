"""Events to judge a run by that it has not learnt from."""

from collections.abc import Mapping
from typing import Any

from jaxloc.data.dataset import Dataset
from jaxloc.experiment_data import fresh_events, open_sources


def unseen(data: Mapping[str, Any], seed: int, number: int, round_: int) -> Dataset:
    """`number` events that are simulated anew, or of real data those that the run was chosen on.

    Raises:
        ValueError: as `fresh_events` and `open_sources`.
    """
    if data["kind"] == "seisbench":
        return open_sources(data, seed).dev
    return fresh_events(data, seed, number, round_)
