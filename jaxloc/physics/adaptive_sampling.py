"""Adaptive importance sampling over hypocentre and origin time, differentiable in the density that it samples.

Posteriors of few stations are thin shells and arcs, which no lattice of a few thousand points resolves. Points placed
where the mass is do: each round samples a mixture of Gaussians that follows the points of the round before (population
Monte Carlo; Cappé and others 2008, Statistics and Computing 18), with weights of the density over the mixture. Early
rounds ask for a density smoothed to the spacing of their points, so that no narrow peak falls between them. Space is
sampled; origin time given a place is narrow, so that it is integrated on a few times at each point. Samples come from
a fixed low-discrepancy sequence: the same density gives the same result.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int
from scipy.special import ndtri

from jaxloc.distributions.gaussian_mixture import Components
from jaxloc.physics.about_station import About, from_km, to_km
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.local_gaussians import Kernels, Samples, local_gaussians
from jaxloc.physics.small_matrices import lower_cholesky, lower_inverse

NARROWER = 0.4  # smoothing of a round relative to that of the round before
WITHIN = 0.41  # of a spacing: standard deviation of a place between points, uniform and smoothed (sqrt(1/6))
WIDER = 1.25  # proposals are wider than the density they follow, so that weights are bounded
FLATTER = 0.8  # power of weights in proposals: what a smoothed density gives too little still has points
EFFECTIVE = 0.25  # share of samples that must count for a density that extends over many spacings
HALF = 0.5  # share of samples that must count before the final ones
BETTER = 1.3  # times as many samples must count for another round at the same level
MOST_ROUNDS = 4  # of a level, on average
NEIGHBOURS = 100.0, 35.0, 12.0  # samples that make one Gaussian of the posterior: the number that fits it best
WORTH = 0.1  # nats a sample
COMPARED = 256  # samples at which they are compared
FEW_NEIGHBOURS = 40.0  # samples that make one of a proposal, which need not be smooth
SPREAD = 3.5  # standard deviations of origin time to either side
FASTEST_KM_S = 6.0


class Sampling(NamedTuple):
    """Sizes of a search.

    Attributes:
        first: points along east, north, depth and origin time of the regular grid of the first round.
        points: samples of each middle round.
        levels: of smoothing; the last has none.
        last: samples of the last round.
        times: origin times at each sample.
    """

    first: tuple[int, int, int, int] = (12, 12, 3, 40)
    points: int = 640
    levels: int = 7
    last: int = 2048
    times: int = 9


class Proposal(NamedTuple):
    """Samples of space, the log of the density that they were sampled from, and the origin times at each."""

    point_km: Float[Array, "point 3"]
    log_density: Float[Array, " point"]
    origin_s: Float[Array, "point time"]


class Cloud(NamedTuple):
    """Samples of hypocentres and the probability that each of them stands for."""

    point_km: Float[Array, "point 3"]
    origin_s: Float[Array, "point time"]
    log_mass: Float[Array, "point time"]
    log_proposal: Float[Array, " point"]


def search(
    log_density: LogDensity, region: Region, sizes: Sampling, last: int | None = None, about: About | None = None
) -> Proposal:
    """Samples where the density has its mass, `last` of them, without derivatives.

    Args:
        log_density: of hypocentres, not normalised, smoothed to a spacing.
        region: where hypocentres are looked for.
        sizes: of the search.
        last: samples, those of `sizes` by default.
        about: coordinates in which proposals are mixtures of Gaussians; east, north and depth by default.
    """
    cloud, spacing_km = _first(log_density, region, sizes.first)
    start = _Round(jnp.zeros((), int), jnp.zeros((), int), jnp.zeros(()), _around(cloud, spacing_km, sizes.points))

    def wanted(at: _Round) -> Bool[Array, ""]:
        return (at.level < sizes.levels) & (at.number < MOST_ROUNDS * sizes.levels)

    def closer(at: _Round) -> _Round:
        before_km = spacing_km * NARROWER**at.level
        # The last level is not smoothed: the final samples follow the density itself.
        is_last = at.level == sizes.levels - 1
        # The first Gaussians are those of a grid in space.
        of = about and about._replace(polar=about.polar & (at.number > 0))
        proposal = _proposal(at.kernels, sizes.points, sizes.times, of)
        samples = _samples(evaluate(log_density, proposal, jnp.where(is_last, 0.0, NARROWER * before_km)))
        power, share = _power(samples, before_km)
        kernels = local_gaussians(_in(about, samples, power), FEW_NEIGHBOURS, WITHIN * before_km)
        enough = (power == FLATTER) & (~is_last | (share > HALF))
        # Gaussians no narrower than this level's spacing may be what keeps samples from counting.
        done = enough | (share < BETTER * at.share)
        return _Round(at.number + 1, at.level + done, jnp.where(done, 0.0, share), kernels)

    found = jax.lax.while_loop(wanted, closer, start)
    return jax.lax.stop_gradient(_proposal(found.kernels, last or sizes.last, sizes.times, about))


class _Round(NamedTuple):
    """Rounds and levels so far, share of samples that counted at the same level before, the mixture to sample next."""

    number: Int[Array, ""]
    level: Int[Array, ""]
    share: Float[Array, ""]
    kernels: Kernels


def _power(samples: Samples, spacing_km: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The power of weights, `FLATTER` at most, by which enough samples count, and the share that count without it.

    With a power below one the next proposal lies between this one and the density (as annealing does; Neal 2001,
    Statistics and Computing 11). A density no larger than the spacing may collapse to a few samples, since the next
    ones surround these; one that extends over many spacings needs `EFFECTIVE` of all samples to be seen as a whole.
    """
    place = samples.point_km - samples.point_km.mean(0)

    def enough(power: Float[Array, ""]) -> Bool[Array, ""]:
        weight = jax.nn.softmax(power * samples.log_weight)
        spread_km2 = (weight @ place**2 - (weight @ place) ** 2).sum()
        needed = EFFECTIVE * jnp.minimum(1.0, spread_km2 / (2 * spacing_km) ** 2)
        return 1 / (weight**2).sum() >= needed * len(weight)

    powers = jnp.asarray(FLATTER * np.append(np.geomspace(0.01, 0.8, 12), 1.0))
    passed = jax.vmap(enough)(powers)
    weight = jnp.exp(samples.log_weight)
    return jnp.where(passed, powers, powers[0]).max(), 1 / (weight**2).sum() / len(weight)


def evaluate(log_density: LogDensity, proposal: Proposal, spacing_km: Float[Array, ""] | float = 0.0) -> Cloud:
    """Probabilities of samples; derivatives flow through the density, not through the samples' places."""
    value = log_density(proposal.point_km, proposal.origin_s, jnp.asarray(spacing_km))
    step_s = proposal.origin_s[:, 1] - proposal.origin_s[:, 0]
    value = value + (jnp.log(step_s) - proposal.log_density)[:, None]
    return Cloud(proposal.point_km, proposal.origin_s, value - logsumexp(value), proposal.log_density)


def components(cloud: Cloud, floor_km: Float[Array, " 2"]) -> Components:
    """Samples as a Gaussian mixture: one component for each, as wide as the density nearby allows.

    Components are wider by `floor_km`, the error of horizontal position and of depth that no arrival time tells of.
    """
    kernels = _best(cloud)
    number = len(kernels.log_weight)
    row_s = (kernels.slope_s_km[:, None] * jnp.swapaxes(kernels.tril_km, 1, 2)).sum(-1)
    tril = jnp.zeros((number, 4, 4)).at[:, :3, :3].set(kernels.tril_km)
    tril = tril.at[:, 3].set(jnp.concatenate([row_s, kernels.origin_sd_s[:, None]], -1))
    floor = jnp.array([floor_km[0], floor_km[0], floor_km[1], 1e-3])
    cov = (tril[:, :, None] * tril[:, None]).sum(-1) + jnp.diag(floor**2)
    mean = jnp.concatenate([kernels.mean_km, kernels.origin_s[:, None]], -1)
    return Components(kernels.log_weight, mean, lower_cholesky(cov))


def _best(cloud: Cloud) -> Kernels:
    """The Gaussians under which samples are likeliest, each without its own (likelihood cross-validation, Duin 1976).

    Fewer neighbours must be worth `WORTH` each time: their density is rougher, which samples show less than its tails.
    """
    samples = _samples(cloud)
    some = slice(None, None, -(-len(cloud.point_km) // COMPARED))
    weight = jax.nn.softmax(samples.log_weight[some])

    def made(neighbours: Float[Array, ""]) -> tuple[Kernels, Float[Array, ""]]:
        kernels = local_gaussians(samples, neighbours)
        log_weight, mean_km, tril_km = jax.lax.stop_gradient(kernels[:3])
        whole = _log_mixture(log_weight, mean_km, tril_km, cloud.point_km[some])
        white = (lower_inverse(tril_km[some]) * (cloud.point_km - mean_km)[some, None]).sum(-1)
        scale = jnp.log(jnp.diagonal(tril_km[some], axis1=1, axis2=2)).sum(-1)
        own = log_weight[some] - scale - 0.5 * (white**2).sum(-1)
        return kernels, weight @ (whole + jnp.log1p(-jnp.exp(jnp.minimum(own - whole, -1e-3))))

    if len(cloud.point_km) <= COMPARED * 2:  # while learning
        return local_gaussians(samples, NEIGHBOURS[1])

    def better(at: tuple[Int[Array, ""], Kernels, Array, Array]) -> tuple[Int[Array, ""], Kernels, Array, Array]:
        kernels, likelihood = made(jnp.array(NEIGHBOURS)[at[0]])
        gain = likelihood - at[2] > WORTH
        return at[0] + 1, jax.tree.map(lambda a, b: jnp.where(gain, a, b), kernels, at[1]), likelihood, gain

    # One trial in the loop's body alone: what is written twice is compiled twice.
    none = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(made, jnp.zeros(()))[0])
    start = (jnp.zeros((), int), none, jnp.array(-jnp.inf), jnp.ones((), bool))
    return jax.lax.while_loop(lambda at: at[3] & (at[0] < len(NEIGHBOURS)), better, start)[1]


def mean_of(cloud: Cloud) -> Float[Array, " 4"]:
    """Mean hypocentre and origin time."""
    mass = jnp.exp(cloud.log_mass)
    return jnp.concatenate([mass.sum(-1) @ cloud.point_km, (mass * cloud.origin_s).sum()[None]])


def _samples(cloud: Cloud) -> Samples:
    """Origin time integrated out at each place."""
    given_place = jax.nn.softmax(cloud.log_mass, -1)  # safe, with its derivatives, where there is no mass
    mean_s = (given_place * cloud.origin_s).sum(-1)
    step_s = cloud.origin_s[:, 1] - cloud.origin_s[:, 0]
    variance_s2 = jnp.maximum((given_place * (cloud.origin_s - mean_s[:, None]) ** 2).sum(-1), step_s**2 / 12)
    return Samples(cloud.point_km, logsumexp(cloud.log_mass, -1), mean_s, variance_s2)


def _in(about: About | None, samples: Samples, power: Float[Array, ""] | float) -> Samples:
    """Samples in other coordinates, with a power of their weights."""
    log_weight = jax.nn.log_softmax(power * samples.log_weight)
    return samples._replace(point_km=from_km(about, samples.point_km), log_weight=log_weight)


def _first(log_density: LogDensity, region: Region, sizes: tuple[int, int, int, int]) -> tuple[Cloud, Float[Array, ""]]:
    """A regular grid over the region, and its largest spacing in km."""
    step = [(high - low) / n for (low, high), n in zip(region, sizes, strict=True)]
    axes = [low + d * (jnp.arange(n) + 0.5) for (low, _), d, n in zip(region, step, sizes, strict=True)]
    points = jnp.stack(jnp.meshgrid(*axes[:3], indexing="ij"), -1).reshape(-1, 3)
    origin_s = jnp.broadcast_to(axes[3], (len(points), sizes[3]))
    spacing_km = jnp.stack([jnp.asarray(d) for d in (*step[:3], step[3] * FASTEST_KM_S)]).max()
    return evaluate(log_density, Proposal(points, jnp.zeros(len(points)), origin_s), spacing_km), spacing_km


def _around(cloud: Cloud, spacing_km: Float[Array, ""], number: int) -> Kernels:
    """`number` components as wide as the spacing, about the likeliest points of a regular grid."""
    samples = _samples(cloud)
    padded = jax.tree.map(lambda x: jnp.pad(x, [(0, max(0, number - len(x)))] + [(0, 0)] * (x.ndim - 1)), samples)
    log_weight = jnp.where(jnp.arange(len(padded.log_weight)) < len(samples.log_weight), padded.log_weight, -jnp.inf)
    log_weight, top = jax.lax.top_k(log_weight, number)
    sd_s = jnp.sqrt(padded.variance_s2[top] + (WITHIN * spacing_km / FASTEST_KM_S) ** 2)
    tril = jnp.broadcast_to(WITHIN * spacing_km * jnp.eye(3), (number, 3, 3))
    flat = jnp.zeros((number, 3))
    return Kernels(log_weight, padded.point_km[top], tril, padded.origin_s[top], flat, sd_s)


def _proposal(kernels: Kernels, number: int, times: int, about: About | None) -> Proposal:
    """`number` samples of space from a mixture in some coordinates, and the origin times that are likely at each."""
    log_weight = jax.nn.log_softmax(kernels.log_weight)
    tril_km = WIDER * kernels.tril_km
    share = jnp.cumsum(jnp.exp(log_weight))
    level = (jnp.arange(number) + 0.5) / number * share[-1]
    index = jnp.minimum(jnp.searchsorted(share, level), len(share) - 1)
    offset_km = (tril_km[index] * jnp.asarray(_normals(number))[:, None]).sum(-1)
    place = kernels.mean_km[index] + offset_km
    point_km, log_volume = to_km(about, place)
    middle_s = kernels.origin_s[index] + (kernels.slope_s_km[index] * offset_km).sum(-1)
    half_s = SPREAD * kernels.origin_sd_s[index]
    origin_s = middle_s[:, None] + half_s[:, None] * jnp.linspace(-1, 1, times)
    log_density = _log_mixture(log_weight, kernels.mean_km, tril_km, place) - log_volume
    return Proposal(point_km, log_density, origin_s)


def _log_mixture(
    log_weight: Float[Array, " part"],
    mean_km: Float[Array, "part 3"],
    tril_km: Float[Array, "part 3 3"],
    point_km: Float[Array, "point 3"],
) -> Float[Array, " point"]:
    """Log-density of a mixture at points, but for a constant."""
    centre = (jnp.exp(log_weight)[:, None] * mean_km).sum(0)
    white = lower_inverse(tril_km)
    start = (white * (mean_km - centre)[:, None]).sum(-1)
    scale = jnp.log(jnp.diagonal(tril_km, axis1=1, axis2=2)).sum(-1)
    place = point_km - centre
    squared = sum((place @ white[:, i].T - start[:, i]) ** 2 for i in range(3))
    return logsumexp(log_weight - scale - 0.5 * squared, axis=-1)


def _normals(number: int) -> Float[np.ndarray, "sample 3"]:
    """Standard normal samples of low discrepancy: the additive recurrence of Roberts (2018)."""
    golden = 1.2207440846057596  # the root of x^4 = x + 1
    uniform = (0.5 + np.outer(np.arange(1, number + 1), golden ** -np.arange(1.0, 4.0))) % 1
    return ndtri(uniform).astype(np.float32)
