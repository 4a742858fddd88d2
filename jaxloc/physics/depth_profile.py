"""The posterior of one event as a mixture over depth: epicentre and origin time are normal at each depth.

Depth is what arrival times constrain worst: its posterior is skewed, ends at the surface, and changes at the tops of
layers. It is integrated over numerically, while at each depth the epicentre and origin time are fitted by Geiger's
method (`jaxloc.physics.gauss_newton`) and have Laplace's approximation there (nested Laplace approximations: Rue,
Martino & Chopin 2009, JRSS B 71). No starting depth is left in the result.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.distributions.gaussian_mixture import Components, triangular
from jaxloc.physics.gauss_newton import (
    BLURS_S,
    RIDGE,
    Equations,
    Problem,
    Trial,
    climb,
    equations,
    weighed,
)
from jaxloc.physics.small_matrices import solved

START_DEPTHS = 6  # over the region, for the first fits
EXACT = (0.0,) * 8  # steps without blur from the best of these
NODES, AT_NODE = 20, (0.0,) * 3  # depths of the result, and steps at each
REACH = 4.5  # half-width of their range in standard deviations of depth
RIVAL = 8.0  # nats below the best fit from which another mode does not count
APART = 25.0  # square of the distance in standard deviations from which it is another mode
CHECKED = 1.5  # where the normal is checked, in its standard deviations
CHECK_SD = 0.35  # nats by which it may miss there
UNFINISHED, COUNTS = 0.5, 6.0  # nats that a last step may gain, at depths no further than that below the best
FEWEST_STATIONS, FEWEST_PICKS = 3, 5


class Profile(NamedTuple):
    """The mixture over depth, the mode, and whether the approximation passed its checks."""

    mixture: Components
    mode: Trial
    good: Bool[Array, ""]


def start_of(problem: Problem, station_km: Float[Array, "station 3"]) -> Float[Array, " 2"]:
    """A first epicentre: the mean of the three stations with the earliest picks."""
    picks = problem.picks
    first_s = jnp.where(picks.mask, picks.time_s, jnp.inf).reshape(len(station_km), -1).min(-1)
    time_s, index = jax.lax.top_k(-first_s, min(3, len(station_km)))
    there = jnp.isfinite(time_s)
    middle = (station_km[index, :2] * there[:, None]).sum(0) / jnp.maximum(there.sum(), 1)
    inside = jnp.clip(middle, problem.low_km[:2], problem.high_km[:2])
    return jnp.where(there.any(), inside, (problem.low_km[:2] + problem.high_km[:2]) / 2)


def profile(problem: Problem, station_km: Float[Array, "station 3"]) -> Profile:
    """Fit one event: starting depths over the region, the mode, the mixture over depth, and its checks."""
    fits, log_density = _modes(problem, station_km)
    best = log_density.argmax()
    mode = jax.tree.map(lambda x: x[best], fits)
    normal = equations(problem, mode, weighed(problem, mode), observed=True)
    away = fits.place_km - mode.place_km
    square = jnp.einsum("ni,ij,nj->n", away, normal.information, away)
    rival = ((square > APART) & (log_density > log_density[best] - RIVAL)).any()
    mixture, nodes, at_node, gain = _over_depth(problem, mode, normal)
    counts = mixture.log_weight > mixture.log_weight.max() - COUNTS
    finished = (jnp.where(counts, gain, 0.0) < UNFINISHED).all()
    missed = _miss(problem, mixture, nodes, at_node)
    stations = problem.picks.mask.reshape(len(station_km), -1).any(-1).sum()
    enough = (stations >= FEWEST_STATIONS) & (problem.picks.mask.sum() >= FEWEST_PICKS)
    whole = jnp.isfinite(mixture.log_weight).any() & jnp.isfinite(mixture.mean).all()
    return Profile(mixture, mode, enough & whole & finished & ~rival & (missed < CHECK_SD) & _inside(problem, mixture))


def _modes(problem: Problem, station_km: Float[Array, "station 3"]) -> tuple[Trial, Float[Array, " fit"]]:
    """Fits from the two best starting depths, and from the mirror image of the better one."""
    low, high = problem.low_km[2], problem.high_km[2]
    depths = low + (high - low) * (jnp.arange(START_DEPTHS) + 0.5) / START_DEPTHS
    epicentre = start_of(problem, station_km)
    held = problem._replace(free=problem.free * jnp.array([1.0, 1.0, 0.0]), second_derivatives=False)

    def at_depth(depth_km: Float[Array, ""]) -> tuple[Trial, Float[Array, ""]]:
        fit = climb(held, jnp.append(epicentre, depth_km), BLURS_S)
        return fit, weighed(problem, fit, blur_s=BLURS_S[-1]).log_density

    coarse, value = jax.vmap(at_depth)(depths)
    _, two = jax.lax.top_k(value, 2)
    places = coarse.place_km[two]
    image = jnp.append(_mirrored(problem, station_km, places[0, :2]), places[0, 2])

    def exact(place_km: Float[Array, " 3"]) -> tuple[Trial, Float[Array, ""]]:
        fit = climb(problem, place_km, (*BLURS_S[2:], *EXACT))
        return fit, weighed(problem, fit).log_density

    return jax.vmap(exact)(jnp.concatenate([places, image[None]]))


def _mirrored(
    problem: Problem, station_km: Float[Array, "station 3"], epicentre_km: Float[Array, " 2"]
) -> Float[Array, " 2"]:
    """The epicentre on the other side of the line that the stations with picks are closest to.

    Stations on a line cannot tell its two sides; those around an event lead back to it from there.
    """
    there = problem.picks.mask.reshape(len(station_km), -1).any(-1)[:, None]
    middle = (station_km[:, :2] * there).sum(0) / jnp.maximum(there.sum(), 1)
    apart = (station_km[:, :2] - middle) * there
    scatter = apart.T @ apart
    angle = 0.5 * jnp.arctan2(2 * scatter[0, 1], scatter[0, 0] - scatter[1, 1])
    across = jnp.stack([-jnp.sin(angle), jnp.cos(angle)])
    image = epicentre_km - 2 * across * (across @ (epicentre_km - middle))
    return jnp.clip(image, problem.low_km[:2], problem.high_km[:2])


def _over_depth(
    problem: Problem, mode: Trial, normal: Equations
) -> tuple[Components, Trial, Equations, Float[Array, " node"]]:
    """Nodes of depth about the mode: the mixture that they make, the fit at each, and what a further step gains."""
    whole = normal.information + RIDGE * jnp.eye(3)
    depth_variance = solved(lambda i, j: whole[i, j], jnp.array([0.0, 0.0, 1.0]))[0][2]
    reach = REACH * jnp.sqrt(jnp.maximum(depth_variance, 1e-6))
    low = jnp.clip(mode.place_km[2] - reach, problem.low_km[2], problem.high_km[2])
    high = jnp.clip(mode.place_km[2] + reach, problem.low_km[2], problem.high_km[2])
    cell = jnp.maximum(high - low, 1e-3) / NODES
    depths = low + cell * (jnp.arange(NODES) + 0.5)
    held = problem._replace(free=problem.free * jnp.array([1.0, 1.0, 0.0]), second_derivatives=False)
    drift = _drift(whole)

    def at_depth(depth_km: Float[Array, ""]) -> tuple[Trial, Float[Array, ""], Equations]:
        change = jnp.append(drift, 1.0) * (depth_km - mode.place_km[2])
        place = jnp.clip(mode.place_km + change, problem.low_km, problem.high_km).at[2].set(depth_km)
        origin = mode.origin_s - normal.mean_slope_s_km @ (place - mode.place_km)
        fit = climb(held, place, AT_NODE, origin)
        seen = weighed(problem, fit)
        # All coordinates count here: the epicentre moves with depth within a cell.
        return fit, seen.log_density, equations(problem, fit, seen, observed=True)

    nodes, log_density, at_node = jax.vmap(at_depth)(depths)
    rows, log_volume = jax.vmap(lambda each: _spread(each, cell))(at_node)
    last, gain = jax.vmap(_last_step)(at_node)
    mean = jnp.concatenate([nodes.place_km, nodes.origin_s[:, None]], -1) + last
    return Components(log_density + gain + log_volume, mean, triangular(rows)), nodes, at_node, gain


def _last_step(normal: Equations) -> tuple[Float[Array, " 4"], Float[Array, ""]]:
    """The step that a node's equations still ask for, and the nats that it gains: it costs no travel times."""
    information = normal.information + RIDGE * jnp.eye(3)
    change, _ = solved(lambda i, j: information[i, j], normal.gradient[:2])
    origin_s = normal.mean_residual_s - normal.mean_slope_s_km[:2] @ change
    gain = 0.5 * (normal.gradient[:2] @ change + normal.total_weight * normal.mean_residual_s**2)
    shorter = jnp.minimum(1.0, 1 / jnp.maximum(gain, 1e-6))
    return shorter * jnp.stack([*change, jnp.zeros(()), origin_s]), gain * shorter


def _drift(information: Float[Array, "3 3"]) -> Float[Array, " 2"]:
    """How far the epicentre of the best fit moves with a km of depth."""
    return solved(lambda i, j: information[i, j], -information[:2, 2])[0]


def _spread(normal: Equations, cell_km: Float[Array, ""]) -> tuple[Float[Array, "4 4"], Float[Array, ""]]:
    """Rows A of a component, hypocentre = mean + A u with u standard normal, and the log-volume of epicentre and time.

    u: two of the epicentre, one of depth (half a cell), one of origin time.
    """
    information = normal.information + RIDGE * jnp.eye(3)
    epicentre = _root(information)
    rows = jnp.zeros((4, 4)).at[:2, :2].set(epicentre)
    rows = rows.at[:3, 2].set(jnp.append(_drift(information), 1.0) * cell_km / 2)
    rows = rows.at[3].set(-normal.mean_slope_s_km @ rows[:3])
    rows = rows.at[3, 3].set(1 / jnp.sqrt(normal.total_weight))
    return rows, jnp.log(epicentre[0, 0] * epicentre[1, 1]) - 0.5 * jnp.log(normal.total_weight)


def _root(information: Float[Array, "3 3"]) -> Float[Array, "2 2"]:
    """The upper triangle A with A Aᵀ the covariance of the epicentre at a depth."""
    a = jnp.sqrt(information[0, 0])
    b = information[0, 1] / a
    c = jnp.sqrt(jnp.maximum(information[1, 1] - b**2, 0.1 * RIDGE))
    return jnp.array([[1 / a, -b / (a * c)], [0.0, 1 / c]])


def _miss(problem: Problem, mixture: Components, nodes: Trial, at_node: Equations) -> Float[Array, ""]:
    """By how many nats the log-posterior of the epicentre misses a normal's, at three depths of the mixture."""
    share = jnp.cumsum(jax.nn.softmax(mixture.log_weight))
    three = jnp.searchsorted(share, jnp.array([0.15, 0.5, 0.85]))

    def miss(index: Array) -> Float[Array, ""]:
        node, normal = jax.tree.map(lambda x: x[index], (nodes, at_node))
        held = equations(problem, node, weighed(problem, node), observed=True)
        axes = _root(held.information + RIDGE * jnp.eye(3)).T
        away = CHECKED * jnp.concatenate([axes, -axes])
        places = node.place_km + jnp.pad(away, ((0, 0), (0, 1)))
        origins = node.origin_s - (places - node.place_km) @ normal.mean_slope_s_km
        travel_s = problem.travel(places).reshape(len(places), -1)
        at = lambda place, origin, time: node._replace(place_km=place, origin_s=origin, travel_s=time)
        value = jax.vmap(lambda *point: weighed(problem, at(*point)).log_density)(places, origins, travel_s)
        fall = weighed(problem, node).log_density - value
        return jnp.abs(fall - 0.5 * CHECKED**2).max()

    return jax.vmap(miss)(jnp.minimum(three, NODES - 1)).max()


def _inside(problem: Problem, mixture: Components) -> Bool[Array, ""]:
    """Whether the epicentre keeps three standard deviations from the border of the region."""
    share = jax.nn.softmax(mixture.log_weight)
    mean = share @ mixture.mean[:, :2]
    square = (mixture.scale_tril[:, :2] ** 2).sum(-1) + (mixture.mean[:, :2] - mean) ** 2
    sd = jnp.sqrt(share @ square)
    return ((mean - 3 * sd > problem.low_km[:2]) & (mean + 3 * sd < problem.high_km[:2])).all()
