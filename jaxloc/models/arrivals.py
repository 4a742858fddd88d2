"""The model of the arrivals network: one arrival a window is read by the network, physics makes a posterior of them."""

from typing import Any

from jaxloc.models.arrivals_and_physics import arrivals_and_physics
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec
from jaxloc.networks import arrivals as arrivals_network
from jaxloc.settings import hands_on


@hands_on(arrivals_and_physics)
def model(
    spec: ModelSpec,
    *,
    channels: tuple[int, ...] = (12, 16, 24, 32, 48),
    kernel_size: int = 7,
    dropout: float = 0.0,
    **physics: Any,
) -> Model:
    """Arrival times by the arrivals network, hypocentres by physics; further settings are `arrivals_and_physics`'s."""
    network = arrivals_network.network(channels=tuple(channels), kernel_size=kernel_size, dropout=dropout)
    return arrivals_and_physics(spec, network, **physics)
