"""Stations are padded to a few sizes: the posterior stays, and nothing is compiled anew."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.distributions.gaussian_mixture import gaussian_mixture, moments
from jaxloc.distributions.labels import Classes
from jaxloc.locators.over_events import over_events
from jaxloc.locators.padding import over_padded, padded, padded_size, without_padding
from jaxloc.models.model import Model, RegionSearch, Transfer, same_settings
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.predict import checked_locator_of
from jaxloc.types import Method, Posterior, Weights

KEY = jax.random.key(0)


def seen_at(stations):
    return jax.tree.map(lambda x: x[None], cases.observations(stations=stations))


@pytest.mark.parametrize(
    ("stations", "size"), [(1, 4), (4, 4), (5, 8), (10, 12), (12, 12), (13, 16), (17, 24), (25, 32), (33, 48), (65, 96)]
)
def test_sizes(stations, size):
    assert padded_size(stations) == size


def test_work_grows_by_half_at_most():
    assert all(padded_size(n) <= 1.5 * n for n in range(6, 2000))


SLOW = ("arrivals", "single_station", "sp_rule")
TAKE_ANY = [name for name in cases.LOCATORS if name != "neural" and name not in cases.CHAINS]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in TAKE_ANY]
)
def test_a_padded_event_has_the_same_posterior(name):
    """All locators that take any stations; a network of fixed stations is never padded."""
    locator, seen = cases.LOCATORS[name](), cases.batch(2).observations
    more = padded_size(cases.STATIONS + 1)
    plain, with_more = (moments(locator(KEY, each).hypocentre) for each in (seen, padded(seen, more)))
    sd = np.sqrt(np.diagonal(np.asarray(plain[1]), axis1=-2, axis2=-1))
    np.testing.assert_allclose(plain[0] / sd, with_more[0] / sd, atol=1e-2)
    scale = sd[..., None] * sd[:, None]
    np.testing.assert_allclose(plain[1] / scale, with_more[1] / scale, atol=1e-2)


def place(seen):
    """The mean position of the stations, as a posterior."""
    weight = seen.station_mask[:, None] / seen.station_mask.sum()
    middle = jnp.append((seen.station_km * weight).sum(0), 0.0)
    return Posterior(gaussian_mixture(jnp.zeros(1), middle[None], jnp.eye(4)[None]), jnp.zeros((4, 4)), jnp.eye(4))


def test_a_locator_is_compiled_once_for_10_and_12_stations():
    traces = []

    def locate(key, seen):
        traces.append(1)
        return place(seen)

    locator = over_padded(over_events(locate, chunk=2))
    for stations in (10, 12, 9):
        found = locator(KEY, seen_at(stations))
        np.testing.assert_allclose(found.mean[0, :3], seen_at(stations).station_km[0].mean(0), rtol=1e-4, atol=1e-4)
    assert len(traces) == 1


def checked_run(traces):
    """A run of a model of any stations that counts how often it is traced."""

    def locate(weights, seen):
        traces.append(1)
        at = jnp.broadcast_to(seen.station_km[:, :1], (len(seen.station_km), 2))
        return place(seen), ArrivalCheck(jnp.ones(()), at, at, seen.station_mask * 1.0)

    search, transfer = RegionSearch(same_settings, locate), Transfer()
    model = Model(None, None, lambda weights, seen: place(seen), transfer=transfer, search=search)
    method = Method(None, None, lambda key, state, n: Weights(jnp.zeros(n)))
    return Fitted(None, model, method, jnp.zeros(1), 2)


def test_a_trained_run_is_compiled_once_for_10_and_12_stations():
    traces: list[int] = []
    run = checked_locator_of(checked_run(traces))
    for stations in (10, 12):
        posterior, check = run(KEY, seen_at(stations))
        assert check.arrival_s.shape == (1, stations, 2)
        assert check.active.shape == (1, stations)
        assert check.log_evidence.shape == (1,)
        np.testing.assert_allclose(check.arrival_s[0, :, 0], seen_at(stations).station_km[0, :, 0])
        assert posterior.mean.shape == (1, 4)
    assert len(traces) == 1


def test_labels_at_stations_lose_the_padding():
    others = {"polarity": Classes(np.zeros((2, 12, 3, 2))), "magnitude": Classes(np.zeros((2, 3, 2)))}
    posterior = without_padding(Posterior(None, None, None, others), 10)
    assert posterior.others["polarity"].by_draw.shape == (2, 10, 3, 2)
    assert posterior.others["magnitude"].by_draw.shape == (2, 3, 2)


def test_fewer_stations_than_there_are_are_refused():
    with pytest.raises(ValueError, match="size must be at least the number of stations 10, got 8"):
        padded(seen_at(10), 8)
