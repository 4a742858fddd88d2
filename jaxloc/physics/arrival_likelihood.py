"""From arrival densities to a density over hypocentres: travel times tie the stations.

For a hypocentre and origin time, each station's density of P is read where P should arrive, and that of S likewise;
the product over stations is the likelihood (the network's density over a flat prior of arrival time is one). Four
things keep it honest: each density is smoothed by the error of travel times and mixed with an outlier level, delays of
unknown stations are integrated out, and the product is tempered, since neighbouring stations share the
model's error: n stations with errors of correlation r have the information of n / (1 + r (n - 1)). The density of the
hypocentre is then as wide again as the error of position that is common to all stations, and a share of hypocentres,
which is learnt, may err by three times the predicted uncertainty: catalogues and models are sometimes worse than on
average, and widths that had to cover these by themselves would be too wide for all others.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.distributions.gaussian_mixture import HypocentreMixture, contaminated, gaussian_mixture
from jaxloc.geometry import distance_km
from jaxloc.physics.about_station import About
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.adaptive_sampling import Cloud, Sampling, components, evaluate, search
from jaxloc.physics.common_error import CommonError, MostProbable, factors_s, most_probable, summary_of
from jaxloc.physics.directions import direction_log_density
from jaxloc.physics.priors import SMOOTHING_SPEED_KM_S
from jaxloc.physics.readings import Readings
from jaxloc.physics.source_terms import SourceTerms, share_of, terms_at
from jaxloc.physics.table import StationTable, look_up_s

DELAYS_OF_P = 3.0  # standard deviations: P that is later than that is no P, and tells nothing of S
PHASES_OF_FEW = 4.5  # arrivals of two stations and less: hypocentres lie on a shell, or where two of them meet
UNKNOWNS = 4  # of a hypocentre
AS_READ, OTHER_PHASE = slice(None), slice(None, None, -1)  # of P and S
HEAVY_TAIL_SCALE = 3.0  # widening of the posterior in its heavy tails


class Anomalies(NamedTuple):
    """The share of travel times with large errors, and these: of paths relative to the time, of stations by phase."""

    share: Float[Array, ""]
    path: Float[Array, ""]
    sd_s: Float[Array, " phase"]


class Physics(NamedTuple):
    """What ties arrival times to a hypocentre, for the stations at hand.

    `common` are errors that all travel times of an event have in common. `path` is the error of the path to one
    station, relative to the travel time. `terms` are station terms that depend on the source; they take a share of the
    variance of `smoothing_s`. None: there are no such errors or terms. `mistakes` are shares of arrivals that are of
    the other phase and of nothing, by phase, each set as probable for an event before data; None: a share `outlier` is
    of nothing, whatever the event. `anomalies` are large errors of some travel times; None: there are none.
    """

    table: StationTable
    station_km: Float[Array, "station 3"]
    delay_s: Float[Array, "station phase"]
    smoothing_s: Float[Array, "station phase"]
    delay_covariance_s2: Float[Array, "station phase phase"]  # of what is not known of delays
    outlier: Float[Array, ""]
    correlation: Float[Array, ""]
    floor_km: Float[Array, " 2"]
    surprises: Float[Array, ""]
    common: CommonError | None = None
    path: Float[Array, ""] | None = None
    terms: SourceTerms | None = None
    mistakes: Float[Array, "set phase mistake"] | None = None
    anomalies: Anomalies | None = None


class Arrivals(NamedTuple):
    """Arrival densities of one event as a network gives them (`Readings`), and physics."""

    log_mass: Float[Array, "station phase sample_and_none"]
    rate_hz: Float[Array, ""]
    active: Float[Array, " station"]
    physics: Physics
    towards: Float[Array, "station 2"] | None = None
    number: Float[Array, "station phase"] | None = None

    @property
    def readings(self) -> Readings:
        """The densities without physics."""
        return Readings(self.log_mass, self.rate_hz, self.active, self.towards, self.number)


def travel_s(physics: Physics, place_km: Float[Array, "*batch 3"]) -> Float[Array, "*batch station phase"]:
    """Travel times of P and S from places to each station, station delays included, in s."""
    return look_up_s(physics.table, distance_km(place_km[..., None, :], physics.station_km), place_km[..., None, 2]) + (
        physics.delay_s
    )


def predicted_s(physics: Physics, hypocentre: Float[Array, "*batch 4"]) -> Float[Array, "*batch station phase"]:
    """When P and S of given hypocentres reach each station, in s on the clock of the origin time."""
    return hypocentre[..., 3, None, None] + travel_s(physics, hypocentre[..., :3])


class Reading(NamedTuple):
    """Arrival times that hypocentres predict, read in arrival densities.

    Attributes:
        log_density: of each arrival, in 1/s.
        log_common: of the errors that arrivals have in common (`jaxloc.physics.common_error`), zero without any.
        arrival_s: the times, with these errors where they are most probable.
        log_other: density of each arrival where the other phase is predicted; None where it is not wanted.
    """

    log_density: Float[Array, "point time station phase"]
    log_common: Float[Array, "point time"]
    arrival_s: Float[Array, "point time station phase"]
    log_other: Float[Array, "point time station phase"] | None = None


ReadArrivals = Callable[[Float[Array, "point 3"], Float[Array, "point time"], Float[Array, ""]], Reading]
"""Points in space, origin times at each and the spacing of points in km, to what arrival densities say of them."""


def log_density(arrivals: Arrivals, log_prior: LogDensity) -> LogDensity:
    """The log-density of hypocentres, not normalised, for `jaxloc.physics.adaptive_grid`."""
    read = read_arrivals(arrivals)

    def value(
        points: Float[Array, "point 3"], origin_s: Float[Array, "point time"], spacing_km: Float[Array, ""]
    ) -> Float[Array, "point time"]:
        found = read(points, origin_s, spacing_km)
        total = log_likelihood(arrivals, found) + found.log_common + log_prior(points, origin_s, spacing_km)
        if arrivals.towards is None:
            return total
        station_km = arrivals.physics.station_km
        return total + direction_log_density(arrivals.towards, arrivals.active, station_km, points)[:, None]

    return value


def log_likelihood(arrivals: Arrivals, read: Reading) -> Float[Array, "*batch"]:
    """The log-likelihood of an event from the densities of its arrivals, tempered.

    A network that reads records unlike those it learned from takes S for P or reads arrivals of nothing, and how often
    differs from event to event: arrivals that agree speak for few mistakes, arrivals that do not for many, under which
    the posterior is wide. Where physics has such `mistakes` they are summed over.
    """
    physics, power = arrivals.physics, tempering_of(arrivals)
    total = lambda each: power * (each * arrivals.active[:, None]).sum((-2, -1))
    if physics.mistakes is None or read.log_other is None:
        return total(read.log_density)
    anywhere = arrivals.rate_hz / (arrivals.log_mass.shape[-1] - 1)
    # Without the outliers that the densities are mixed with.
    right, other = (
        jnp.maximum(jnp.exp(x) - physics.outlier * anywhere, 0.0) / (1 - physics.outlier)
        for x in (read.log_density, read.log_other)
    )
    each = [
        total(jnp.log((1 - swapped - wrong) * right + swapped * other + wrong * anywhere))
        for swapped, wrong in (physics.mistakes[i].T for i in range(len(physics.mistakes)))
    ]
    return jax.scipy.special.logsumexp(jnp.stack(each), axis=0) - jnp.log(len(each))


def tempering_of(arrivals: Arrivals) -> Float[Array, ""]:
    """The power of the likelihood: n stations with errors of correlation r count as n / (1 + r (n - 1))."""
    present = number_present(arrivals) / 2
    return 1 / (1 + arrivals.physics.correlation * jnp.maximum(present - 1, 0))


def number_present(arrivals: Arrivals) -> Float[Array, ""]:
    """How many arrivals are expected in the records."""
    return _present(arrivals).sum()


def _present(arrivals: Arrivals) -> Float[Array, " station"]:
    return (1 - jnp.exp(arrivals.log_mass[..., -1])).sum(-1) * arrivals.active


def read_arrivals(arrivals: Arrivals) -> ReadArrivals:
    """What arrival densities say, at each station and phase, of the arrival times that hypocentres predict.

    Each density is smoothed by the error of travel times and mixed with the outlier level; an arrival that is predicted
    where nothing was recorded has the level of no arrival.
    """
    mass = jnp.exp(arrivals.log_mass)
    physics, samples = arrivals.physics, mass.shape[-1] - 1
    duration_s = samples / arrivals.rate_hz
    spectrum = jnp.fft.rfft(mass[..., :-1], 2 * samples)
    frequency_hz = jnp.fft.rfftfreq(2 * samples) * arrivals.rate_hz
    read_p_s = mass[:, 0, :-1].argmax(-1) / arrivals.rate_hz
    # As many arrivals together are narrower than one: smoothed so far, their product is as wide as the spacing.
    wider = jnp.sqrt(jnp.maximum(number_present(arrivals) / UNKNOWNS, 1.0))

    def read(
        points: Float[Array, "point 3"], origin_s: Float[Array, "point time"], spacing_km: Float[Array, ""]
    ) -> Reading:
        errors = errors_around(physics, points)
        # A Gaussian is its own smoothing: widths add in squares, in one product of the spectrum.
        squared_s2 = errors.smoothing_s2 + (0.4 * wider * spacing_km / SMOOTHING_SPEED_KM_S) ** 2
        variance_s2, follows = _with_delays(squared_s2, errors.delay_covariance_s2, 1 - mass[:, 0, -1])
        width_s = jnp.sqrt(variance_s2)
        none = mass[..., -1:] / duration_s
        level = physics.outlier / duration_s

        def smoothed(phase: slice) -> Float[Array, "station phase sample"]:
            response = spectrum_of_errors(frequency_hz, width_s[..., phase])
            if physics.anomalies is not None:
                large_s = jnp.sqrt(variance_s2 + variance_of_anomalies(physics, physics.anomalies, points.mean(0)))
                large = spectrum_of_errors(frequency_hz, large_s[..., phase])
                response = response + physics.anomalies.share * (large - response)
            smooth = jnp.fft.irfft(spectrum * response)[..., :samples] * arrivals.rate_hz
            return jnp.log((1 - physics.outlier) * (jnp.maximum(smooth, 0) + none) + level)

        outside = jnp.log((1 - physics.outlier) * none + level)[..., 0]
        arrival_s, log_common = _with_common_error(arrivals, points, origin_s, width_s, errors.delay_s)
        most_s = DELAYS_OF_P * width_s[:, 0]
        late_s = jnp.clip(read_p_s - arrival_s[..., 0], -most_s, most_s)
        arrival_s = arrival_s.at[..., 1].add(follows * late_s)
        found = Reading(interpolated(smoothed(AS_READ), outside, arrival_s * arrivals.rate_hz), log_common, arrival_s)
        if physics.mistakes is None:
            return found
        other_s = arrival_s[..., OTHER_PHASE] * arrivals.rate_hz
        return found._replace(log_other=interpolated(smoothed(OTHER_PHASE), outside, other_s))

    return read


def spectrum_of_errors(
    frequency_hz: Float[Array, " frequency"], width_s: Float[Array, "station phase"]
) -> Float[Array, "station phase frequency"]:
    """What multiplies the spectrum of a density that normal errors smooth."""
    return jnp.exp(-2 * (jnp.pi * frequency_hz * width_s[..., None]) ** 2)


def variance_of_anomalies(
    physics: Physics, anomalies: Anomalies, place_km: Float[Array, " 3"]
) -> Float[Array, "station phase"]:
    """What large errors of travel times add to their variance, from a place."""
    return anomalies.sd_s**2 + (anomalies.path * travel_s(physics, place_km)) ** 2


class Errors(NamedTuple):
    """Errors of travel times from around a place: variances, terms of its sources, and what is not known of terms."""

    smoothing_s2: Float[Array, "station phase"]
    delay_s: Float[Array, "station phase"]
    delay_covariance_s2: Float[Array, "station phase phase"]


def errors_around(physics: Physics, points: Float[Array, "point 3"]) -> Errors:
    """The errors of travel times from points that lie around their mean."""
    place_km, smoothing_s2 = points.mean(0), physics.smoothing_s**2
    if physics.path is not None:
        smoothing_s2 = smoothing_s2 + (physics.path * travel_s(physics, place_km)) ** 2
    if physics.terms is None:
        return Errors(smoothing_s2, jnp.zeros_like(smoothing_s2), physics.delay_covariance_s2)
    terms = terms_at(physics.terms, place_km, jnp.sqrt(((points - place_km) ** 2).sum(-1).mean()))
    share = share_of(physics.terms.covariance)
    # Far from all known events the whole variance is that without terms.
    scale = jnp.sqrt(share * smoothing_s2) / physics.terms.covariance.sd_s
    covariance_s2 = scale[:, :, None] * scale[:, None] * terms.covariance_s2
    return Errors((1 - share) * smoothing_s2, terms.mean_s, physics.delay_covariance_s2 + covariance_s2)


def _with_common_error(
    arrivals: Arrivals,
    points: Float[Array, "point 3"],
    origin_s: Float[Array, "point time"],
    width_s: Float[Array, "station phase"],
    delay_s: Float[Array, "station phase"],
) -> tuple[Float[Array, "point time station phase"], Float[Array, "point time"]]:
    """Predicted arrival times with the most probable errors that they have in common, and the log of these' part."""
    physics = arrivals.physics
    time_s = travel_s(physics, points)
    arrival_s = origin_s[..., None, None] + time_s[:, None] + delay_s
    if physics.common is None:
        return arrival_s, jnp.zeros_like(origin_s)
    factors = factors_s(physics.common, time_s)
    duration_s = (arrivals.log_mass.shape[-1] - 1) / arrivals.rate_hz
    seen = summary_of(arrivals.readings, width_s, physics.outlier, duration_s)
    fixed = jax.lax.stop_gradient((seen, arrival_s, tempering_of(arrivals)))
    found: MostProbable = most_probable(fixed[0], fixed[1], factors, fixed[2])
    return arrival_s + found.shift_s, found.log_part


def _with_delays(
    variance_s2: Float[Array, "station phase"],
    delays_s2: Float[Array, "station phase phase"],
    p_present: Float[Array, " station"],
) -> tuple[Float[Array, "station phase"], Float[Array, " station"]]:
    """Variances of arrivals with delays that are not known, and by how much S follows a late P.

    S is given P, since delays of both go together: what is slow under a station is slow for both. Normal errors that
    are conditioned on P shift the expected S in proportion and leave S a smaller variance; where P is not seen they
    leave it all.
    """
    p_s2 = variance_s2[:, 0] + delays_s2[:, 0, 0]
    follows = p_present * delays_s2[:, 1, 0] / p_s2
    s_s2 = variance_s2[:, 1] + delays_s2[:, 1, 1] - follows * delays_s2[:, 1, 0]
    return jnp.stack([p_s2, s_s2], -1), follows


def interpolated(
    inside: Float[Array, "station phase sample"],
    outside: Float[Array, "station phase"],
    position: Float[Array, "*point station phase"],
) -> Float[Array, "*point station phase"]:
    """Linear interpolation in time; before and after the record, the level of an arrival that is not in it."""
    samples = inside.shape[-1]
    lower = jnp.clip(jnp.floor(position).astype(jnp.int32), 0, samples - 2)
    start = jnp.arange(inside.shape[0] * inside.shape[1]).reshape(inside.shape[:2]) * samples
    flat = inside.reshape(-1)
    left, right = flat[start + lower], flat[start + lower + 1]
    part = position - lower
    within = (position >= 0) & (position <= samples - 1)
    return jnp.where(within, left + part * (right - left), outside)


def hypocentre_cloud(
    arrivals: Arrivals, log_prior: LogDensity, region: Region, sizes: Sampling, last: int | None = None
) -> Cloud:
    """The posterior of one event at the samples of an adaptive search, `last` of them or as `sizes` has it."""
    fixed = log_density(jax.lax.stop_gradient(arrivals), log_prior)
    about = jax.lax.stop_gradient(about_station(arrivals))
    return evaluate(log_density(arrivals, log_prior), search(fixed, region, sizes, last, about))


def about_station(arrivals: Arrivals) -> About:
    """Coordinates about the station with the surest arrivals, where there are not more than two."""
    present = _present(arrivals)
    return About(arrivals.physics.station_km[present.argmax()], present.sum() < PHASES_OF_FEW)


def posterior_of(cloud: Cloud, floor_km: Float[Array, " 2"], surprises: Float[Array, ""]) -> HypocentreMixture:
    """The posterior that samples stand for, with the error of position and the tails that no arrival tells of."""
    return gaussian_mixture(*contaminated(components(cloud, floor_km), surprises, HEAVY_TAIL_SCALE))
