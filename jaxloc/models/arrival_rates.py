"""The model of the network of arrival rates, which is trained on simulated records alone, and used at any stations."""

from functools import partial
from typing import Any

from jaxloc.models.arrivals_and_physics import arrivals_and_physics
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec
from jaxloc.networks import arrival_rates as rates_network
from jaxloc.settings import hands_on


@hands_on(rates_network.RateModel, arrivals_and_physics)
def model(spec: ModelSpec, *, channels: tuple[int, ...] = rates_network.RateModel.channels, **settings: Any) -> Model:
    """Arrival rates by the network, hypocentres by physics.

    Further settings are those of `RateModel` and of `arrivals_and_physics`.
    """
    own = {name: settings.pop(name) for name in ("kernel_size", "stride") if name in settings}
    build = partial(rates_network.network, rate_hz=spec.rate_hz, channels=tuple(channels), **own)
    # XLA's convolutions on the CPU are the faster ones where steps are not in a loop (`jaxloc.networks.layers`).
    return arrivals_and_physics(spec, build(), build(by_slices=False), **settings)
