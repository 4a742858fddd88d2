"""Parameters of physics, outside of any network: velocity model, station terms and model error.

Each is standard normal before data, so that any weight posterior covers them together with a network's weights, and
a fit to picks (`jaxloc.physics.joint_inversion`) covers them alone. `physics_at` turns them into travel times and their
errors for the stations of one event.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.physics.arrival_likelihood import Anomalies, Physics
from jaxloc.physics.common_error import CommonError
from jaxloc.physics.layered import VelocityModel, mean_vp_vs
from jaxloc.physics.source_terms import SourceTerms, of_stations
from jaxloc.physics.table import StationTable, TableGrid, for_stations, tabulate
from jaxloc.physics.velocity_error import VelocityError
from jaxloc.types import PHASES, Observations

PRIOR_STATIONS = 10.0  # weight, in stations, of the prior of station terms at stations without data
LARGEST_SHARE = 0.5  # of outliers, and of hypocentres in the heavy tails


class PhysicsPrior(NamedTuple):
    """Means and standard deviations of the parameters before data; positive ones are log-normal.

    Attributes:
        speed_sd: of the logarithm of the P velocity of each layer; the S velocity changes with it.
        vp_vs: mean of Vp/Vs over the layers; None: that of the velocity model.
        vp_vs_sd: standard deviation of that mean; the ratios of the layers to it are those of the velocity model.
        delay_sd_s: of station terms of P and S.
        elsewhere_sd_s: of station terms of P and S at stations without data.
        elsewhere_together: their correlation between P and S.
        smoothing_s: error of travel times of P and S.
        outlier: share of arrivals that are outliers.
        mistakes: sets of shares that events may have, each set as probable: of P and then of S, arrivals that are of
            the other phase, and of nothing; None: `outlier` are of nothing in all events.
        correlation: between the travel-time errors of two stations.
        floor_km: error of position common to all stations, horizontal and vertical.
        surprises: share of hypocentres in the heavy tails.
        path: error of the path to one station, relative to the travel time (NonLinLoc's second error, Lomax and
            others 2000); 0: none.
        anomalies: share of travel times with large errors more, their standard deviation relative to the travel time,
            and at stations in s for P and for S: some paths and stations are unlike all others (Yu and others 2026,
            arXiv 2512.06407, have heavy tails for them); None: no such.
    """

    speed_sd: float = 0.05
    vp_vs: float | None = None
    vp_vs_sd: float = 0.03
    delay_sd_s: tuple[float, float] = (0.1, 0.17)
    elsewhere_sd_s: tuple[float, float] = (0.15, 0.26)
    elsewhere_together: float = 0.7
    smoothing_s: tuple[float, float] = (0.06, 0.1)
    smoothing_log_sd: float = 0.7
    outlier: float = 0.03
    outlier_log_sd: float = 1.0
    mistakes: tuple[tuple[float, float, float, float], ...] | None = None
    correlation: float = 0.03
    correlation_log_sd: float = 1.0
    floor_km: tuple[float, float] = (0.15, 0.4)
    floor_log_sd: float = 0.7
    surprises: float = 0.05
    surprises_log_sd: float = 1.0
    path: float = 0.0
    anomalies: tuple[float, float, float, float] | None = None


class PhysicsParameters(NamedTuple):
    """The parameters, standard normal before data: zeros are their means. `PhysicsPrior` gives their units."""

    correlation: Float[Array, ""]
    delay: Float[Array, "known_station phase"]
    floor: Float[Array, " 2"]
    outlier: Float[Array, ""]
    position: Float[Array, "known_station 2"]
    smoothing: Float[Array, " phase"]
    speed: Float[Array, " layer"]
    surprises: Float[Array, ""]
    vp_vs: Float[Array, ""]


class PhysicsSetting(NamedTuple):
    """What the parameters refer to: a velocity model, stations with data, and the grid of travel-time tables.

    `position_sd_km` is the standard deviation of the horizontal position of each station with data, `error` the
    uncertainty of the velocity model as a whole; None: it counts as exact, but for the parameters. `terms` are station
    terms that depend on the source, of the stations with data; None: there are none.
    """

    velocity: VelocityModel
    position_sd_km: tuple[float, ...]
    grid: TableGrid
    prior: PhysicsPrior = PhysicsPrior()
    error: VelocityError | None = None
    terms: SourceTerms | None = None


def prior_parameters(setting: PhysicsSetting) -> PhysicsParameters:
    """The parameters before data: zeros."""
    stations, layers = len(setting.position_sd_km), len(setting.velocity.top_km)
    zeros = jnp.zeros
    return PhysicsParameters(
        correlation=zeros(()),
        delay=zeros((stations, len(PHASES))),
        floor=zeros(2),
        outlier=zeros(()),
        position=zeros((stations, 2)),
        smoothing=zeros(len(PHASES)),
        speed=zeros(layers),
        surprises=zeros(()),
        vp_vs=zeros(()),
    )


def elsewhere(parameters: PhysicsParameters, num_layers: int) -> PhysicsParameters:
    """Parameters at other stations with a velocity model of `num_layers`: before data, but for the station terms.

    The spread of the station terms of training tells how large those of other stations are.
    """
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return zeros._replace(speed=jnp.zeros(num_layers), delay=parameters.delay, position=parameters.position)


def velocity_at(parameters: PhysicsParameters, setting: PhysicsSetting) -> VelocityModel:
    """The velocity model: P velocities by layer, and the Vp/Vs of each layer times a common factor."""
    prior, published = setting.prior, setting.velocity
    vp = jnp.array(published.vp_km_s, jnp.float32) * jnp.exp(prior.speed_sd * parameters.speed)
    by_layer = published.vp_km_s / published.vs_km_s
    mean_ratio = jnp.array(by_layer.mean() if prior.vp_vs is None else prior.vp_vs, jnp.float32)
    # One exactly where all layers have the same ratio.
    relative = jnp.array(by_layer / by_layer.mean(), jnp.float32)
    vp_vs = relative * (mean_ratio + prior.vp_vs_sd * parameters.vp_vs)
    return VelocityModel(jnp.array(published.top_km, jnp.float32), vp, vp / vp_vs)


def physics_at(parameters: PhysicsParameters, setting: PhysicsSetting, observations: Observations) -> Physics:
    """Travel times and their errors for the stations of one event.

    A station without data (index -1) has neither a station term nor a shift, and an uncertain station term: that of
    the prior, updated by the station terms of the stations with data.
    """
    prior, p = setting.prior, parameters
    known = len(setting.position_sd_km)
    delay_s = jnp.array(prior.delay_sd_s) * p.delay
    shift_km = jnp.array(setting.position_sd_km)[:, None] * p.position
    unknown = (observations.station_index < 0)[:, None, None]
    # The row after the last is zero.
    row = jnp.where(observations.station_index >= 0, observations.station_index, known)
    shift_km = jnp.pad(shift_km, ((0, 1), (0, 1)))[row]
    smoothing_s = jnp.array(prior.smoothing_s) * jnp.exp(prior.smoothing_log_sd * p.smoothing)
    return Physics(
        _tables(parameters, setting, observations),
        observations.station_km + shift_km,
        jnp.pad(delay_s, ((0, 1), (0, 0)))[row],
        jnp.broadcast_to(smoothing_s, (len(row), len(PHASES))),
        unknown * _unknown_delay_s2(delay_s, prior),
        jnp.minimum(prior.outlier * jnp.exp(prior.outlier_log_sd * p.outlier), LARGEST_SHARE),
        prior.correlation * jnp.exp(prior.correlation_log_sd * p.correlation),
        jnp.array(prior.floor_km) * jnp.exp(prior.floor_log_sd * p.floor),
        jnp.minimum(prior.surprises * jnp.exp(prior.surprises_log_sd * p.surprises), LARGEST_SHARE),
        _common_error(setting),
        jnp.array(prior.path) if prior.path else None,
        None if setting.terms is None else of_stations(setting.terms, row),
        None if prior.mistakes is None else jnp.array(prior.mistakes).reshape(-1, len(PHASES), 2),
        None if prior.anomalies is None else _anomalies(prior.anomalies),
    )


def _anomalies(settings: tuple[float, float, float, float]) -> Anomalies:
    share, path, *sd_s = settings
    return Anomalies(jnp.array(share), jnp.array(path), jnp.array(sd_s))


def _common_error(setting: PhysicsSetting) -> CommonError | None:
    if setting.error is None:
        return None
    vp_vs = setting.error.vp_vs / mean_vp_vs(setting.velocity)
    return CommonError(jnp.array(setting.error.speed), jnp.array(vp_vs))


def _tables(parameters: PhysicsParameters, setting: PhysicsSetting, observations: Observations) -> StationTable:
    reference = jax.tree.map(lambda x: jnp.array(x, jnp.float32), setting.velocity)
    table = tabulate(velocity_at(parameters, setting), setting.grid, reference=reference)
    return for_stations(table, observations.station_km[:, 2])


def _unknown_delay_s2(delay_s: Float[Array, "known_station phase"], prior: PhysicsPrior) -> Float[Array, "phase phase"]:
    """Covariance of the station terms of P and S at a station without data."""
    together = jnp.full((2, 2), prior.elsewhere_together).at[jnp.diag_indices(2)].set(1.0)
    before_s2 = together * jnp.outer(jnp.array(prior.elsewhere_sd_s), jnp.array(prior.elsewhere_sd_s))
    return (PRIOR_STATIONS * before_s2 + delay_s.T @ delay_s) / (PRIOR_STATIONS + len(delay_s))
