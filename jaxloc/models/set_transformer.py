"""The set transformer: stations attend to one another; waveforms of any stations to a hypocentre."""

from typing import Any

from jaxloc.models.any_stations import any_stations
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec
from jaxloc.networks import set_transformer
from jaxloc.settings import hands_on


@hands_on(set_transformer.Model, any_stations)
def model(spec: ModelSpec, **settings: Any) -> Model:
    """Waveforms of any stations to a mixture over hypocentres relative to them; settings as in `any_stations`."""
    return any_stations(set_transformer.network, **settings)
