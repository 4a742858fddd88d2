"""The simulator: known answers for its physics, and the promises of its data set."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from jax import random

from jaxloc.data.dataset import positions_km
from jaxloc.geometry import distance_km
from jaxloc.physics.layered import layered
from jaxloc.physics.spherical import first_arrivals_s
from jaxloc.simulation.events import (
    DEFAULT_FRAME,
    quick_start,
    random_network,
    simulate_event,
    simulated_dataset,
    stream,
)
from jaxloc.simulation.propagation import Path, draw_earth, shear_axes, spreading, trace_rays
from jaxloc.simulation.recording import Noise, Recording, draw_noise
from jaxloc.simulation.seismograms import Simulation, draw_truth
from jaxloc.simulation.sources import Source, around, box, corner_hz, double_couple, gutenberg_richter, radiation

KEY = random.key(7)
RECORDING = Recording(50.0, 2000, (1.0, 15.0), origin_s=5.0, origin_sd_s=0.5)
EXACT = Path(gain_sd=0.0, component_sd=0.0, event_gain_sd=0.0, delay_sd_s=0.0, slowness_sd=0.0, jitter_sd_s=(0.0, 0.0))
QUIET = Noise(level_m_s=1e-14, silent_station=0.0, missing_component=0.0, burst_rate=0.0, spike_rate=0.0)
# As many layers as the default model, so that nothing is compiled twice.
ONE_SPEED = layered([0.0, 2.0, 8.0, 20.0, 38.0], [6.0] * 5, [3.468] * 5)
BARE = EXACT._replace(free_time_s=1e9, coda_level=0.0, surface_level=0.0, conversion=0.0)


def stations(num=8, aperture_km=80.0):
    return random_network(random.key(1), num, aperture_km)


def station_km(num=8):
    return jnp.asarray(positions_km(DEFAULT_FRAME, stations(num)))


def quiet(path=EXACT, noise=QUIET):
    return quick_start()._replace(path=path, noise=noise, recording=RECORDING)


@pytest.fixture(scope="module")
def dataset():
    return simulated_dataset(KEY, quick_start()._replace(recording=RECORDING), stations(), DEFAULT_FRAME, 40)


@pytest.fixture(scope="module")
def clean():
    """Sixteen events without noise, with scattering."""
    return jax.jit(stream(KEY, quiet(), station_km()), static_argnums=1)(random.key(3), 16)


def onset_s(trace, rate_hz, near_s):
    """Largest ratio of 0.1 s after to 0.5 s before, within a second of a time."""
    power = np.concatenate([[0.0], np.cumsum(trace.astype(float) ** 2)])
    short, long = int(0.1 * rate_hz), int(0.5 * rate_hz)
    at = np.arange(int((near_s - 1) * rate_hz), int((near_s + 1) * rate_hz))
    after = (power[at + short] - power[at]) / short
    before = (power[at] - power[at - long]) / long
    return at[np.argmax(after / (before + 1e-6 * after.max()))] / rate_hz


def test_p_onsets_are_at_the_labelled_times(clean):
    waveforms, arrivals = np.asarray(clean.observations.waveforms), clean.labels["arrivals"]
    errors = [
        onset_s(waveforms[e, s, 0], 50.0, arrivals.value[e, s, 0]) - arrivals.value[e, s, 0]
        for e in range(16)
        for s in range(8)
        if arrivals.mask[e, s, 0]
    ]
    assert np.mean(np.abs(errors) < 0.2) > 0.95
    assert abs(np.median(errors)) < 0.1


def test_hardly_anything_comes_before_p(clean):
    waveforms, p_s = (
        np.asarray(clean.observations.waveforms),
        np.asarray(clean.labels["arrivals"].value[..., :1]),
    )
    second = np.arange(2000) / 50.0
    early = np.abs(waveforms * (second < p_s - 0.2)[:, :, None]).max((2, 3))
    peak = np.abs(waveforms[:, :, 0] * ((second >= p_s) & (second < p_s + 2))).max(-1)
    # Absorption is causal only nearly: 0.4 % of the P peak is the most among 128 traces.
    assert (early < 0.01 * peak).all()


def test_horizontal_energy_rises_at_s(clean):
    waveforms, arrivals = np.asarray(clean.observations.waveforms), np.asarray(clean.labels["arrivals"].value)
    second = np.arange(2000) / 50.0
    power = (waveforms[:, :, 1:] ** 2).sum(2)
    s_s = arrivals[..., 1, None]
    rise = (power * ((second > s_s) & (second < s_s + 0.5))).sum(-1) / (
        power * ((second < s_s) & (second > s_s - 0.5))
    ).sum(-1)
    assert np.median(rise) > 3.0


def test_s_minus_p_is_travel_time(clean):
    model, here = quick_start().model, station_km()
    hypocentre, arrivals = clean.labels["hypocentre"].value[2], clean.labels["arrivals"].value[2]
    exact = jax.jit(jax.vmap(lambda s: first_arrivals_s(model, distance_km(hypocentre[:3], s), hypocentre[2], s[2])))
    times = exact(here).T
    # The simulator's twelve thin layers err by up to 4 ms (P) and 7 ms (S) against the eighty here.
    np.testing.assert_allclose(arrivals[:, 1] - arrivals[:, 0], times[1] - times[0], atol=7e-3)
    np.testing.assert_allclose(arrivals[:, 0], hypocentre[3] + times[0], atol=4e-3)


@pytest.mark.parametrize(("distance_km", "gain"), [(10.0, 0.1), (20.0, 0.05), (70.0, 1 / 70), (280.0, 0.5 / 70)])
def test_spreading_is_inverse_distance_then_slower(distance_km, gain):
    path = Path(spreading=(1.0, 0.5), spreading_change_km=70.0)
    np.testing.assert_allclose(spreading(jnp.asarray([distance_km]), path), [gain], rtol=1e-5)


def test_amplitude_falls_with_distance_as_spreading():
    path = BARE._replace(q_s=1e9, kappa_s=1e-6, surface_speed_km_s=(1e3, 1e3))
    here = jnp.zeros((8, 3)).at[:, 0].set(jnp.asarray([20.0, 40.0] * 4))
    at = box((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    source = Source(smear=1.0)  # the same power everywhere
    simulation = Simulation(at, ONE_SPEED, source, path, QUIET, RECORDING)
    waveforms = quick_jit(lambda at: simulate_event(KEY, simulation, at).observations.waveforms)(here)
    energy = np.sqrt((np.asarray(waveforms) ** 2).sum((1, 2)))
    assert energy[0] / energy[1] == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(("degrees", "p", "sh"), [(0, 0.0, 1.0), (45, 1.0, 0.0), (90, 0.0, -1.0)])
def test_radiation_has_nodal_planes_and_unit_maximum(degrees, p, sh):
    moment = jnp.zeros((3, 3)).at[0, 1].set(1.0).at[1, 0].set(1.0)  # vertical strike slip
    ray = jnp.asarray([np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees)), 0.0])
    got = radiation(moment, ray, *shear_axes(ray))
    np.testing.assert_allclose(got[0], p, atol=1e-6)
    np.testing.assert_allclose(abs(got[2]), abs(sh), atol=1e-6)


def test_radiation_averages_over_the_sphere():
    rays = random.normal(KEY, (20000, 3))
    rays = rays / jnp.linalg.norm(rays, axis=-1, keepdims=True)
    moment = double_couple(random.key(2))
    power = jax.vmap(lambda r: radiation(moment, r, *shear_axes(r)) ** 2)(rays).mean(0)
    # The standard error of either mean is below 0.002.
    assert power[0] == pytest.approx(4 / 15, abs=0.01)
    assert power[1] + power[2] == pytest.approx(2 / 5, abs=0.01)


def test_p_moves_along_the_ray_and_s_across():
    simulation = quiet(BARE)
    both = quick_jit(lambda at: (draw_truth(KEY, simulation, at), simulate_event(KEY, simulation, at)))
    truth, event = both(station_km())
    waveforms = np.asarray(event.observations.waveforms)
    for phase, limit in ((0, 0.99), (1, 0.1)):
        for s in range(8):
            start = int(truth.arrivals_s[s, phase] * 50) + 1
            window = waveforms[s, :, start : start + 10]
            motion = np.linalg.svd(window)[0][:, 0]
            east, north, down = np.asarray(truth.rays.arriving[s, phase])
            cosine = abs(motion @ np.array([-down, north, east]))
            assert (cosine > limit) == (phase == 0)


def test_directions_are_unit_and_leave_towards_the_station():
    here = jnp.broadcast_to(jnp.asarray([30.0, 40.0, 0.0]), (8, 3))
    rays = trace_rays(ONE_SPEED, jnp.asarray([0.0, 0.0, 10.0]), here, (6.0, 3.468))
    straight = np.array([30.0, 40.0, -10.0]) / np.sqrt(2600)
    # In a sphere the horizontal turns by 50 km / 6371 km on the way, and thin layers bend the rest by as much.
    np.testing.assert_allclose(rays.leaving[0], [straight, straight], atol=0.02)
    np.testing.assert_allclose(rays.arriving[0], [straight, straight], atol=0.02)


def test_noise_has_the_level_asked_for():
    noise = QUIET._replace(level_m_s=1e-6, station_sd=0.0, event_sd=0.0, component_sd=0.0)
    simulation = quiet(noise=noise)._replace(source=Source((-9.0, -8.9)))
    waveforms = quick_jit(lambda at: simulate_event(KEY, simulation, at).observations.waveforms)(station_km())
    # 24 traces of at least some hundred independent samples each: 2 % or better.
    assert float(jnp.sqrt((waveforms**2).mean())) == pytest.approx(1e-6, rel=0.06)


def test_bursts_raise_noise_only_where_drawn():
    recording, level = Recording(50.0, 2000), jnp.ones(400)
    calm = draw_noise(KEY, QUIET, recording, level, 2048)
    loud = draw_noise(KEY, QUIET._replace(burst_rate=0.25, burst_gain=50.0), recording, level, 2048)
    share = float((jnp.abs(loud - calm).max((1, 2)) > 0).mean())
    assert share == pytest.approx(0.25, abs=0.09)  # four standard errors


def test_silent_channels_are_exactly_zero_and_unlabelled():
    noise = QUIET._replace(level_m_s=1e-8, silent_station=0.4, vertical_only=0.5)
    event = quick_jit(lambda at: simulate_event(KEY, quiet(noise=noise), at))(station_km())
    silent = np.asarray((event.observations.waveforms == 0).all(-1))
    silent_station = silent.all(-1)
    assert 0 < silent_station.sum() < 8
    assert (silent[:, 1] == silent[:, 2]).all()
    assert (silent[:, 1] & ~silent[:, 0]).any()
    assert not np.asarray(event.labels["arrivals"].mask)[silent_station].any()
    assert (np.asarray(event.labels["arrivals"].value)[silent_station] == 0).all()


def test_magnitudes_follow_gutenberg_richter():
    sampled = jax.vmap(lambda k: gutenberg_richter(k, (2.0, 9.0), 1.2))(random.split(KEY, 20000))
    # Aki's estimate of b has a relative standard error of 1 / sqrt(n) = 0.7 %.
    assert 1 / (np.log(10) * float(sampled.mean() - 2.0)) == pytest.approx(1.2, rel=0.03)
    assert float(sampled.min()) >= 2.0


def test_corner_of_magnitude_three():
    # M0 = 10^13.6 N m, 3 MPa, 3.5 km/s: 0.4906 * 3500 * (3e6 / 10^13.6)^(1/3) Hz.
    assert float(corner_hz(jnp.asarray(3.0), jnp.asarray(3.0), jnp.asarray(3.5))) == pytest.approx(7.25, rel=0.01)


def test_kernel_hypocentres_keep_to_the_depth_range():
    sampled = jax.vmap(around(jnp.asarray([[1.0, 2.0, 0.5]]), (1.0, 2.0, 3.0), (0.2, 5.0)))(random.split(KEY, 5000))
    assert sampled[:, 2].min() >= 0.2
    assert sampled[:, 2].max() <= 5.0
    np.testing.assert_allclose(sampled[:, :2].mean(0), [1.0, 2.0], atol=0.15)


def test_ground_differs_between_stations_but_not_between_events():
    earth = draw_earth(KEY, Path(), 500, 0.5)
    assert float(jnp.log(earth.gain).std()) == pytest.approx((0.5**2 + 0.2**2) ** 0.5, rel=0.1)
    assert float(earth.delay_s[:, 0].std()) == pytest.approx(0.15, rel=0.15)


def test_an_event_is_identical_in_any_batch(dataset):
    first, second = dataset.take(np.array([3, 5])), dataset.take(np.array([5, 3]))
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(one, other[::-1])
    many = dataset.take(np.arange(20))
    np.testing.assert_array_equal(many.observations.waveforms[[3, 5]], first.observations.waveforms)


def test_later_events_are_on_the_same_ground(dataset):
    """The sixth event of a data set is the first of one that begins with it, to the last bit."""
    later = simulated_dataset(
        KEY, quick_start()._replace(recording=RECORDING), stations(), DEFAULT_FRAME, 4, {"fresh": 1.0}, first=5
    )
    one, other = dataset.take(np.array([5, 7])), later.take(np.array([0, 2]))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [e.id for e in later.events[:3]] == [e.id for e in dataset.events[5:8]]


def test_a_data_set_describes_its_events(dataset):
    batch = dataset.take(np.arange(4))
    assert batch.observations.waveforms.shape == (4, 8, 3, 2000)
    assert np.isfinite(batch.observations.waveforms).all()
    assert [sum(e.split == s for e in dataset.events) for s in ("train", "dev", "test")] == [32, 4, 4]
    listed = [e.magnitude for e in dataset.events[:4]]
    np.testing.assert_allclose(listed, batch.labels["magnitude"].value, atol=0.006)
    assert len(dataset) == 40
    assert len({e.id for e in dataset.events}) == 40


@pytest.mark.parametrize("index", [[-1], [40], []])
def test_dataset_refuses_events_it_lacks(dataset, index):
    with pytest.raises(ValueError, match="0 to 39"):
        dataset.take(np.array(index, int))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"splits": {"train": 0.5}}, "add up to 1"),
        ({"num_events": 0}, "at least one"),
        ({"simulation": quick_start()._replace(recording=Recording(20.0, 100, (1.0, 15.0)))}, "10.0 Hz"),
    ],
)
def test_dataset_refuses_what_cannot_be(change, words):
    asked = {"simulation": quick_start(), "num_events": 2, "splits": None} | change
    with pytest.raises(ValueError, match=words):
        simulated_dataset(KEY, stations=stations(2), frame=DEFAULT_FRAME, **asked)


def test_network_fits_its_aperture():
    where = positions_km(DEFAULT_FRAME, stations(20, 60.0))
    assert np.linalg.norm(where[:, :2], axis=-1).max() <= 30.01
    assert len({s.code for s in stations(20)}) == 20
    assert stations() == stations()
