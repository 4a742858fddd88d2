"""What a system is: a network with what it needs to learn and to locate."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import PyTree

from jaxloc.data.dataset import Dataset
from jaxloc.inference import all_network
from jaxloc.locators.neural import LocateByDraws, neural
from jaxloc.types import Batch, Head, Locator, Network, Params

LabelBatch = Callable[[np.ndarray, Batch], Batch]
"""Event indices and their batch, to the batch with the labels that the network learns from."""


Baselines = Callable[[Dataset], Mapping[str, Locator]]
"""Training events to weight-free baseline locators, by name."""


def no_baselines(train: Dataset) -> Mapping[str, Locator]:
    """None beside the catalogue, which every system is judged beside."""
    return {}


def as_labelled(index: np.ndarray, batch: Batch) -> Batch:
    """Labels as the data set has them."""
    return batch


class System(NamedTuple):
    """A network with what it needs to learn and to locate.

    `head(arrival_weight, hypocentre_weight)` is the likelihood of a stage; networks without arrivals take no notice.
    `prepare(params, dataset, by_network)` fits what is fitted before a stage, from the data set's picks or from what
    the network itself reads, and says how events are labelled. `any_station` tells whether stations that were not
    there in training can be used, and `baselines` what the system is judged beside. `parts(params)` labels parameters
    by the part of the model they belong to (`jaxloc.types.Target`).
    """

    network: Network
    step_network: Network
    head: Callable[[float, float], Head]
    locate: LocateByDraws
    prepare: Callable[[Params, Dataset, bool], tuple[Params, LabelBatch]]
    any_station: bool
    baselines: Baselines = no_baselines
    parts: Callable[[Params], PyTree[str]] = all_network


def not_prepared(params: Params, dataset: Dataset, by_network: bool) -> tuple[Params, LabelBatch]:
    """Nothing is fitted before a stage."""
    return params, as_labelled


def of_known_stations(network: Network, head: Head) -> System:
    """The system of a network of the stations of training that learns from labels alone, by one head in all stages."""
    return System(network, network, lambda *_: head, neural(network, head), not_prepared, False)


def flat(head: Head) -> int:
    """How many raw numbers a head takes.

    Raises:
        ValueError: where it takes them in another shape than a vector.
    """
    if not isinstance(head.size, int):
        raise ValueError(f"the network wants a head of flat raw numbers, got the size {head.size}")
    return head.size


def as_tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose lists, as a configuration has them, are tuples, as a network has them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
