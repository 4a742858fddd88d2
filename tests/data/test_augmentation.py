"""Augmentations: waveforms and labels move together, what is gone is masked, what is added has the stated level."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit

from jaxloc.data.augmentation import Augmentation, augment, keep_few, noise_like
from jaxloc.types import Batch, Label, Observations

STATIONS, SAMPLES, RATE_HZ = 6, 400, 20.0
ONSET_S = np.linspace(6.0, 11.0, STATIONS)


def event(noise=0.0):
    """A spike of height a thousand at each station's onset; station 2 has no horizontals, station 5 is padding."""
    waveforms = noise * np.random.default_rng(0).normal(size=(STATIONS, 3, SAMPLES))
    for row, onset in enumerate(ONSET_S):
        waveforms[row, :, round(onset * RATE_HZ)] = 1000.0
    waveforms[2, 1:] = 0
    mask = np.arange(STATIONS) < 5
    arrival_s = np.stack([ONSET_S, ONSET_S + 2], -1)
    known = np.broadcast_to([True, False], (STATIONS, 2)) & mask[:, None]
    single = lambda x: jnp.asarray(x, jnp.float32)
    arrival = Label(single(np.where(known, arrival_s, 0)), jnp.asarray(known))
    seen = Observations(
        single(waveforms * mask[:, None, None]),
        single(np.arange(3 * STATIONS).reshape(STATIONS, 3)),
        jnp.asarray(mask),
        jnp.arange(STATIONS),
        single(RATE_HZ),
        arrival.value,
        jnp.full((STATIONS, 2), 0.1),
        arrival.mask,
    )
    hypocentre = Label(single([1.0, 2.0, 3.0, 4.0]), jnp.ones(4, bool))
    return Batch(seen, {"hypocentre": hypocentre, "arrivals": arrival})


def over_keys(settings, one, number=60):
    keys = jax.random.split(jax.random.key(3), number)
    return quick_jit(jax.vmap(lambda key: augment(key, settings, one)))(keys)


def test_nothing_happens_by_default():
    one = event()
    for got, want in zip(
        jax.tree.leaves(augment(jax.random.key(0), Augmentation(), one)), jax.tree.leaves(one), strict=True
    ):
        np.testing.assert_array_equal(got, want)


def test_a_shift_moves_waveforms_picks_and_labels_together():
    many = over_keys(Augmentation(earlier_s=3.0, later_s=5.0), event())
    spikes_s = np.argmax(many.observations.waveforms[:, :5, 0], -1) / RATE_HZ
    moved_s = spikes_s - np.round(ONSET_S[:5] * RATE_HZ) / RATE_HZ
    np.testing.assert_allclose(moved_s, np.broadcast_to(moved_s[:, :1], moved_s.shape), atol=1e-4)
    moved_s = moved_s[:, 0]
    assert moved_s.min() > -3.03
    assert moved_s.max() < 5.03
    # Uniform over 8 s: the spread of 60 draws is 8 / sqrt(12) within four times its error of 6 per cent.
    assert moved_s.std() == pytest.approx(8 / np.sqrt(12), rel=0.25)
    hypocentre, arrival = many.labels["hypocentre"], many.labels["arrivals"]
    np.testing.assert_allclose(hypocentre.value[:, 3], 4 + moved_s, atol=1e-4)
    np.testing.assert_array_equal(hypocentre.value[:, :3], np.broadcast_to([1, 2, 3], (60, 3)))
    np.testing.assert_allclose(arrival.value[:, :5, 0], ONSET_S[:5] + moved_s[:, None], atol=1e-4)
    np.testing.assert_array_equal(np.asarray(arrival.value)[~np.asarray(arrival.mask)], 0)
    np.testing.assert_array_equal(many.observations.picks_s, arrival.value)


def test_nothing_wraps_round_and_dead_channels_stay_dead():
    """Shifted by up to 15 s of a record of 20 s: what is uncovered is noise of the beginning, no spike twice."""
    many = over_keys(Augmentation(earlier_s=15.0), event(noise=1.0))
    waveforms = np.asarray(many.observations.waveforms)
    assert (waveforms[:, :2] > 500).sum(-1).max() == 1
    gone = (waveforms[:, 0, 0] > 500).sum(-1) == 0
    assert gone.any()
    assert waveforms[gone][:, 0].std() == pytest.approx(1, rel=0.2)
    assert not waveforms[:, 2, 1:].any()
    assert not waveforms[:, 5].any()


def test_dropped_stations_are_zero_and_masked():
    many = over_keys(Augmentation(drop_stations=0.8), event(noise=1.0), 300)
    kept = np.asarray(many.observations.station_mask)
    assert not np.asarray(many.observations.waveforms)[~kept].any()
    assert not np.asarray(many.observations.pick_mask)[~kept].any()
    assert not kept[:, 5].any()
    np.testing.assert_array_equal(
        many.observations.waveforms[:, 0][kept[:, 0]][0], event(1.0).observations.waveforms[0]
    )
    # A share uniform up to 0.8 is 0.4 on average; one event's has a standard deviation of 0.31, 300 of them 0.018.
    assert 1 - kept[:, :5].mean() == pytest.approx(0.4, abs=4 * 0.018)


def test_added_noise_has_the_level_of_the_beginning_times_a_uniform_factor():
    one = event(noise=1.0)
    many = over_keys(Augmentation(noise=2.0), one, 200)
    added = np.asarray(many.observations.waveforms - one.observations.waveforms)
    # Factors are uniform from 0 to 2: a mean square of 4/3 over 200 x 4 of them is known within 3 per cent; the
    # spectrum of 50 samples is known within 15 per cent of power a trace, and smoothing it loses 5 per cent.
    assert (added[:, [0, 1, 3, 4]] ** 2).mean() == pytest.approx(4 / 3, rel=0.2)
    share = added[:, 0].std((-2, -1))
    assert share.max() < 2.6
    assert share.min() < 0.1
    assert not added[:, 2, 1:].any()
    assert not added[:, 5].any()


def test_a_quieter_event_keeps_its_background():
    one = event(noise=1.0)
    one.labels["magnitude"] = Label(jnp.array(3.0), jnp.array(True))
    many = over_keys(Augmentation(quieter=1.5), one, 200)
    assert set(many.labels) == set(one.labels) - {"magnitude"}  # no longer that of what is seen
    waveforms = np.asarray(many.observations.waveforms)
    decades = -np.log10(waveforms[:, 0, 0, round(ONSET_S[0] * RATE_HZ)] / 1000)
    assert decades.min() > -0.05
    assert decades.max() < 1.55
    assert decades.mean() == pytest.approx(0.75, abs=4 * 1.5 / np.sqrt(12 * 200))
    rest = np.delete(waveforms[:, :2], [round(t * RATE_HZ) for t in ONSET_S[:2]], -1)
    assert (rest**2).mean() == pytest.approx(1, rel=0.2)


def test_noise_has_the_spectrum_it_was_asked_for():
    """A sine of 4 Hz gives noise about 4 Hz of the same power."""
    time_s = np.arange(50) / RATE_HZ
    segment = jnp.asarray(np.sin(2 * np.pi * 4.0 * time_s), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 50)
    noise = np.asarray(jax.vmap(lambda key: noise_like(key, segment, SAMPLES))(keys))
    power = (np.abs(np.fft.rfft(noise)) ** 2).mean(0)
    frequency_hz = np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
    assert frequency_hz[np.argmax(power)] == pytest.approx(4.0, abs=0.3)
    assert power[np.abs(frequency_hz - 4) < 1].sum() > 0.97 * power.sum()
    assert (noise**2).mean() == pytest.approx(0.5, rel=0.2)


def test_gain_and_horizontals_change_whole_stations():
    many = over_keys(Augmentation(gain_log10_sd=0.3), event(), 300)
    spikes = np.asarray(many.observations.waveforms).max(-1)[:, :2] / 1000
    np.testing.assert_allclose(spikes, np.broadcast_to(spikes[:, :, :1], spikes.shape), rtol=1e-6)
    assert np.log10(spikes).std() == pytest.approx(0.3, rel=4 / np.sqrt(2 * 600))
    many = over_keys(Augmentation(drop_horizontals=0.3), event(), 300)
    there = np.asarray(many.observations.waveforms).any(-1)[:, [0, 1, 3, 4]]
    assert there[..., 0].all()
    np.testing.assert_array_equal(there[..., 1], there[..., 2])
    assert 1 - there[..., 1].mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 1200))


@pytest.mark.parametrize("number", [1, 3, 6])
def test_few_stations_are_chosen_among_the_active_ones(number):
    one = event()
    few = jax.vmap(lambda key: keep_few(key, one, number))(jax.random.split(jax.random.key(1), 200))
    seen = few.observations
    rows = np.asarray(seen.station_index)
    assert rows.shape == (200, number)
    assert all(len(set(r)) == number for r in rows)
    if number < 6:
        assert seen.station_mask.all()
        # Each of five with the same chance, within four standard errors.
        share = np.bincount(rows.ravel(), minlength=6) / 200
        np.testing.assert_allclose(share[:5], number / 5, atol=4 * np.sqrt(0.25 / 200))
        assert share[5] == 0
    np.testing.assert_array_equal(seen.waveforms, one.observations.waveforms[rows])
    np.testing.assert_array_equal(seen.station_km, one.observations.station_km[rows])
    np.testing.assert_array_equal(seen.picks_s, one.observations.picks_s[rows])
    np.testing.assert_array_equal(few.labels["arrivals"].mask, one.labels["arrivals"].mask[rows])
    np.testing.assert_array_equal(few.labels["hypocentre"].value[0], one.labels["hypocentre"].value)


def test_the_same_key_gives_the_same_event():
    settings = Augmentation(3.0, 5.0, 0.5, 0.3, 2.0, 1.0, 0.2)
    one = event(noise=1.0)
    first, second = over_keys(settings, one, 2), over_keys(settings, one, 2)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.isfinite(a).all()


@pytest.mark.parametrize("each", [Augmentation(later_s=1.0), Augmentation(noise=1.0), Augmentation(drop_stations=0.5)])
def test_shifts_noise_and_dropped_stations_need_waveforms(each):
    one = event(noise=1.0)
    bare = one._replace(observations=one.observations._replace(waveforms=None))
    with pytest.raises(ValueError, match="waveforms is None"):
        augment(jax.random.key(0), each, bare)


def test_a_turn_keeps_distances_and_what_moves_towards_a_station():
    """Whatever is along the way from the event to a station is along it afterwards; verticals stay."""
    one = event(noise=1.0)
    value = one.labels["hypocentre"].value
    radial = lambda seen, source: jnp.einsum("...sc,...sct->...st", seen.station_km[..., :2] - source[..., None, :2],
                                             seen.waveforms[..., :0:-1, :])  # fmt: skip
    many = over_keys(Augmentation(turn=True), one)
    moved = many.labels["hypocentre"].value
    np.testing.assert_allclose(
        radial(many.observations, moved),
        np.broadcast_to(radial(one.observations, value), (60, STATIONS, SAMPLES)),
        rtol=1e-3, atol=0.5,
    )  # fmt: skip
    np.testing.assert_array_equal(
        many.observations.waveforms[:, :, 0], np.stack([one.observations.waveforms[:, 0]] * 60)
    )
    np.testing.assert_allclose(np.hypot(*moved[:, :2].T), np.hypot(*value[:2]), rtol=1e-5)
    assert not np.asarray(many.observations.waveforms[:, 2, 1:]).any()
    angle = np.arctan2(moved[:, 1], moved[:, 0])
    assert angle.min() < -1
    assert angle.max() > 1
    east, north = np.moveaxis(np.asarray(many.observations.station_km[:, 4, :2]), -1, 0)
    mirrored = np.sign(moved[:, 0] * north - moved[:, 1] * east)
    assert set(mirrored) == {-1.0, 1.0}


MASK = np.ones((STATIONS, SAMPLES), bool)
MASK[0, 300:] = MASK[1, :60] = MASK[3, 200:220] = MASK[5] = False


@pytest.mark.parametrize(
    "settings",
    [
        Augmentation(earlier_s=6.0, later_s=6.0),
        Augmentation(noise=1.0, quieter=1.0),
        Augmentation(drop_stations=0.5),
        Augmentation(few_stations=3),
        Augmentation(cut_s=5.0),
        Augmentation(turn=True, gain_log10_sd=0.3, drop_horizontals=0.5),
    ],
)
def test_the_sample_mask_follows_its_record(settings):
    """Where nothing was recorded all is zero and stays so, whatever is done to the event."""
    one = event(noise=1.0)
    waveforms = one.observations.waveforms * MASK[:, None]
    one = one._replace(observations=one.observations._replace(waveforms=waveforms, sample_mask=jnp.asarray(MASK)))
    seen = over_keys(settings, one, 20).observations
    assert seen.sample_mask.shape == (20, *seen.station_mask.shape[1:], SAMPLES)
    assert not np.asarray(seen.waveforms).any(2)[~np.asarray(seen.sample_mask)].any()
    assert not np.asarray(seen.sample_mask)[~np.asarray(seen.station_mask)].any()
    assert np.asarray(seen.sample_mask).any((1, 2)).all()


def test_a_shift_moves_the_sample_mask():
    one = event(noise=1.0)
    one = one._replace(observations=one.observations._replace(sample_mask=jnp.asarray(MASK)))
    many = over_keys(Augmentation(later_s=4.0), one, 10)
    moved = np.round((many.labels["hypocentre"].value[:, 3] - 4.0) * RATE_HZ).astype(int)
    for row, by in enumerate(moved):
        expected = np.roll(MASK, by, -1)
        expected[:, :by] = np.array([True, False, True, True, True, False])[:, None]
        np.testing.assert_array_equal(many.observations.sample_mask[row], expected)
