"""The station graph: each station exchanges messages with its neighbours; waveforms of any stations to a hypocentre."""

from typing import Any

from jaxloc.models.any_stations import any_stations
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec
from jaxloc.networks import station_graph
from jaxloc.settings import hands_on


@hands_on(station_graph.Model, any_stations)
def model(spec: ModelSpec, **settings: Any) -> Model:
    """Waveforms of any stations to a mixture over hypocentres relative to them; settings as in `any_stations`."""
    return any_stations(station_graph.network, **settings)
