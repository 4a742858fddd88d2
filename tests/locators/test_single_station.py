"""Networks of one station over all stations of an event, and their posteriors together against known products."""

from functools import partial

import cases
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from marks import slow_if

from jaxloc.distributions.gaussian_mixture import HypocentreMixture, covariance, gaussian_mixture, mean
from jaxloc.heads import gaussian
from jaxloc.heads import labels as label_heads
from jaxloc.locators.single_station import log_product, single_station
from jaxloc.networks.flax_adapter import bind
from jaxloc.per_station import AtStation, each_station, over_stations, placed
from jaxloc.physics.adaptive_grid import Region
from jaxloc.types import Label, Network, Weights

REGION = Region((-40.0, 40.0), (-40.0, 40.0), (0.0, 30.0), (-5.0, 15.0))
PRIOR_MEAN, PRIOR_SD = jnp.array([2.0, -3.0, 12.0, 4.0]), jnp.array([15.0, 12.0, 6.0, 3.0])
PRIOR = gaussian_mixture(jnp.zeros(1), PRIOR_MEAN[None], jnp.diag(PRIOR_SD)[None])
STATIONS = 3
FLAT = gaussian.gaussian(np.zeros(4), np.ones(4))


class Mean(nn.Module):
    """A dense layer of the log power of each component."""

    size: int

    @nn.compact
    def __call__(self, observations):
        return nn.Dense(self.size)(jnp.log((observations.waveforms[0] ** 2).mean(-1) + 1e-30))


def seen(number=STATIONS):
    return cases.observations(stations=number, samples=16)


def weights_of(network, draws=2):
    params = quick_jit(network.init)(jax.random.key(0), seen())
    return Weights(jax.tree.map(lambda x: jnp.stack([x * (1 - 0.1 * i) for i in range(draws)]), params))


def test_each_station_is_seen_by_itself():
    single = bind(Mean(5))
    network = each_station(single)
    params = network.init(jax.random.key(0), seen())
    one = seen()._replace(waveforms=seen().waveforms.at[1].set(0.0))
    said = network.apply(Weights(params), one)
    assert said.raw.shape == (STATIONS, 5)
    np.testing.assert_array_equal(said.active, [True, False, True])
    np.testing.assert_array_equal(said.station_km, one.station_km)
    alone = jax.tree.map(lambda x: x[2:3] if jnp.ndim(x) else x, one)
    np.testing.assert_allclose(said.raw[2], single.apply(Weights(params), alone), rtol=1e-5)
    assert network.features is not None
    assert np.isfinite(network.features(Weights(params), one)).all()


def test_likelihoods_add_up_over_active_stations():
    head = placed(lambda station_km: label_heads.joint(FLAT, label_heads.categorical()), 16)
    raw = AtStation(jax.random.normal(jax.random.key(0), (3, 16)), jnp.zeros((3, 3)), jnp.array([1.0, 0.0, 1.0]))
    full = lambda x: Label(jnp.array(x, jnp.float32), jnp.ones(np.shape(x), bool))
    labels = {"hypocentre": full([0.1, 0.2, 0.3, 0.4]), "is_event": full(1.0), "arrivals": full(np.zeros((3, 2)))}
    one, all_ = quick_jit(head.log_likelihood), quick_jit(over_stations(head).log_likelihood)
    each = [one(jax.tree.map(lambda x, i=i: x[i], raw), labels) for i in range(3)]
    assert each[1] == 0
    np.testing.assert_allclose(all_(raw, labels), each[0] + each[2], rtol=1e-5)


def gaussians(key, number):
    """Stations' posteriors: sharper than the prior in every direction, so that their product is a density."""
    a = jax.random.normal(key, (number, 4, 4)) * jnp.array([3.0, 3.0, 3.0, 1.0])[:, None] * 0.4
    own = jnp.linalg.cholesky(a @ jnp.swapaxes(a, 1, 2) + jnp.diag(jnp.array([3.0, 3.0, 2.0, 0.5]) ** 2))
    centre = PRIOR_MEAN + jax.random.normal(jax.random.fold_in(key, 1), (number, 4)) * jnp.array([3.0, 3.0, 2.0, 0.5])
    return centre, own


def product(centre, own, active, share=1.0):
    """Mean and covariance of the product over the prior to the power of the number less one."""
    information = lambda tril: np.linalg.inv(np.asarray(tril @ tril.T, float))
    prior = information(jnp.diag(PRIOR_SD))
    total, pull = prior.copy(), prior @ np.asarray(PRIOR_MEAN, float)
    for m, tril, lives in zip(np.asarray(centre, float), own, active, strict=True):
        if lives:
            total += share * (information(tril) - prior)
            pull += share * (information(tril) @ m - prior @ np.asarray(PRIOR_MEAN, float))
    return np.linalg.solve(total, pull), np.linalg.inv(total)


@pytest.mark.parametrize(
    ("active", "correlation"), slow_if([((1, 1, 1), 0.0)], [((1, 1, 1), 0.0), ((1, 0, 1), 0.0), ((1, 1, 1), 0.5)])
)
def test_stations_together_are_the_product_over_the_prior(active, correlation):
    """Known for Gaussians: means well within the spread; the last lattice widens variances of origin time by 7 %."""
    centre, own = gaussians(jax.random.key(3), STATIONS)
    said = AtStation(
        jnp.concatenate([centre, own.reshape(STATIONS, 16)], -1), jnp.zeros((3, 3)), jnp.array(active, jnp.float32)
    )
    network = Network(lambda key, o: {}, lambda weights, o: said._replace(raw=said.raw + weights.params["shift"]))

    def head_of(raw):
        return {"hypocentre": gaussian_mixture(jnp.zeros(1), raw.raw[None, :4], raw.raw[4:].reshape(1, 4, 4))}

    head = FLAT._replace(distribution=head_of)
    locate = single_station(network, head, PRIOR, REGION, correlation=correlation)
    found = quick_jit(locate)(Weights({"shift": jnp.zeros((1, 1))}), seen())
    want, spread = product(centre, own, active, 1 / (1 + correlation * (sum(active) - 1)))
    sd = np.sqrt(np.diag(spread))
    np.testing.assert_allclose(mean(found.hypocentre) / sd, want / sd, atol=0.02)
    np.testing.assert_allclose(covariance(found.hypocentre) / np.outer(sd, sd), spread / np.outer(sd, sd), atol=0.08)
    assert np.abs(found.epistemic).max() == 0


def test_smoothing_a_product_widens_it_by_the_spacing():
    centre, own = gaussians(jax.random.key(3), 1)
    parts = gaussian_mixture(jnp.zeros((1, 1)), centre[:, None], own[:, None]).parts
    density = partial(log_product(HypocentreMixture(parts), jnp.ones(1), PRIOR), centre[:, :3], centre[:, 3:])
    flat = gaussian_mixture(jnp.zeros(1), centre, own)
    np.testing.assert_allclose(density(jnp.zeros(()))[0, 0], flat.log_prob(centre[0]), rtol=1e-4)
    assert density(jnp.array(20.0)) < density(jnp.zeros(())) - 1


def test_one_station_is_exactly_its_own_mixture_over_draws():
    network = each_station(bind(Mean(16)))
    head = placed(lambda station_km: label_heads.joint(FLAT, label_heads.number(2.0, 1.0, 0.1)), 16)
    weights, one = weights_of(network), jax.tree.map(lambda x: x[:1] if jnp.ndim(x) else x, seen())
    found = quick_jit(single_station(network, head, PRIOR, REGION))(weights, one)
    own = [network.apply(jax.tree.map(lambda x, i=i: x[i], weights), one) for i in range(2)]
    means = jnp.stack([head.distribution(jax.tree.map(lambda x: x[0], raw))["hypocentre"].mean for raw in own])
    np.testing.assert_allclose(found.hypocentre.parts.mean, means, rtol=1e-4)
    np.testing.assert_allclose(found.epistemic, np.cov(np.asarray(means, float).T), rtol=1e-3, atol=1e-5)
    whole = covariance(found.hypocentre)
    np.testing.assert_allclose(found.epistemic / 2 + found.aleatoric, whole, rtol=1e-3, atol=1e-4)
    assert found.others["magnitude"].epistemic > 0


def test_labels_are_averaged_over_active_stations():
    network = each_station(bind(Mean(18)))
    head = placed(
        lambda station_km: label_heads.joint(FLAT, label_heads.categorical(), label_heads.number(2.0, 1.0, 0.1)), 18
    )
    weights, many = weights_of(network, 1), seen()
    many = many._replace(station_mask=jnp.array([True, True, False]))
    found = quick_jit(single_station(network, head, PRIOR, REGION))(weights, many).others
    said = network.apply(jax.tree.map(lambda x: x[0], weights), many)
    each = [head.distribution(jax.tree.map(lambda x, i=i: x[i], said)) for i in range(2)]
    np.testing.assert_allclose(found["is_event"].probability, sum(e["is_event"].probs for e in each) / 2, rtol=1e-4)
    means = np.array([e["magnitude"].mean for e in each])
    np.testing.assert_allclose(found["magnitude"].mean, means.mean(), rtol=1e-4)
    want = np.mean([e["magnitude"].variance for e in each]) + means.var()
    np.testing.assert_allclose(found["magnitude"].aleatoric, want, rtol=1e-4)


def test_a_correlation_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"got 1\.5"):
        single_station(bind(Mean(14)), FLAT, PRIOR, REGION, correlation=1.5)
