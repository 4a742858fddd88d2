"""Evidence that a station's clock, coordinates or records are wrong, from its arrival densities.

The arrivals that the other stations predict (`jaxloc.physics.predicted_by_others`) are read in the station's densities
under several hypotheses:

- ordinary: P and S are where they are predicted, or both are off as on an unusual path, S more than P by the ratio of
  their travel times (`jaxloc.physics.arrival_likelihood.Anomalies`), or either is read wrong, off by itself;
- clock: both are off by the same time, half of such times below `SCALE_S`;
- coordinates: P is off by such a time, and S by it times the ratio of travel times;
- exchanged: the arrivals of another station are in this record, and those of this one in the other's.

Each is integrated over its unknown time, so that an offset has to gain what its freedom costs: by chance a ratio of
evidences exceeds r with a probability of at most 1 / r, as far as densities are what they claim to be.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.scipy.stats import cauchy, norm
from jaxtyping import Array, Float, Int

from jaxloc.physics.arrival_likelihood import (
    Arrivals,
    interpolated,
    spectrum_of_errors,
    travel_s,
    variance_of_anomalies,
)
from jaxloc.physics.predicted_by_others import Prediction
from jaxloc.physics.readings import NEVER, StationFaults

Read = Callable[[Float[Array, "point station phase"]], Float[Array, "point station phase"]]
"""Arrival times to log-densities over that of an arrival at any time."""
MOST_S, STEP_S = 10.0, 0.05  # largest offset of a station, and of one offset to the next
WRONG = 0.25  # share of arrivals that are read wrong
SCALE_S = 1.0  # half of the offsets are below it before data (Cauchy)


def station_faults(arrivals: Arrivals, hypocentre: Float[Array, " 4"], predicted: Prediction) -> StationFaults:
    """Compare the hypotheses at each station of one event.

    Args:
        arrivals: densities of the event.
        hypocentre: where it was located.
        predicted: arrivals by the other stations.
    """
    read = _reader(arrivals, predicted)
    time_s = travel_s(arrivals.physics, hypocentre[:3])
    together = jnp.ones_like(time_s)
    along = together.at[:, 1].set(time_s[:, 1] / jnp.maximum(time_s[:, 0], STEP_S))
    offset_s = jnp.arange(-MOST_S, MOST_S + STEP_S / 2, STEP_S)
    at = lambda ratio: read(predicted.arrival_s + offset_s[:, None, None] * ratio)
    apart, place, straight = at(together), at(along).sum(-1), read(predicted.arrival_s)
    clock, log_prior = apart.sum(-1), cauchy.logpdf(offset_s[:, None], 0.0, SCALE_S) + jnp.log(STEP_S)
    wrong = logsumexp(apart + log_prior[..., None], axis=0)
    ordinary = _ordinary(_by_paths(arrivals, hypocentre, straight.sum(-1), place, offset_s), straight, wrong)
    evidence = lambda each: logsumexp(each + log_prior, axis=0) - ordinary
    exchanged, partner = _exchanged(arrivals, read, predicted, ordinary)
    active = arrivals.active > 0
    kept = lambda each: jnp.where(active, each, NEVER)
    return StationFaults(
        kept(evidence(clock)),
        offset_s[(clock + log_prior).argmax(0)],
        kept(evidence(place)),
        offset_s[(place + log_prior).argmax(0)],
        kept(exchanged),
        partner,
    )


def _reader(arrivals: Arrivals, predicted: Prediction) -> Read:
    """What reads a station's densities, smoothed by the errors of the prediction and mixed with outliers."""
    mass = jnp.exp(arrivals.log_mass)
    samples = mass.shape[-1] - 1
    frequency_hz = jnp.fft.rfftfreq(2 * samples) * arrivals.rate_hz
    response = spectrum_of_errors(frequency_hz, jnp.sqrt(predicted.variance_s2))
    smooth = jnp.fft.irfft(jnp.fft.rfft(mass[..., :-1], 2 * samples) * response)[..., :samples]
    outlier = arrivals.physics.outlier
    level = (1 - outlier) * mass[..., -1:] + outlier
    inside = jnp.log((1 - outlier) * jnp.maximum(smooth, 0) * samples + level)
    return lambda time_s: interpolated(inside, jnp.log(level)[..., 0], time_s * arrivals.rate_hz)


def _by_paths(
    arrivals: Arrivals,
    hypocentre: Float[Array, " 4"],
    straight: Float[Array, " station"],
    place: Float[Array, "offset station"],
    offset_s: Float[Array, " offset"],
) -> Float[Array, " station"]:
    """Log-density of arrivals where they are predicted, some of them by unusual paths."""
    anomalies = arrivals.physics.anomalies
    if anomalies is None:
        return straight
    sd_s = jnp.sqrt(variance_of_anomalies(arrivals.physics, anomalies, hypocentre[:3])[:, 0])
    unusual = logsumexp(place + norm.logpdf(offset_s[:, None], 0, sd_s), axis=0) + jnp.log(STEP_S)
    return jnp.logaddexp(jnp.log1p(-anomalies.share) + straight, jnp.log(anomalies.share) + unusual)


def _ordinary(
    right: Float[Array, " station"], straight: Float[Array, "station phase"], wrong: Float[Array, "station phase"]
) -> Float[Array, " station"]:
    """Log-density of an ordinary station's arrivals: right, or one or both of them read wrong, each by itself."""
    log_right, log_wrong = jnp.log1p(-WRONG), jnp.log(WRONG)
    one = log_right + log_wrong + jnp.logaddexp(straight[:, 0] + wrong[:, 1], wrong[:, 0] + straight[:, 1])
    return logsumexp(jnp.stack([2 * log_right + right, one, 2 * log_wrong + wrong.sum(-1)]), axis=0)


def _exchanged(
    arrivals: Arrivals, read: Read, predicted: Prediction, ordinary: Float[Array, " station"]
) -> tuple[Float[Array, " station"], Int[Array, " station"]]:
    """Evidence that records of two stations are exchanged, for the likeliest partner of each, and who that is."""
    number = len(ordinary)
    times_s = jnp.broadcast_to(predicted.arrival_s[:, None], (number, *predicted.arrival_s.shape))
    gain = read(times_s).sum(-1) - ordinary  # [whose times, whose record]
    both = arrivals.active[:, None] * arrivals.active * (1 - jnp.eye(number)) > 0
    pair = jnp.where(both, gain + gain.T - jnp.log(jnp.maximum(arrivals.active.sum() - 1, 1)), NEVER)
    return pair.max(0), pair.argmax(0)
