"""HYPOINVERSE's location of one event: its weights, its damped steps and its error ellipsoid.

Klein (2002, USGS OFR 02-171), and the program's version 1.40. Weights multiply the equations as they are, so that a
pick of weight 0.5 counts a quarter. They are the product of those of the pick, of distance and of residual, and sum to
the number of picks. The covariance is that of picks with one standard deviation, which contains the rms residual.

Differs from the program: the step's singular values are found from the equations in single precision, and events do
not stop where fewer than four picks keep weight.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxloc.geometry import distance_km
from jaxloc.physics.gauss_newton import Problem, times_and_slopes

ROUNDS = 2  # of residual weights within an iteration, one upon the other
STEP_FLOOR = 0.006  # added to singular values
LATE = 0.6, 0.5  # share of the iterations from which steps are damped more, and by how much
BEFORE_S = 2.0  # of the first origin time before the first arrival
CONFIDENCE_95 = 2.7955  # standard deviations that hold 95 % of a normal distribution in space


class Taper(NamedTuple):
    """A weight that falls by a cosine from 1 at `inner` to 0 at `outer`, in units of max(scale, `cut`).

    It applies from iteration `begin` on. The scale is the distance of the second nearest station, or the rms residual.
    """

    begin: int
    cut: float
    inner: float
    outer: float


class Settings(NamedTuple):
    """HYPOINVERSE's settings by their commands; defaults are the program's.

    Attributes:
        first_distance: DI1, in km.
        distance: DIS, in km.
        residual: RMS, in s.
        start_depth_km: ZTR.
        reading_sd_s: ERR, the standard deviation of a pick of weight 1.
        rms_factor: ERC, what the square of the rms residual is multiplied by in the covariance.
        iterations: CON, as are the next two.
        quit_km: a step below which the event is located.
        quit_rms_s: a change of the rms residual with the same meaning.
        free_depth_km: DAM, as are the next eight; depth is held until the epicentre moves less than that.
        most_depth_km: of a step.
        air: share of its depth by which an event moves up that would leave the ground.
        damping: factor of all steps.
        least_value: singular values that count.
        back_rms_s: growth of the rms residual from which a step is taken back.
        back: share of it that is.
        most_km: of a step.
    """

    first_distance: Taper = Taper(100, 50.0, 1.0, 3.0)
    distance: Taper = Taper(4, 50.0, 1.0, 3.0)
    residual: Taper = Taper(4, 0.16, 1.5, 3.0)
    start_depth_km: float = 7.0
    reading_sd_s: float = 0.15
    rms_factor: float = 1.0
    iterations: int = 20
    quit_km: float = 0.04
    quit_rms_s: float = 0.001
    free_depth_km: float = 7.0
    most_depth_km: float = 30.0
    air: float = 0.5
    damping: float = 0.9
    least_value: float = 0.012
    back_rms_s: float = 0.02
    back: float = 0.6
    most_km: float = 50.0


class Located(NamedTuple):
    """Hypocentre, covariance, and weights and residuals of the picks; coordinates are east, north, depth, origin."""

    hypocentre: Float[Array, " 4"]
    covariance: Float[Array, "4 4"]
    weight: Float[Array, " pick"]
    residual_s: Float[Array, " pick"]
    rms_s: Float[Array, ""]
    iterations: Int[Array, ""]


class _State(NamedTuple):
    hypocentre: Float[Array, " 4"]
    change: Float[Array, " 4"]
    moved_km: Float[Array, ""]
    rms_s: Float[Array, ""]
    least_rms_s: Float[Array, ""]
    backed: Bool[Array, ""]
    free_depth: Bool[Array, ""]
    iteration: Int[Array, ""]
    done: Bool[Array, ""]


class _Seen(NamedTuple):
    matrix: Float[Array, "pick 4"]
    residual_s: Float[Array, " pick"]
    weight: Float[Array, " pick"]
    rms_s: Float[Array, ""]


def locate(problem: Problem, station_km: Float[Array, "station 3"], settings: Settings = Settings()) -> Located:
    """Locate one event as HYPOINVERSE does; picks count by `reading_sd_s` over their standard deviations."""
    picks = problem.picks
    first = jnp.argmin(jnp.where(picks.mask, picks.time_s, jnp.inf))
    under_km = station_km[first // (len(picks.mask) // len(station_km)), :2]
    start = jnp.concatenate([under_km + 0.01, jnp.array([settings.start_depth_km, picks.time_s[first] - BEFORE_S])])
    large = jnp.asarray(1e4)
    no = jnp.asarray(False)
    state = _State(start, jnp.zeros(4), large, large, large, no, no, jnp.asarray(0), no)
    going = lambda at: ~at.done & (at.iteration <= settings.iterations + 5)
    state = jax.lax.while_loop(going, lambda at: _iterated(problem, station_km, settings, at), state)
    seen = _seen(problem, station_km, settings, state.hypocentre, state.iteration)
    _, values, right = jnp.linalg.svd(seen.matrix, full_matrices=False)
    variance = settings.reading_sd_s**2 + settings.rms_factor * seen.rms_s**2
    covariance = variance * (right.T / (values**2 + settings.least_value**2)) @ right
    return Located(state.hypocentre, covariance, seen.weight, seen.residual_s, seen.rms_s, state.iteration)


def distance_weight(taper: Taper, away_km: Float[Array, " station"], second_km: Float[Array, ""]) -> Array:
    """Weights by epicentral distance; `second_km` is that of the second nearest station."""
    return _fallen(taper, away_km, jnp.maximum(second_km, taper.cut))


def residual_weight(taper: Taper, residual_s: Float[Array, " pick"], rms_s: Float[Array, ""]) -> Array:
    """Weights by residual."""
    return _fallen(taper, jnp.abs(residual_s), jnp.maximum(rms_s, taper.cut))


def _fallen(taper: Taper, value: Array, scale: Array) -> Array:
    inner, outer = taper.inner * scale, taper.outer * scale
    return 0.5 + 0.5 * jnp.cos(jnp.pi * jnp.clip((value - inner) / (outer - inner), 0.0, 1.0))


def _seen(
    problem: Problem,
    station_km: Float[Array, "station 3"],
    settings: Settings,
    hypocentre: Float[Array, " 4"],
    iteration: Int[Array, ""],
) -> _Seen:
    """Equations of a trial hypocentre, weighted."""
    picks = problem.picks
    travel_s, slope = times_and_slopes(problem.travel, hypocentre[:3])
    residual = jnp.where(picks.mask, picks.time_s - travel_s - hypocentre[3], 0.0)
    weight = jnp.where(picks.mask, settings.reading_sd_s / picks.sd_s, 0.0)
    weight = weight * _by_distance(problem, station_km, settings, hypocentre[:3], iteration)
    for _ in range(ROUNDS):
        rms = _rms(residual, weight)
        far = residual_weight(settings.residual, residual, rms)
        weight = weight * jnp.where(iteration >= settings.residual.begin, far, 1.0)
    weight = weight * (weight > 0).sum() / jnp.maximum(weight.sum(), 1e-9)
    matrix = jnp.concatenate([slope, jnp.ones_like(slope[:, :1])], 1) * weight[:, None]
    return _Seen(matrix, residual, weight, _rms(residual, weight))


def _by_distance(
    problem: Problem,
    station_km: Float[Array, "station 3"],
    settings: Settings,
    place_km: Float[Array, " 3"],
    iteration: Int[Array, ""],
) -> Float[Array, " pick"]:
    """The main weight where it has begun and is below 1, else the first one."""
    away = distance_km(place_km, station_km)
    picked = problem.picks.mask.reshape(len(station_km), -1)
    second = jnp.sort(jnp.where(picked.any(-1), away, jnp.inf))[min(1, len(station_km) - 1)]
    second = jnp.where(jnp.isfinite(second), second, 0.0)
    main, first = (distance_weight(taper, away, second) for taper in (settings.distance, settings.first_distance))
    main = jnp.where(iteration >= settings.distance.begin, main, 1.0)
    first = jnp.where(iteration >= settings.first_distance.begin, first, 1.0)
    return jnp.repeat(jnp.where(main < 1, main, first), picked.shape[1])


def _rms(residual_s: Float[Array, " pick"], weight: Float[Array, " pick"]) -> Float[Array, ""]:
    return jnp.sqrt(((weight * residual_s) ** 2).sum() / jnp.maximum((weight**2).sum(), 1e-12))


def _iterated(problem: Problem, station_km: Float[Array, "station 3"], settings: Settings, at: _State) -> _State:
    """One iteration: the end, a step back, or a step on."""
    iteration = at.iteration + 1
    seen = _seen(problem, station_km, settings, at.hypocentre, iteration)
    begun = iteration > max(settings.distance.begin, settings.residual.begin)
    still = (jnp.abs(at.rms_s - seen.rms_s) < settings.quit_rms_s) | (at.moved_km < settings.quit_km)
    worse = seen.rms_s > at.least_rms_s + settings.back_rms_s
    done = (begun & still & at.free_depth) | ((iteration > settings.iterations) & ~worse)
    share = jnp.where(at.backed, 1 - settings.back, -settings.back)
    free_depth = at.free_depth | (at.moved_km < settings.free_depth_km)
    change = _change(seen, settings, free_depth, iteration)
    change = _limited(change, settings, at.hypocentre[2], problem.low_km[2])
    change = jnp.where(worse, share * at.change, change)
    moved = jnp.where(worse, jnp.abs(share) * at.moved_km, jnp.linalg.norm(change[:3]))
    new = at.hypocentre + jnp.where(done, 0.0, change)
    least = jnp.minimum(at.least_rms_s, seen.rms_s)
    return _State(new, change, moved, seen.rms_s, least, worse & ~done, free_depth, iteration, done)


def _change(seen: _Seen, settings: Settings, free_depth: Bool[Array, ""], iteration: Int[Array, ""]) -> Array:
    """The damped step by singular values; depth takes no part while it is held."""
    held = jnp.array([1.0, 1.0, 0.0, 1.0])
    matrix = seen.matrix * jnp.where(free_depth, 1.0, held)
    left, values, right = jnp.linalg.svd(matrix, full_matrices=False)
    along = left.T @ (seen.weight * seen.residual_s)
    counted = values > settings.least_value
    step = right.T @ jnp.where(counted, along / (values + STEP_FLOOR), 0.0)
    late = jnp.where(iteration > LATE[0] * settings.iterations, LATE[1], 1.0)
    return step * settings.damping * late


def _limited(change: Array, settings: Settings, depth_km: Array, top_km: Array) -> Array:
    """No step into the air, none too deep, none too far."""
    above = depth_km + change[2] < top_km
    up = -settings.air * (depth_km - top_km)
    factor = jnp.where(above, up / jnp.where(above, change[2], 1.0), 1.0)
    change = jnp.where(above, (change * factor).at[2].set(up), change)
    down, most = jnp.abs(change[2]), settings.most_depth_km
    change = change.at[2].multiply(jnp.where(down > most, most / (down + most), 1.0))
    moved = jnp.linalg.norm(change[:3])
    return change * jnp.where(moved > settings.most_km, settings.most_km / jnp.maximum(moved, 1e-9), 1.0)
