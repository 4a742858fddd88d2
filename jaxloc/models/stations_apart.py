"""What models of one station's record share: each station located by itself, the posteriors multiplied."""

from jaxloc.distributions.gaussian_mixture import HypocentreMixture, contaminated
from jaxloc.locators.climatology import kernel_density
from jaxloc.locators.single_station import Average, single_station
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.per_station import over_stations
from jaxloc.types import Head, Network

PRIOR_EVENTS = 64  # of the training catalogue that represent it where stations are combined
HEAVY_TAILS = (0.1, 2.0)  # fraction and relative width of the tails of that prior: see `single_station`


def stations_apart(
    spec: ModelSpec, network: Network, head: Head, correlation: float, average: Average | None = None
) -> Model:
    """The model of a network over all stations (`each_station`) and a head of one (`placed`).

    It does not transfer to other stations: amplitudes, depths and azimuths are those of the training stations.
    """
    whole = over_stations(head)
    locate = single_station(network, head, prior_of(spec), spec.region, average, correlation=correlation)
    return Model(network, whole, locate)


def prior_of(spec: ModelSpec) -> HypocentreMixture:
    """The training catalogue as a density of few kernels, with heavier tails."""
    density = kernel_density(*spec.catalogue, spread_of(spec), PRIOR_EVENTS)
    return HypocentreMixture(contaminated(density.parts, *HEAVY_TAILS))


def odds_ratio(spec: ModelSpec, event_share: float | None) -> float:
    """Odds of an event where the model is used over those among training windows; None: they are the same.

    Raises:
        ValueError: for a share outside of 0-1, or without windows of noise.
    """
    if event_share is None:
        return 1.0
    events = int(spec.catalogue.known.any(-1).sum())
    noise = len(spec.catalogue.known) - events
    if not (0 < event_share < 1 and noise):
        raise ValueError(
            f"model.event_share must be within 0-1 and needs data.records.noise, got {event_share} "
            f"with {noise} windows of noise"
        )
    return event_share / (1 - event_share) * noise / events
