"""Geiger's method against grid searches, simulated events, and HYPOINVERSE."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from picked_events import FLAT, NUMBERS, REGION, SD_S, levels_of, observed, simulated, stations
from scipy.stats import binomtest

from jaxloc.geometry import Frame, distance_km, to_km
from jaxloc.io.hypoinverse import position_deg, read_archive
from jaxloc.io.hypoinverse_picks import picks_of_event
from jaxloc.io.hypoinverse_stations import read_crust, read_delays, read_station_lines, sites_of
from jaxloc.locators.geiger import build, geiger
from jaxloc.locators.grid_search import FEW_STATIONS, SPLITS, grid_search, uniform_times
from jaxloc.locators.over_events import over_events
from jaxloc.locators.setup import Setup
from jaxloc.physics.gauss_newton import Problem, climb, weighed
from jaxloc.physics.hypoinverse import Settings, Taper, locate, residual_weight
from jaxloc.physics.layered import layered, travel_time_s, uniform
from jaxloc.physics.pick_errors import PickErrors
from jaxloc.physics.picks_on_cells import Picks, picks_of
from jaxloc.physics.table import table_around
from jaxloc.physics.table_times import table_times

KEY = jax.random.key(0)


def test_regions_cover_from_one_station_to_twelve():
    """Regions of highest density of simulated events: 60 for each number of stations.

    The bounds are those of a binomial test at 1e-3 for each of the 18 counts.
    """
    times, errors = uniform_times(6.0), PickErrors()
    seen, truth, count = simulated(2, times, 60, errors)
    posterior = geiger(times, REGION, FLAT, errors)(KEY, seen)
    assert np.isfinite(posterior.mean).all()
    assert np.isfinite(posterior.covariance).all()
    level = levels_of(posterior, truth)
    for number in NUMBERS:
        for nominal in (0.5, 0.9, 0.95):
            inside = level[count == number] < nominal
            p = binomtest(int(inside.sum()), len(inside), nominal).pvalue
            assert p > 1e-3, (number, nominal, inside.mean())
    # Wide where little is known: one station leaves the epicentre open by more than 10 km.
    sd = np.sqrt(np.diagonal(np.asarray(posterior.covariance), axis1=1, axis2=2))
    assert np.median(sd[count == 1, 0]) > 10 > 1 > np.median(sd[count == 12, 0])


def test_posteriors_are_those_of_a_grid_search():
    """An event for each number of stations, with outliers and errors of travel times, against the exact posterior.

    Means within half a standard deviation, standard deviations within a factor of 1.5: two or three hundred draws of
    effect know a mean to 0.07 and a standard deviation to 5 %, and shells of few stations have heavy tails.
    """
    times, errors = uniform_times(6.0), PickErrors("l2", 0.05, 0.01, 0.02)
    seen, _, count = simulated(5, times, 1, errors)
    found = geiger(times, REGION, FLAT, errors)(KEY, seen)
    exact = over_events(grid_search(times, REGION, FLAT, errors, FEW_STATIONS, SPLITS))(KEY, seen)
    sd, expected = (np.sqrt(np.diagonal(np.asarray(p.covariance), axis1=1, axis2=2)) for p in (found, exact))
    apart = np.abs(np.asarray(found.mean) - np.asarray(exact.mean)) / expected
    assert (apart < 0.5).all(), (count, apart)
    assert (np.abs(np.log(sd / expected)) < np.log(1.5)).all(), (count, sd / expected)


@pytest.mark.slow
def test_depths_do_not_pile_up_at_layers_starts_or_the_surface():
    """Depths of well-recorded events, uniform over 1 to 19 km, in a layered crust: estimates are as uniform.

    Within 0.25 km of a layer's top or of a starting depth lie as many as elsewhere: the count of estimates there is
    that of true depths within four standard deviations of a binomial count.
    """
    model = layered([0.0, 4.0, 9.0, 15.0], [4.8, 5.6, 6.2, 6.9], [2.75, 3.2, 3.55, 3.95])
    station_km = stations(np.random.default_rng(8))
    table = table_around(model, REGION, station_km, 0.5)
    times, errors = table_times(table), PickErrors(outlier=0.02)
    rng = np.random.default_rng(9)
    truth = np.column_stack([rng.uniform(-20, 20, (300, 2)), rng.uniform(1, 19, 300)]).astype(np.float32)
    travel_s = np.asarray(jax.jit(times(jnp.asarray(station_km)))(truth))
    picks_s = travel_s + SD_S * rng.normal(size=travel_s.shape)
    posterior = geiger(times, REGION, FLAT, errors)(KEY, observed(station_km, picks_s, np.ones(picks_s.shape, bool)))
    depth_km = np.asarray(posterior.mean[:, 2])
    starts = 20 * (np.arange(6) + 0.5) / 6
    for place in (*np.asarray(model.top_km)[1:], *starts):
        near = np.abs(depth_km - place) < 0.25
        assert near.sum() < 300 * 0.5 / 18 + 4 * np.sqrt(300 * 0.5 / 18), (place, near.sum())
    z = (depth_km - truth[:, 2]) / np.sqrt(np.asarray(posterior.covariance)[:, 2, 2])
    assert abs(np.sqrt((z**2).mean()) - 1) < 4 / np.sqrt(2 * 300), np.sqrt((z**2).mean())
    draws = np.asarray(posterior.sample(jax.random.key(2), (50,)))[..., 2]
    # Half a cell of depth, at most, reaches out of the region.
    assert ((draws < -0.3) | (draws > 20.3)).mean() < 1e-3


@pytest.mark.parametrize("second_derivatives", [False, True])
def test_exact_picks_are_located_to_a_metre(second_derivatives):
    """From 15 km away, with and without second derivatives; single precision keeps 0.1 ms of these times."""
    times, station_km = uniform_times(6.0), stations(np.random.default_rng(3))
    travel, true_km = times(jnp.asarray(station_km)), jnp.array([4.0, -7.0, 9.0])
    time_s = travel(true_km[None])[0].reshape(-1) + 2.0
    picks = Picks(time_s, jnp.full(24, SD_S), jnp.ones(24, bool))
    low, high = (jnp.array(side) for side in zip(*REGION[:3], strict=True))
    problem = Problem(picks, travel, PickErrors(), low, high, jnp.ones(3), second_derivatives)
    found = jax.jit(lambda start: climb(problem, start, (0.0,) * 15))(jnp.array([-6.0, 5.0, 3.0]))
    np.testing.assert_allclose(found.place_km, true_km, atol=5e-3)
    assert found.origin_s == pytest.approx(2.0, abs=1e-3)
    assert (weighed(problem, found).share == 1).all()


def test_refusals():
    with pytest.raises(ValueError, match="must have kind l2, got 'edt'"):
        geiger(uniform_times(6.0), REGION, FLAT, PickErrors("edt"))
    locator = geiger(uniform_times(6.0), REGION, FLAT)
    seen, _, _ = simulated(1, uniform_times(6.0), 1, PickErrors())
    with pytest.raises(ValueError, match="at least one"):
        locator(KEY, jax.tree.map(lambda x: x[:0], seen))
    with pytest.raises(ValueError, match="must have picks_s"):
        locator(KEY, seen._replace(picks_s=None))


def test_the_ellipsoid_of_hypoinverse_is_a_setting():
    """Twelve stations: within four of its standard deviations of the truth; and no other names."""
    seen, truth, _ = simulated(4, uniform_times(6.0), 4, PickErrors(), numbers=(12,))
    setup = Setup(REGION, np.asarray(seen.station_km[0]), uniform(6.0))
    posterior = build(setup, posterior="hypoinverse")(KEY, seen)
    apart = truth - np.asarray(posterior.mean)
    sd = np.sqrt(np.diagonal(np.asarray(posterior.covariance), axis1=1, axis2=2))
    assert (np.abs(apart) < 4 * sd).all(), (apart, sd)
    with pytest.raises(ValueError, match="posterior must be one of likelihood, hypoinverse, got 'normal'"):
        build(setup, posterior="normal")


def test_hypoinverse_weights_taper_by_a_cosine():
    taper = Taper(4, 0.1, 2.0, 3.0)
    residual_s = jnp.array([0.0, 0.2, -0.25, 0.3, 1.0])
    np.testing.assert_allclose(residual_weight(taper, residual_s, jnp.asarray(0.05)), [1, 1, 0.5, 0, 0], atol=1e-6)


def test_hypoinverse_golden(data_folder):
    """The Geysers event of HYPOINVERSE's test: hypocentre, weights and residuals as printed, error axes to 1 %.

    HYPOINVERSE projects by UTM, 5e-4 apart from geodesic distances at most, which is 0.05 km at 100 km.
    """
    folder = data_folder("hypoinverse_testone")
    event, expected = (read_archive(folder / name)[0] for name in ("testone.phs", "testone.arc"))
    sites, frame = sites_of(read_station_lines(folder / "allseed.sta")), Frame(38.81, -122.82)
    model = read_crust(folder / "gey.crh", 1.78)
    given = picks_of_event(
        event,
        sites,
        frame,
        delays_s=read_delays(folder / "gey4.del"),
        vp_vs=1.78,
        code_weights=(1.0, 0.5, 0.2, 0.1),
        reading_sd_s=0.1,
    )
    settings = Settings(Taper(1, 50.0, 3.0, 6.0), Taper(4, 15.0, 3.5, 7.0), Taper(4, 0.1, 2.0, 3.0), 5.0, 0.1)
    station_km = jnp.asarray(given.observations.station_km)
    low, high = jnp.array([-150.0, -150.0, 0.0]), jnp.array([150.0, 150.0, 50.0])
    picks = jax.tree.map(jnp.asarray, picks_of(given.observations))
    problem = Problem(picks, exact_times(model, station_km), PickErrors(), low, high, jnp.ones(3))
    found = jax.jit(lambda at: locate(problem, at, settings))(station_km)
    east, north = to_km(frame, *position_deg(expected.summary))
    apart_km = np.asarray(found.hypocentre[:3]) - [east, north, expected.summary["depth_km"]]
    assert np.hypot(*apart_km[:2]) < 0.1, apart_km
    assert abs(apart_km[2]) < 0.2, apart_km
    assert found.hypocentre[3] == pytest.approx(expected.summary["origin_s"], abs=0.02)
    assert found.rms_s == pytest.approx(expected.summary["rms_s"], abs=0.006)
    printed = printed_picks(expected, given.codes)
    weight, residual_s = (np.asarray(x).reshape(-1, 2) for x in (found.weight, found.residual_s))
    mask = np.asarray(given.observations.pick_mask)
    assert mask.sum() == 119
    np.testing.assert_allclose(weight[mask], printed[mask, 0], atol=0.03)
    np.testing.assert_allclose(residual_s[mask], printed[mask, 1], atol=0.03)
    axes = np.sqrt(np.linalg.eigvalsh(np.asarray(found.covariance)[:3, :3]))
    np.testing.assert_allclose(axes[::-1], [expected.summary[f"error{i}_km"] for i in (1, 2, 3)], atol=0.006)


def exact_times(model, station_km):
    """First arrivals of a layered model without a table."""
    top, vp, vs = (jnp.asarray(x, jnp.float32) for x in model)

    def travel(place_km):
        away = distance_km(place_km[:, None], station_km)
        one = lambda x, z, r, v: travel_time_s(top, v, x, z, r)
        over = jax.vmap(jax.vmap(one, (0, None, 0, None)), (0, 0, None, None))
        return jnp.stack([over(away, place_km[:, 2], station_km[:, 2], v) for v in (vp, vs)], -1)

    return travel


def printed_picks(event, codes):
    """Weights and residuals of an archive, [station, phase, 2]."""
    values = np.zeros((len(codes), 2, 2))
    for phase in event.phases:
        for j, name in enumerate("ps"):
            if phase[f"{name}_remark"] is not None and (phase[f"{name}_code"] or 0) < 4:
                row = codes.index((phase["network"], phase["site"]))
                values[row, j] = phase[f"{name}_weight"], phase[f"{name}_residual_s"]
    return values
