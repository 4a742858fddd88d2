"""The type of a model: a network with what it needs to be trained and to locate."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxloc.data.dataset import Dataset
from jaxloc.inference.target import all_network
from jaxloc.locators.neural import LocateByDraws, neural
from jaxloc.models.spec import ModelSpec
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.physics.source_terms import SourceTerms
from jaxloc.types import Batch, Head, Locator, Network, Observations, Params, Posterior, Weights

LabelBatch = Callable[[np.ndarray, Batch], Batch]
"""Event indices and their batch, to the batch with the labels that the model is trained with."""

HeadOf = Callable[[float, float], Head]
"""Weights of the log-likelihoods of arrivals and of hypocentres in a stage, to a head."""

Prepare = Callable[[Params, Dataset, bool], tuple[Params, LabelBatch]]
"""Before a stage: fits to picks of the data set (False) or of the network itself (True), and labels events."""

Baselines = Callable[[Dataset], Mapping[str, Locator]]
"""Training events to weight-free locators by name, which the model is compared with."""


def as_labelled(index: Int[np.ndarray, " event"], batch: Batch) -> Batch:
    """Labels of the data set, unchanged."""
    return batch


class RegionSearch(NamedTuple):
    """What a model that searches a region for hypocentres offers to locate new events.

    Attributes:
        settings: region and positions of all stations [station, 3] in km to the settings that change with these.
        locate: as `Model.locate`, with the posterior compared with the arrivals.
        numbers: of a specification, those in which searches of other regions differ; None where it has none.
        placed: a specification with other such numbers, which may be traced: a program compiled for one region then
            serves others.
        beyond: settings that change where a region reaches beyond that of training.
    """

    settings: Callable[[Region, Float[np.ndarray, "station 3"]], dict[str, Any]]
    locate: Callable[[Weights, Observations], tuple[Posterior, ArrivalCheck]]
    numbers: Callable[[ModelSpec], PyTree] = lambda spec: None
    placed: Callable[[ModelSpec, PyTree], ModelSpec] = lambda spec, numbers: spec
    beyond: Mapping[str, Any] = MappingProxyType({})


def not_prepared(params: Params, dataset: Dataset, by_network: bool) -> tuple[Params, LabelBatch]:
    """Nothing is fitted before a stage."""
    return params, as_labelled


def no_baselines(train: Dataset) -> Mapping[str, Locator]:
    """No baseline other than climatology, which every model is compared with."""
    return {}


def same_settings(region: Region, stations_km: Float[np.ndarray, "station 3"]) -> dict[str, Any]:
    """Settings that do not depend on the region or the stations."""
    return {}


class Transfer(NamedTuple):
    """How a model is used at stations that it was not trained at.

    `settings(region, stations_km)` gives the settings that change. `velocity(params, num_layers)` gives parameters
    for a velocity model of so many layers in place of that of training; None: the model has travel times in its
    weights and uses no velocity model. `elsewhere(params, num_layers)` does the same where the stations are others too.
    `portable(params)` are the parameters that depend on no station, region or velocity model, and
    `placed(params, portable)` puts them in the place of those of other parameters; by default all of them are.
    `local_settings` names settings that are those of a region or its stations.
    """

    settings: Callable[[Region, Float[np.ndarray, "station 3"]], dict[str, Any]] = same_settings
    velocity: Callable[[Params, int], Params] | None = None
    portable: Callable[[Params], Params] = lambda params: params
    placed: Callable[[Params, Params], Params] = lambda params, portable: portable
    local_settings: tuple[str, ...] = ()
    elsewhere: Callable[[Params, int], Params] | None = None


class Model(NamedTuple):
    """A network with what it needs to be trained and to locate; made by the modules of `jaxloc.models`.

    Attributes:
        network: trainable parameters and observations of one event to the raw output of the head.
        head: raw output to distributions and the likelihood of labels.
        locate: draws of parameters and observations of one event to its posterior.
        labels: names of labels without which the model cannot be trained.
        step_network: `network` in a form that is faster where steps of training are compiled singly; None: the same.
        prepare: what is fitted and labelled before a stage.
        transfer: how it is used at other stations; None: it takes those of its training alone.
        search: what it offers to locate new events in another region; None: its region is that of training.
        parts: parameters to a tree of labels (`jaxloc.types.Target`).
        baselines: weight-free locators that it is compared with.
        source_terms: draws of trained parameters and training events to station terms that depend on the source; None:
            the model has none.
        weighted: the head with the weights of a stage, of a model that learns from arrivals and from hypocentres; None:
            it has one likelihood.
    """

    network: Network
    head: Head
    locate: LocateByDraws
    labels: tuple[str, ...] = ("hypocentre",)
    step_network: Network | None = None
    prepare: Prepare = not_prepared
    transfer: Transfer | None = None
    search: RegionSearch | None = None
    parts: Callable[[Params], PyTree[str]] = all_network
    baselines: Baselines = no_baselines
    source_terms: Callable[[Params, Dataset], SourceTerms] | None = None
    weighted: HeadOf | None = None

    @property
    def any_station(self) -> bool:
        """Whether stations can be used that the model was not trained at."""
        return self.transfer is not None


def of_known_stations(network: Network, head: Head, labels: tuple[str, ...] = ("hypocentre",)) -> Model:
    """The model of a network of the training stations with one likelihood."""
    return Model(network, head, neural(network, head), labels)


def initial(key: Key[Array, ""], model: Model, observations: Observations, members: int) -> Params:
    """Initial parameters of `members` networks, each from its own key, with a leading member axis."""
    return jax.jit(jax.vmap(lambda k: model.network.init(k, observations)))(jax.random.split(key, members))


def check_labels(model: Model, dataset: Dataset) -> None:
    """Check that a data set has the labels that a model is trained with.

    Raises:
        ValueError: names those that it lacks and those that it has.
    """
    there = dataset.take(np.arange(1)).labels
    if missing := [name for name in model.labels if name not in there]:
        raise ValueError(
            f"the model is trained with labels {', '.join(missing)}, which {dataset.name} lacks (it has "
            f"{', '.join(sorted(there))}); the data must have them, or leave them out of model.labels"
        )


def flat(head: Head) -> int:
    """The number of raw numbers that a head takes.

    Raises:
        ValueError: where it takes them in another shape than a vector.
    """
    if not isinstance(head.size, int):
        raise ValueError(f"the network needs a head of flat raw numbers, got the size {head.size}")
    return head.size


def as_tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose lists, as a configuration has them, are tuples, as a network has them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
