"""Double differences: hypoDD's published results, known answers, and uncertainties that cover."""

import jax
import numpy as np
import pytest

from jaxloc.geometry import frame_of, to_degrees, to_km
from jaxloc.io import hypodd, hypodd_locations, hypodd_settings, hypodd_times
from jaxloc.locators.double_difference import IterationSet, Settings, double_difference
from jaxloc.physics.differential_times import DifferentialTimes
from jaxloc.physics.double_differences import Links, equations, weights
from jaxloc.physics.layered import layered
from jaxloc.physics.layered_times import layered_times

KEY = jax.random.key(3)
TIMES = layered_times(layered([0.0, 4.0], [4.5, 6.0], [2.6, 3.4]))
ANGLE = np.linspace(0, 2 * np.pi, 13)[:12]
STATIONS = np.stack([20 * np.cos(ANGLE) + 3, 14 * np.sin(ANGLE), np.zeros(12)], -1)
STATIONS[:4, :2] *= 0.3


def example(folder, events="event.sel", elevations=True):
    """Inputs of an example of hypoDD as `double_difference` takes them, and the ids."""
    inputs = hypodd_settings.read_inputs(folder / "hypoDD.inp")
    catalogue, stations = hypodd.read_events(folder / events), hypodd.read_stations(folder / inputs.station_file)
    frame = frame_of(catalogue.latitude_deg, catalogue.longitude_deg)
    place = to_km(frame, *(np.array([station[i] for station in stations]) for i in (1, 2)))
    station_km = np.stack([*place, np.array([-s.elevation_m / 1000 * elevations for s in stations])], -1)
    codes = [station.code for station in stations]
    links = [hypodd_times.links_of(hypodd_times.read_catalogue_times(folder / "dt.ct"), catalogue.id, codes)]
    if inputs.cross_file:
        links.append(hypodd_times.links_of(hypodd_times.read_cross_times(folder / "dt.cc"), catalogue.id, codes))
    settings = Settings(inputs.sets, inputs.solver, inputs.links_catalogue, inputs.air_quakes)
    return (
        layered_times(inputs.velocity),
        station_km,
        hypodd.start_of(catalogue, frame),
        links,
        settings,
        frame,
        catalogue,
    )


def wide(number, own=(0.3, 0.3, 0.5, 0.1)):
    return np.tile(np.diag(np.square(own)), (number, 1, 1))


def pair_differences(number):
    return np.triu_indices(number, 1)


@pytest.fixture(scope="module")
def example_1(data_folder):
    """The 16 events of El Cerrito: catalogue and cross-correlation times, SVD, 13 iterations."""
    folder = data_folder("hypodd_examples") / "example1"
    times, station_km, start, links, settings, frame, _ = example(folder)
    found = double_difference(KEY, times, station_km, start, wide(len(start)), links, settings)
    return found, hypodd_locations.read_locations(folder / "hypoDD.reloc"), frame, start


def test_example_1_as_published(example_1):
    """Within 1 m of the author's locations (their digits say 0.1 m, the projections differ), centroid, rms, errors."""
    found, published, frame, _ = example_1
    place = np.stack([*to_km(frame, published.latitude_deg, published.longitude_deg), published.depth_km], -1)
    assert np.abs(found.hypocentre[:, :3] - place).max() < 0.001
    latitude, longitude = to_degrees(frame, *found.hypocentre[:, :2].T)
    np.testing.assert_allclose([latitude.mean(), longitude.mean()], [37.878075, -122.243950], atol=1e-5)
    assert abs(found.hypocentre[:, 2].mean() - 9.307948) < 1e-4
    last = found.iterations[-1]
    assert (len(found.iterations), last.catalogue_links + last.cross_links) == (13, pytest.approx(3412, abs=3))
    assert last.rms_catalogue_s == pytest.approx(0.0275, abs=1e-4)
    assert last.rms_cross_s == pytest.approx(0.0046, abs=1e-4)
    np.testing.assert_allclose(1960 * found.hypodd_sd[:, :3], published.error_m, rtol=0.05, atol=0.2)
    rms_ms = [1000 * found.iterations[i].rms_catalogue_s for i in range(4)]
    np.testing.assert_allclose(rms_ms, [52.4, 27.2, 23.2, 22.5], atol=0.1)  # hypoDD.log


def test_example_1_posterior(example_1):
    """Relative positions have errors of metres, the common shift that of the starting locations."""
    found, _, _, start = example_1
    one, other = pair_differences(16)
    apart = np.sqrt(np.asarray(found.posterior.difference(one, other).variance))[:, :3]
    assert (apart.mean(0) < [0.012, 0.012, 0.04]).all()
    assert (apart.mean(0) > found.hypodd_sd[:, :3].mean(0)).all()
    shift = np.asarray(found.posterior.jointly).mean(0)[:, :3].std(0)
    np.testing.assert_allclose(shift, [1, 1, 2], rtol=0.15)
    np.testing.assert_allclose(np.asarray(found.posterior.mean)[:, :3].mean(0), start[:, :3].mean(0), atol=0.002)
    difference = np.asarray(found.posterior.mean)[:, :3] - found.hypocentre[:, :3]
    assert (difference.std(0) < apart.mean(0) / 2).all()


def test_example_4_has_true_relative_positions(data_folder):
    """Below 1 m relative to one another, a coordinate; the common shift stays, and the posterior says that it may."""
    folder = data_folder("hypodd_examples") / "example4"
    times, station_km, start, links, settings, frame, _ = example(folder, "event.sel.noise", elevations=False)
    truth = hypodd.read_events(folder / "event.sel")
    true_km = hypodd.start_of(truth, frame)[:, :3]
    found = double_difference(KEY, times, station_km, start, wide(len(start), (0.5, 0.5, 0.5, 0.1)), links, settings)
    error_m = 1000 * (found.hypocentre[:, :3] - true_km)
    assert np.sqrt((error_m.std(0) ** 2).mean()) < 1.0
    assert (error_m.std(0) < [0.5, 0.5, 1.5]).all()
    assert found.iterations[-1].rms_catalogue_s < 0.0006
    mean = np.asarray(found.posterior.mean)[:, :3]
    shift_m = 1000 * (mean - true_km).mean(0)
    sd_m = 1000 * np.asarray(found.posterior.jointly).mean(0)[:, :3].std(0)
    assert np.abs(shift_m).max() > 10
    assert (np.abs(shift_m) < 2 * sd_m).all()
    one, other = pair_differences(len(start))
    assert 1000 * np.sqrt(np.asarray(found.posterior.difference(one, other).variance))[:, :3].max() < 5


def test_example_1_by_default_sets(data_folder):
    """Without hypoDD.inp the same rms and locations within metres: the weight shifts to cross-correlation times."""
    folder = data_folder("hypodd_examples") / "example1"
    times, station_km, start, links, _, frame, _ = example(folder)
    found = double_difference(KEY, times, station_km, start, wide(len(start)), links, Settings(solver="svd"))
    published = hypodd_locations.read_locations(folder / "hypoDD.reloc")
    place = np.stack([*to_km(frame, published.latitude_deg, published.longitude_deg), published.depth_km], -1)
    assert found.iterations[-1].rms_cross_s == pytest.approx(0.0046, abs=3e-4)
    assert found.iterations[-1].rms_catalogue_s == pytest.approx(0.0275, abs=1e-3)
    # hypoDD's standard errors are 2, 2 and 7 m.
    assert (np.abs(centred(found.hypocentre[:, :3] - place)).max(0) < [0.004, 0.004, 0.014]).all()


def synthetic(seed, number=40, pick_sd=0.02, spread=0.7, start_sd=(0.3, 0.3, 0.3, 0.05)):
    """A cluster, picks with errors at all stations, differences of each event with all others, wrong starts."""
    rng = np.random.default_rng(seed)
    truth = np.column_stack([rng.normal(0, spread, (number, 2)), rng.normal(8, spread / 2, number), np.zeros(number)])
    place = jax.numpy.asarray(truth[:, :3], jax.numpy.float32)
    picks = np.asarray(TIMES(jax.numpy.asarray(STATIONS, jax.numpy.float32))(place), float)
    picks = picks + rng.normal(0, pick_sd, picks.shape)
    one, other = pair_differences(number)
    first, station, phase = (x.ravel() for x in np.meshgrid(np.arange(len(one)), range(12), range(2), indexing="ij"))
    ends = one[first], other[first]
    seen = picks[ends[0], station, phase] - picks[ends[1], station, phase]
    times = DifferentialTimes(*ends, station, phase, seen, np.full(len(seen), 0.03))
    start = truth + rng.normal(0, 1, truth.shape) * start_sd
    return truth, start, times


PLAIN = (IterationSet(3, (1.0, 1.0), damping=1.0),)


def centred(hypocentre):
    return hypocentre - hypocentre.mean(0)


@pytest.mark.parametrize("solver", ["svd", "lsqr"])
def test_exact_data_give_exact_relative_positions(solver):
    """Without errors of picks relative positions are those of the truth, to metres for the wrong common shift."""
    truth, start, times = synthetic(1, 12, 0.0)
    settings = Settings(PLAIN, solver)
    found = double_difference(KEY, TIMES, STATIONS, start, wide(12), [Links("catalogue", times)], settings)
    assert np.abs(centred(found.hypocentre)[:, :3] - centred(truth)[:, :3]).max() < 0.15 * np.abs(start - truth).mean()
    assert found.lost == {}
    assert np.isnan(found.hypodd_sd).all() == (solver == "lsqr")


def test_solvers_agree():
    """SVD and damped LSQR, which lets the centroid drift, differ by less than the error of a difference."""
    truth, start, times = synthetic(2, 15)
    settings = [Settings((IterationSet(6, (1.0, 1.0), damping=10.0),), solver) for solver in ("svd", "lsqr")]
    links = [Links("catalogue", times)]
    found = [double_difference(KEY, TIMES, STATIONS, start, wide(15), links, each) for each in settings]
    mean = [np.asarray(each.posterior.mean)[:, :3] for each in found]
    error = np.sqrt(np.asarray(found[0].posterior.difference(np.arange(14), np.arange(1, 15)).variance))[:, :3].mean(0)
    assert (np.abs(centred(mean[0]) - centred(mean[1])).max(0) < error).all()
    assert (np.abs(centred(mean[0]) - centred(truth)[:, :3]).mean(0) < 2 * error).all()


def test_differences_cover():
    """z scores of the differences of neighbours have the variance one: links of one pick are not independent."""
    scores = []
    for seed in range(6):
        truth, start, times = synthetic(seed)
        settings = Settings(PLAIN, "lsqr", draws=400)
        start_covariance = wide(40, (0.3, 0.3, 0.3, 0.05))
        found = double_difference(KEY, TIMES, STATIONS, start, start_covariance, [Links("catalogue", times)], settings)
        difference = found.posterior.difference(np.arange(0, 40, 2), np.arange(1, 40, 2))
        error = (truth[0::2] - truth[1::2]) - np.asarray(difference.mean)
        whitened = np.linalg.solve(np.linalg.cholesky(np.asarray(difference.covariance_matrix)), error[..., None])
        scores.append(whitened[..., :3, 0])
    squares = np.square(scores)
    # 360 squares of standard normals, of which pairs of a batch are nearly independent: mean 1, error sqrt(2 / 360)
    assert abs(squares.mean() - 1) < 4 * np.sqrt(2 / squares.size)


def test_default_sets_use_precise_times():
    """With differences of 1 ms by cross-correlation, relative errors are far below those of picks of 20 ms."""
    squares, errors = [], {"default": [], "equal": []}
    for seed in range(3):
        truth, start, times = synthetic(seed, 30)
        exact = synthetic(seed, 30, pick_sd=0.0)[2]
        near = np.linalg.norm(truth[exact.first, :3] - truth[exact.second, :3], axis=1) < 1.5
        cross = DifferentialTimes(*(np.asarray(column)[near] for column in exact))
        noise_s = np.random.default_rng(seed + 50).normal(0, 0.001, near.sum())
        cross = cross._replace(time_s=cross.time_s + noise_s)
        links = [Links("catalogue", times), Links("cross_correlation", cross, np.ones(near.sum()))]
        own = wide(30, (0.3, 0.3, 0.3, 0.05))
        for name, sets in (("default", None), ("equal", (IterationSet(8, residual_catalogue=6.0),))):
            found = double_difference(KEY, TIMES, STATIONS, start, own, links, Settings(sets, draws=300))
            one, other = np.arange(0, 30, 2), np.arange(1, 30, 2)
            difference = found.posterior.difference(one, other)
            error = (truth[one] - truth[other]) - np.asarray(difference.mean)
            errors[name].append(np.abs(error[:, :3]))
            if name == "default":
                squares.append((error**2 / np.asarray(difference.variance))[:, :3])
    assert np.median(errors["default"]) < 0.5 * np.median(errors["equal"])
    # 135 dependent squares: standard errors, stated by draws, within a factor of two.
    assert 0.25 < np.mean(squares) < 4


def test_weights_of_hypodd():
    """Bi-power of distance, bicube of residuals; the cutoff is a factor of their MAD, or seconds."""
    first = np.zeros(5, int)
    times = DifferentialTimes(first, first + 1, first, np.array([0, 1, 0, 0, 0]), np.zeros(5), np.ones(5))
    residual_s = np.array([0.0, 0.0, 0.1, 0.0, 0.3])
    apart_km = np.array([0.0, 1.0, 0.0, 2.5, 0.0])
    one = IterationSet(1, (1.0, 0.5), 0.2, 2.0)
    found, robust = weights(equations([Links("catalogue", times, np.ones(5))], 2, 1), residual_s, apart_km, one)
    np.testing.assert_allclose(found, [1, 0.5 * (1 - 1 / 8) ** 3, (1 - 1 / 8) ** 3, 0, 0])
    assert robust[4] == 0
    cross = equations([Links("cross_correlation", times, np.ones(5))], 2, 1)
    found, _ = weights(cross, residual_s, apart_km, IterationSet(1, distance_cross_km=2.0))
    np.testing.assert_allclose(found[1], 0.5 * (1 - 1 / 32) ** 5)


@pytest.mark.parametrize("rule", ["remove", "reset"])
def test_air_quakes(rule):
    """An event that comes above the ground is removed with the reason, or keeps its depth."""
    truth, start, times = synthetic(4, 10, spread=0.4)
    time_s = np.array(times.time_s)
    for event, sign in ((times.first, 1), (times.second, -1)):  # picks of event 3 are those of a source in the air
        late = (event == 3) & (np.asarray(times.phase) >= 0)
        high = np.array([*truth[3, :2], -2.0])
        at = jax.numpy.asarray(STATIONS, jax.numpy.float32)
        both = [np.asarray(TIMES(at)(jax.numpy.asarray(x[None], jax.numpy.float32)))[0] for x in (high, truth[3, :3])]
        time_s[late] += sign * (both[0] - both[1])[times.station[late], times.phase[late]]
    start[3, 2] = 0.5
    settings = Settings(PLAIN, "lsqr", air_quakes=rule)
    links = [Links("catalogue", times._replace(time_s=time_s))]
    found = double_difference(KEY, TIMES, STATIONS, start, wide(10), links, settings)
    assert sum(each.air_quakes for each in found.iterations) >= 1
    if rule == "remove":
        assert found.lost == {3: "came above the ground (air quake)"}
        assert [each.updated for each in found.iterations].count(False) == 1
        assert found.iterations[-1].events == 9
        np.testing.assert_array_equal(found.hypocentre[3], start[3])
    else:
        assert found.lost == {}
        assert found.hypocentre[3, 2] >= 0


def test_events_without_links_keep_their_start():
    """The reason is given, and the posterior is the starting error with the common one."""
    _, start, times = synthetic(5, 10)
    far = np.vstack([start, [[50.0, 0, 8, 0]]])
    settings = Settings(PLAIN, "lsqr", common_sd=(0.4, 0.4, 0.4, 0.1), draws=2000)
    found = double_difference(KEY, TIMES, STATIONS, far, wide(11), [Links("catalogue", times)], settings)
    assert found.lost == {10: "no differential time"}
    np.testing.assert_allclose(found.posterior.mean[10], far[10], atol=1e-4)
    sd = np.sqrt(np.diagonal(np.asarray(found.posterior.covariance[10])))
    np.testing.assert_allclose(sd, np.hypot([0.3, 0.3, 0.5, 0.1], [0.4, 0.4, 0.4, 0.1]), rtol=0.1)


WRONG = {
    "solver": (dict(settings=Settings(PLAIN, "qr")), "solver must be one of svd, lsqr, got 'qr'"),
    "air quakes": (dict(settings=Settings(PLAIN, air_quakes="keep")), "air_quakes must be one of"),
    "start": (dict(start=np.full((4, 4), np.nan)), "starting hypocentres must be finite"),
    "covariance": (dict(start_covariance=np.zeros((4, 4, 4))), "start_covariance must be positive definite"),
    "clusters": (dict(settings=Settings(PLAIN, cluster_links=50)), "no pair of events has 50 links"),
    "event": (dict(links=(9, 1)), "name event 9; there are 4"),
    "itself": (dict(links=(1, 1)), "linked with itself"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_inputs(name):
    """What cannot be is refused, with the value and what would be right."""
    change, message = WRONG[name]
    _, start, times = synthetic(6, 4)
    if "links" in change:
        one, other = np.array(times.first), np.array(times.second)
        one[0], other[0] = change.pop("links")
        times = times._replace(first=one, second=other)
        change = {}
    given = {"start": start, "start_covariance": wide(4), "settings": Settings(PLAIN)} | change
    with pytest.raises(ValueError, match=message):
        double_difference(KEY, TIMES, STATIONS, links=[Links("catalogue", times)], **given)
