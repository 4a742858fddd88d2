"""A network that reads arrivals, and the physics that they are located with, as the trainable parameters of one model.

The network is independent of stations, region and velocity model: its weights can be used anywhere (`portable`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxloc.physics.arrival_likelihood import Arrivals
from jaxloc.physics.parameters import PhysicsParameters, PhysicsSetting, elsewhere, physics_at, prior_parameters
from jaxloc.physics.readings import unexplained
from jaxloc.types import NETWORK, Network, Observations, Params, Weights

PHYSICS = "physics"
"""Label of the parameters of physics among the parts of a model."""


class NetworkAndPhysics(NamedTuple):
    """Parameters of physics, and weights of a network; or a tree like them."""

    physics: PhysicsParameters
    network: Params


def with_physics(network: Network, setting: PhysicsSetting) -> Network:
    """A network of arrival densities (`Readings`) with physics: raw outputs are `Arrivals`."""

    def init(key: Key[Array, ""], observations: Observations) -> NetworkAndPhysics:
        return NetworkAndPhysics(prior_parameters(setting), network.init(key, observations))

    def apply(weights: Weights, observations: Observations) -> Arrivals:
        read: Any = network.apply(network_of(weights), observations)
        readings = unexplained(read, observations.explained_s)
        physics = physics_at(weights.params.physics, setting, observations)
        return Arrivals(
            readings.log_mass, readings.rate_hz, readings.active, physics, readings.towards, readings.number
        )

    def features(weights: Weights, observations: Observations) -> Float[Array, " feature"]:
        assert network.features is not None
        return network.features(network_of(weights), observations)

    return Network(init, apply, None if network.features is None else features)


def network_of(weights: Weights) -> Weights:
    """The weights of the network alone, with their variation."""
    variation = weights.variation
    if variation is not None:
        sd = None if variation.sd is None else variation.sd.network
        variation = variation._replace(change=variation.change.network, sd=sd)
    return Weights(weights.params.network, weights.key, variation)


def parts(params: NetworkAndPhysics) -> NetworkAndPhysics:
    """Labels of parameters by part: physics, or the network's weights (`jaxloc.types.Target`)."""
    label = lambda tree, name: jax.tree.map(lambda _: name, tree)
    return NetworkAndPhysics(label(params.physics, PHYSICS), label(params.network, NETWORK))


def with_given_velocity(params: NetworkAndPhysics, num_layers: int) -> NetworkAndPhysics:
    """Parameters for a velocity model that is used as it is given."""
    physics = params.physics._replace(speed=jnp.zeros(num_layers), vp_vs=jnp.zeros(()))
    return params._replace(physics=physics)


def at_other_stations(params: NetworkAndPhysics, num_layers: int) -> NetworkAndPhysics:
    """Parameters for other stations and a velocity model as it is given (`jaxloc.physics.parameters.elsewhere`)."""
    return params._replace(physics=elsewhere(params.physics, num_layers))


def network_weights(params: NetworkAndPhysics) -> Params:
    """The network's weights alone, which depend on no station, region or velocity model."""
    return params.network


def with_weights(params: NetworkAndPhysics, weights: Params) -> NetworkAndPhysics:
    """Other weights of the network with the same physics."""
    return params._replace(network=weights)
