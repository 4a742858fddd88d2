"""The types that carry the house: observations in, a posterior over hypocentres out.

Every network, weight posterior and locator meets the others through these types alone. Arrays are
written for one event; a batch is the same pytree with a leading event axis, made by `jax.vmap`.

Units: kilometres, seconds, metres per second of ground velocity. Local coordinates are east, north
and depth, depth positive downwards. Times count from the first sample of the record.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

COMPONENTS = ("Z", "N", "E")
PHASES = ("P", "S")
COORDINATES = ("east_km", "north_km", "depth_km", "origin_s")

LEVELS = (0.50, 0.68, 0.90, 0.95)
"""Levels of the credible regions that are scored and calibrated."""

Params: TypeAlias = PyTree[Array]

NETWORK = "network"
"""Label of a network's weights among the parts of a model; a model may have others, its physics for instance."""


class Observations(NamedTuple):
    """What a network of stations recorded of one event, padded and masked; fields that a data set lacks are None.

    A silent channel, or a component that a station lacks, is all zero. A padded station has `station_mask`
    False and zeros everywhere. `station_index` is the station's row in the training network, -1 for a station
    outside it. `sample_mask` is False where no component of the station was recorded: gaps, and padding before
    the first and after the last sample; None means that every sample of every active station was recorded.
    `explained_s` are arrivals of other events, located before, which are left out of what a record tells; NaN: none.
    """

    waveforms: Float[Array, "*event station component sample"] | None
    station_km: Float[Array, "*event station 3"]
    station_mask: Bool[Array, "*event station"]
    station_index: Int[Array, "*event station"]
    rate_hz: Float[Array, "*event"]
    picks_s: Float[Array, "*event station phase"] | None = None
    pick_sigma_s: Float[Array, "*event station phase"] | None = None
    pick_mask: Bool[Array, "*event station phase"] | None = None
    sample_mask: Bool[Array, "*event station sample"] | None = None
    explained_s: Float[Array, "*event station phase other"] | None = None


class Label(NamedTuple):
    """A labelled quantity and which of its elements are known; unknown elements hold zero."""

    value: Float[Array, "*shape"]
    mask: Bool[Array, "*shape"]


Labels: TypeAlias = dict[str, Label]
"""By name: "hypocentre" [4] (`COORDINATES`), "arrivals" [station, phase] in s, "magnitude" [], ..."""

AT_STATIONS = ("arrivals", "polarity")
"""Labels with an axis of stations: arrivals, and the first motion at each station, 1 up and 0 down."""


class Batch(NamedTuple):
    """Observations with their labels: one event, or a batch with a leading axis."""

    observations: Observations
    labels: Labels


class Variation(NamedTuple):
    """How weights that are independent normals may differ from event to event, while a posterior is fitted.

    `change` is what a draw adds to the middle: params = middle + change. `sd`, where it is given, holds the normals'
    standard deviations. Both are trees like the parameters, with None for arrays that are the same in every draw.
    """

    key: Key[Array, ""]
    change: Params
    sd: Params | None = None


class Weights(NamedTuple):
    """One draw of a network: parameters, and a key only where the forward pass is random.

    Where there is a `variation`, a network may use for every event another draw than `params`, of the same
    distribution; to use `params` for all of them is right as well, only noisier.
    """

    params: Params
    key: Key[Array, ""] | None = None
    variation: Variation | None = None


class Network(NamedTuple):
    """A network bound to pure functions: `init(key, observations)` and `apply(weights, observations)`.

    Both see the observations of one event. `apply` returns the raw output that a head reads, `features` what the
    layers before it make of the event, as one vector; None where a network does not tell.
    """

    init: Callable[[Key[Array, ""], Observations], Params]
    apply: Callable[[Weights, Observations], PyTree[Array]]
    features: Callable[[Weights, Observations], Float[Array, " feature"]] | None = None


class Head(NamedTuple):
    """What turns a network's raw output for one event into probability.

    `size` is the number (or shape) of raw outputs the head wants, `distribution(raw)` returns NumPyro
    distributions by label name, and `log_likelihood(raw, labels)` adds up the log-likelihoods of
    the labels that the head knows, leaving out masked ones.
    """

    size: int | tuple[int, ...]
    distribution: Callable[[PyTree[Array]], dict[str, dist.Distribution]]
    log_likelihood: Callable[[PyTree[Array], Labels], Float[Array, ""]]


class Target(NamedTuple):
    """What a weight posterior is fitted to.

    `log_likelihood(weights, batch)` is one number an event, `log_prior(params)` one number,
    `prior_mean` and `prior_scale` trees like the parameters (the prior is normal), `num_data` the number of
    training events, and `template` holds the parameters' shapes. Where `at_once` is given, training takes so many
    events of a batch through the network at a time. `parts` is a tree of labels like the parameters (optax partitions
    trees so): `NETWORK` for weights, whose prior is a choice and may be learnt, another label for parameters in units
    of a prior of their own, which stays; None: weights alone.
    """

    log_likelihood: Callable[[Weights, Batch], Float[Array, " event"]]
    log_prior: Callable[[Params], Float[Array, ""]]
    prior_mean: Params
    prior_scale: Params
    num_data: int
    template: Params
    at_once: int | None = None
    parts: PyTree[str] | None = None


State: TypeAlias = PyTree[Array]


class Info(NamedTuple):
    """What one update tells: the loss an event, and its two parts (nats an event)."""

    loss: Float[Array, ""]
    negative_log_likelihood: Float[Array, ""]
    divergence: Float[Array, ""]


class Diagnosis(NamedTuple):
    """Whether a state of a weight posterior has converged, and by which criterion; `figures` by name for reports.

    Of an ensemble, arrays have a leading axis of members.
    """

    converged: Bool[Array, "*member"]
    criterion: str
    figures: dict[str, Any]


class Method(NamedTuple):
    """A way to find a posterior over weights, as pure functions.

    `init(key, params)` starts from given parameters, `update(key, state, batch)` takes one step,
    and `sample(key, state, n)` gives `n` draws at once, with a leading draw axis.

    A posterior may end before the last step of its stage, where further updates would change nothing
    (`finished(state)`), may tell whether it has converged (`diagnose(state)`), and give the prior as a state of its own
    (`at_prior(state)`), whose losses are then those of the prior; None where it does not.
    """

    init: Callable[[Key[Array, ""], Params], State]
    update: Callable[[Key[Array, ""], State, Batch], tuple[State, Info]]
    sample: Callable[[Key[Array, ""], State, int], Weights]
    finished: Callable[[State], Bool[Array, ""]] | None = None
    diagnose: Callable[[State], Diagnosis] | None = None
    at_prior: Callable[[State], State] | None = None


class Posterior(NamedTuple):
    """A posterior over hypocentres: one event, or a batch with a leading axis.

    `hypocentre` is a distribution over `COORDINATES`: a Gaussian mixture (`jaxloc.distributions.gaussian_mixture`) or
    any other with samples, log-density, mean and covariance (`jaxloc.distributions.any_distribution`); `epistemic` and
    `aleatoric` are the parts of its covariance, [4, 4]: the covariance of the means over weight draws (unbiased: that
    under the weight posterior, of which the draws are a sample), and the mean of the covariances and what a locator
    adds to them.
    `others` holds the posteriors of other labels, by name, each with its distribution (`jaxloc.distributions.labels`).
    `jointly` is given by locators that treat all events as one problem: draws of all hypocentres at once, those of one
    index belonging together, which keep what events have in common (`difference`).
    """

    hypocentre: dist.Distribution
    epistemic: Float[Array, "*event 4 4"]
    aleatoric: Float[Array, "*event 4 4"]
    others: dict[str, Any] = {}  # noqa: RUF012  (never written to; a read-only mapping is no pytree)
    jointly: Float[Array, "*event draw 4"] | None = None

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "*draw 4"]:
        """Draws of hypocentres: east, north and depth in km, origin time in s."""
        return self.hypocentre.sample(key, shape)  # pyright: ignore[reportReturnType]

    def log_prob(self, hypocentre: Float[Array, "*draw 4"]) -> Float[Array, " *draw"]:
        """The log-density of hypocentres, in nats."""
        return self.hypocentre.log_prob(hypocentre)  # pyright: ignore[reportReturnType]

    @property
    def mean(self) -> Float[Array, "*event 4"]:
        """The mean of the hypocentre."""
        return self.hypocentre.mean  # pyright: ignore[reportReturnType]

    @property
    def covariance(self) -> Float[Array, "*event 4 4"]:
        """The covariance of the hypocentre: its epistemic and aleatoric parts together."""
        return self.epistemic + self.aleatoric

    def difference(self, first: Int[Array, " pair"], second: Int[Array, " pair"]) -> dist.MultivariateNormal:
        """Hypocentres of the `first` events minus those of the `second`, as normal distributions, [pair].

        Errors that two events have in common cancel where the locator treated them jointly; events that were located
        one by one are independent.
        """
        mean = self.mean[first] - self.mean[second]
        if self.jointly is None:
            return dist.MultivariateNormal(mean, self.covariance[first] + self.covariance[second])
        apart = self.jointly[first] - self.jointly[second]
        centred = apart - apart.mean(1, keepdims=True)
        covariance = jnp.einsum("pdi,pdj->pij", centred, centred) / (apart.shape[1] - 1)
        return dist.MultivariateNormal(mean, covariance)


class Locator(Protocol):
    """Anything that locates: a key and the observations of a batch of events, to their posteriors.

    No weights: a neural locator closes over its weight posterior. A locator may treat the events of a batch one by one
    (`jaxloc.locators.over_events`) or as one joint problem.
    """

    def __call__(self, key: Key[Array, ""], observations: Observations) -> Posterior:
        """Posteriors of a batch of events, [event]."""
        ...


class LocateEvent(Protocol):
    """A locator of one event, without an event axis; `jaxloc.locators.over_events` makes a `Locator` of it."""

    def __call__(self, key: Key[Array, ""], observations: Observations) -> Posterior:
        """The posterior of one event."""
        ...
