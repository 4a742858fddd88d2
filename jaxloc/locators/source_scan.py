"""Source scanning and coherence stacking: a hypocentre from waveforms, without picks and without a network.

Each place and origin time predicts arrivals of P and S at all stations; characteristic functions of the records are
stacked at these times (Kao & Shan 2004, GJI 157: normalised amplitudes, "source-scanning algorithm"; Grigoli and others
2013, GJI 195: ratios of short-term to long-term energy of P and S). The stack becomes a posterior by a temperature and
an outlier level for each record (`jaxloc.data.onset_densities`): the assumption is that records err independently,
given travel times whose errors are stated (`model_sd_s`, `model_share`, `correlation`, and the uncertainty of the
velocity model). Space is searched by `jaxloc.physics.adaptive_sampling`, from a coarse grid to fine samples.

Differs from the papers: stacks of P and S weigh by what their functions tell (their temperatures) instead of by
weights that are chosen; there is no threshold on the stack, and its width is not that of the brightest cells.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxloc.data.characteristic_functions import Windows, characteristic_functions, check
from jaxloc.data.onset_densities import Scale, log_mass_of
from jaxloc.distributions.gaussian_mixture import Components, gaussian_mixture, without_weights
from jaxloc.locators.over_events import over_events
from jaxloc.locators.setup import Setup, velocity_of
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.adaptive_sampling import Sampling, components
from jaxloc.physics.arrival_likelihood import Arrivals, Physics, hypocentre_cloud
from jaxloc.physics.common_error import CommonError
from jaxloc.physics.layered import mean_vp_vs
from jaxloc.physics.priors import FREE_DEPTH_KM, log_prior_of, same_everywhere
from jaxloc.physics.readings import Readings
from jaxloc.physics.table import TravelTimeTable, for_stations, table_around
from jaxloc.types import PHASES, LocateEvent, Locator, Observations, Posterior

WITHIN_SAMPLE = 12**-0.5  # standard deviation of a time known to a sample, in samples


class TravelTimeErrors(NamedTuple):
    """How travel times err: constants of P and S in s, a share of the time, the correlation between stations.

    `common` are errors of the velocity model as a whole; None: there are none.
    """

    sd_s: tuple[float, float] = (0.0, 0.0)
    share: float = 0.0
    correlation: float = 0.0
    common: CommonError | None = None


class Reader(NamedTuple):
    """How records are read: the characteristic function, its windows and its scale, and the share of outliers.

    The delay of the function's peak depends on the filter that records went through, at all stations alike:
    `delay_sd_s` is its uncertainty, which goes to the origin time.
    """

    kind: str
    windows: Windows
    scale: Scale
    outlier: float = 0.05
    delay_sd_s: float = 0.1


READERS = {
    "sta_lta": Reader("sta_lta", Windows(), Scale((0.395, 0.281), (-0.128, -0.126))),
    "kurtosis": Reader("kurtosis", Windows(), Scale((5.22, 2.36), (-0.223, -0.221))),
    "amplitude": Reader("amplitude", Windows(), Scale((0.134, 0.069), (0.107, 0.118))),
}
"""By characteristic function, with scales fitted to the training events of the quickstart simulation."""


def build(
    setup: Setup,
    *,
    function: str = "sta_lta",
    temperature: float = 1.0,
    outlier: float = 0.05,
    model_sd_s: float = 0.1,
    model_share: float = 0.01,
    correlation: float = 0.3,
    spacing_km: float = 0.5,
) -> Locator:
    """Source scanning with first arrivals of the setup's velocity model, whose uncertainty is integrated out.

    Args:
        setup: region, stations, velocity model and its error, sampling rate.
        function: characteristic function, one of `READERS`.
        temperature: multiplies the temperatures of `READERS`.
        outlier: share of arrivals that the characteristic function does not see.
        model_sd_s: standard deviation of travel times of P in s, such as those of station terms; that of S is Vp/Vs
            times as large.
        model_share: standard deviation of travel times as a share of them.
        correlation: of the errors of different stations, and so the power of the stack: n stations count as
            n / (1 + correlation (n - 1)). The default is what simulated events need to be covered.
        spacing_km: of the nodes of the travel-time table.

    Raises:
        ValueError: where there is no velocity model, or a setting is wrong.
    """
    if function not in READERS:
        raise ValueError(f"function must be one of {', '.join(READERS)}, got {function!r}")
    if not (temperature > 0 and spacing_km > 0):
        raise ValueError(f"temperature and spacing_km must be positive, got {temperature} and {spacing_km}")
    reader = READERS[function]
    p, s = reader.scale.temperature
    scale = reader.scale._replace(temperature=(temperature * p, temperature * s))
    model, common = velocity_of(setup, "source_scan"), None
    if setup.velocity_error is not None:
        vp_vs = setup.velocity_error.vp_vs / mean_vp_vs(model)
        common = CommonError(jnp.array(setup.velocity_error.speed), jnp.array(vp_vs))
    return over_events(
        source_scan(
            table_around(model, setup.region, setup.station_km, spacing_km),
            setup.region,
            log_prior_of(setup.region, same_everywhere(*FREE_DEPTH_KM)),
            setup.rate_hz,
            reader._replace(scale=scale, outlier=outlier),
            TravelTimeErrors((model_sd_s, model_sd_s * mean_vp_vs(model)), model_share, correlation, common),
        )
    )


def source_scan(
    table: TravelTimeTable,
    region: Region,
    log_prior: LogDensity,
    rate_hz: float,
    reader: Reader = READERS["sta_lta"],
    errors: TravelTimeErrors = TravelTimeErrors(),
    sizes: Sampling = Sampling(),
) -> LocateEvent:
    """Locate one event by its waveforms; deterministic: the key is not used.

    Args:
        table: travel times.
        region: search region of hypocentres and origin times.
        log_prior: prior density of hypocentres (`jaxloc.physics.priors.log_prior_of`).
        rate_hz: sampling rate of the waveforms.
        reader: characteristic function and scale.
        errors: of travel times.
        sizes: of the search.

    Raises:
        ValueError: where a setting is wrong; from the locator, where observations hold no waveforms.
    """
    check(reader.kind, reader.windows, rate_hz)
    _check(reader, errors)

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        physics = _physics(table, observations.station_km, rate_hz, reader, errors)
        seen = densities(observations, rate_hz, reader)
        cloud = hypocentre_cloud(Arrivals(*seen[:3], physics), log_prior, region, sizes)
        mixture = gaussian_mixture(*_with_delay(components(cloud, physics.floor_km), reader.delay_sd_s))
        return without_weights(mixture)

    return locate


def densities(observations: Observations, rate_hz: float, reader: Reader = READERS["sta_lta"]) -> Readings:
    """The densities of P and S at the stations of one event as its characteristic functions give them, without physics.

    Raises:
        ValueError: where observations hold no waveforms.
    """
    if observations.waveforms is None:
        raise ValueError("observations have no waveforms; source scanning must have [station, component, sample]")
    found = characteristic_functions(
        observations.waveforms, observations.sample_mask, rate_hz, reader.kind, reader.windows
    )
    there = found.mask & observations.station_mask[:, None, None]
    log_mass = log_mass_of(found._replace(mask=there), jnp.array(reader.scale.temperature))
    return Readings(log_mass, jnp.asarray(rate_hz), there.any((1, 2)).astype(log_mass.dtype))


def _with_delay(parts: Components, sd_s: float) -> Components:
    """Components with an error of the origin time that is independent of all others."""
    time_s = jnp.hypot(parts.scale_tril[..., 3, 3], sd_s)
    return parts._replace(scale_tril=parts.scale_tril.at[..., 3, 3].set(time_s))


def _physics(
    table: TravelTimeTable,
    station_km: Float[Array, "station 3"],
    rate_hz: float,
    reader: Reader,
    errors: TravelTimeErrors,
) -> Physics:
    each = (len(station_km), len(PHASES))
    return Physics(
        table=for_stations(table, station_km[:, 2]),
        station_km=station_km,
        delay_s=jnp.broadcast_to(jnp.array(reader.scale.delay_s), each),
        smoothing_s=jnp.broadcast_to(jnp.hypot(jnp.array(errors.sd_s), WITHIN_SAMPLE / rate_hz), each),
        delay_covariance_s2=jnp.zeros((*each, len(PHASES))),
        outlier=jnp.array(reader.outlier),
        correlation=jnp.array(errors.correlation),
        floor_km=jnp.zeros(2),
        surprises=jnp.zeros(()),
        common=errors.common,
        path=jnp.array(errors.share) if errors.share else None,
    )


def _check(reader: Reader, errors: TravelTimeErrors) -> None:
    if not all(x > 0 for x in reader.scale.temperature):
        raise ValueError(f"temperatures must be positive, got {reader.scale.temperature}")
    if not 0 < reader.outlier < 1:
        raise ValueError(f"outlier must be a share between 0 and 1, got {reader.outlier}")
    if min(*errors.sd_s, errors.share) < 0 or not 0 <= errors.correlation < 1:
        raise ValueError(
            "model_sd_s and model_share must not be negative and correlation within 0-1, got "
            f"{errors.sd_s}, {errors.share} and {errors.correlation}"
        )
