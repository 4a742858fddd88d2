"""PreSEIS: events so far, what is read of them, networks of a time step, and labels in a chain."""

import csv
import io

import cases
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from cases import quick_jit

from jaxloc.data.dataset import Dataset, Event
from jaxloc.data.truncation import at_times, so_far
from jaxloc.geometry import Frame
from jaxloc.heads import autoregressive, gaussian
from jaxloc.heads import labels as label_heads
from jaxloc.networks import preseis
from jaxloc.plots.early_warning import over_time
from jaxloc.studies.early_warning import SHOWN
from jaxloc.studies.table import markdown_of, write_csv
from jaxloc.types import Batch, Label, Weights

STEPS_S = jnp.array([0.5, 2.0, 4.0])


def event(key=0):
    """Noise whose picks of P come up to a few seconds after the first sample, the first at 1 s."""
    seen = cases.observations(key)
    picks_s = jnp.stack([jnp.array([3.0, 1.0, 1.4, 2.6, 6.0]), jnp.full(5, 6.2)], -1)
    labels = {"hypocentre": Label(jnp.array(cases.CENTRE), jnp.ones(4, bool))}
    return Batch(seen._replace(picks_s=picks_s), labels)


@pytest.mark.parametrize("elapsed_s", STEPS_S)
def test_nothing_ahead_is_seen(elapsed_s):
    """Whatever comes later than `elapsed_s` after the first trigger, the event so far is the same."""
    one = event()
    after = jnp.arange(cases.SAMPLES) > (1.0 + elapsed_s) * cases.RATE_HZ
    loud = one.observations._replace(
        waveforms=jnp.where(after, 1.0, one.observations.waveforms),
        picks_s=jnp.where(one.observations.picks_s > 1.0 + elapsed_s, 6.3, one.observations.picks_s),
    )
    now, other = (so_far(x, elapsed_s).observations for x in (one, Batch(loud, one.labels)))
    jax.tree.map(np.testing.assert_array_equal, now, other)
    read = preseis.readings(now)
    assert float(read.elapsed_s) == pytest.approx(float(elapsed_s), abs=1 / cases.RATE_HZ)
    np.testing.assert_array_equal(read.triggered, one.observations.picks_s[:, 0] <= 1.0 + elapsed_s)


def test_events_at_several_times_stay_together_in_order():
    whole = jax.tree.map(lambda x: np.asarray(x)[None], event())
    events = (Event("a", "train"),)
    dataset = Dataset(
        "toy", Frame(0, 0), (), events, cases.RATE_HZ, cases.SAMPLES, lambda i: jax.tree.map(lambda x: x[i], whole)
    )
    records = at_times(dataset, [2.0, 4.0])
    assert [e.id for e in records.events] == ["a 2 s", "a 4 s"]
    batch = records.take(np.array([1, 0]))
    np.testing.assert_array_equal(batch.observations.pick_mask[..., 0].sum(1), [4, 4 - 0])
    with pytest.raises(ValueError, match="positive times"):
        at_times(dataset, [0.0])


def test_cumulative_absolute_velocity_of_a_steady_push_is_its_length_times_its_strength():
    """From a station's own trigger on: 0.5 m/s² for what is left of 4 s after the first one, within a sample."""
    ramp = jnp.broadcast_to(0.5 * jnp.arange(1, cases.SAMPLES + 1) / cases.RATE_HZ, (5, cases.SAMPLES))
    one = event()
    waveforms = jnp.zeros_like(one.observations.waveforms).at[:, 0].set(ramp)
    read = preseis.readings(
        so_far(one._replace(observations=one.observations._replace(waveforms=waveforms)), 4.0).observations
    )
    want = 0.5 * np.array([2.0, 4.0, 3.6, 2.4, 0.0])
    np.testing.assert_allclose(read.cav_m_s, want, atol=0.5 / cases.RATE_HZ + 1e-4)


def test_encodings_of_stations_that_have_not_triggered():
    read = preseis.readings(so_far(event(), 1.0).observations)._replace(
        active=jnp.array([True, True, True, True, False])
    )
    unit = preseis.LATE_SCALE_S
    late, mask = np.array([0, 0, 0.4, 0, 0]) / unit, np.array([0, 1, 1, 0, 0])
    waiting = np.array([1, 0, 0, 1, 0]) / unit
    np.testing.assert_allclose(preseis.encoded(read, "zero_mask"), [*late, *mask], atol=1e-6)
    np.testing.assert_allclose(preseis.encoded(read, "bound_mask"), [*(late + waiting), *mask], atol=1e-6)
    np.testing.assert_allclose(
        preseis.encoded(read, "bound"), late + waiting + np.array([0, 0, 0, 0, 1 / unit]), atol=1e-6
    )


def published(**settings):
    links = ((3, 2), (4, 6))
    return preseis.network(
        14, centre=cases.CENTRE, scale=cases.SCALE, links=links, hidden=10, published=True, num_stations=5, **settings
    )


def test_published_networks_have_two_layers_each_of_weights_for_each_of_thirty_steps():
    shapes = jax.eval_shape(published().init, jax.random.key(0), cases.observations())
    one = (5 * 10 + 10 + 10 * 14 + 14) + (5 * 10 + 10 + 3 * 10 + 10 * 2 + 2) + (5 * 10 + 10 + 4 * 10 + 10 * 6 + 6)
    spare = 2 * 10  # biases of what a link is given: a second one of its hidden layer, unused
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 30 * (one + spare)


def test_weights_of_one_step_leave_other_steps_as_they_are():
    network = published()
    params = quick_jit(network.init)(jax.random.key(0), cases.observations())
    changed = jax.tree.map(lambda x: x.reshape(*x.shape[:-1], 30, -1).at[..., 3, :].add(0.3).reshape(x.shape), params)
    answer = quick_jit(lambda p, t: network.apply(Weights(p), so_far(event(), t).observations)[0])
    for time_s, differ in ((0.5, False), (2.0, True), (2.5, False)):
        assert (np.abs(answer(params, time_s) - answer(changed, time_s)).max() > 1e-3) == differ


def test_an_unknown_encoding_is_an_error_that_lists_them():
    network = preseis.network(14, centre=cases.CENTRE, scale=cases.SCALE, encoding="none")
    with pytest.raises(ValueError, match=r"bound_mask.*got 'none'"):
        network.init(jax.random.key(0), cases.observations())


def test_a_chain_hands_on_what_it_does_not_know():
    """A magnitude that is the east coordinate exactly has its variance, and with a width of its own the sum of both."""
    sd_km = 0.3
    first = gaussian.gaussian(np.zeros(4), np.full(4, sd_km))
    given = autoregressive.Given("hypocentre", np.zeros(3), np.ones(3))
    link = autoregressive.Link(label_heads.number(0.0, 1.0, 0.01), (given,))
    chain = autoregressive.chain(jax.random.key(0), first, [link], 4000)
    raw = (jnp.zeros(first.size), (lambda told: jnp.array([1.0, 0.0]) * told[:2],))
    magnitude = chain.distribution(raw)["magnitude"]
    floor_km = gaussian.FLOOR[0]
    variance = (sd_km + floor_km) ** 2 + 1.0
    assert float(magnitude.variance) == pytest.approx(variance, abs=4 * variance * (2 / 4000) ** 0.5)
    labels = {
        "hypocentre": Label(jnp.array([0.2, 0.0, 0.0, 0.0]), jnp.ones(4, bool)),
        "magnitude": Label(jnp.array(0.5), jnp.array(True)),
    }
    own = first.log_likelihood(raw[0], labels)
    want = dist.Normal(0.2, 1.0).log_prob(0.5)
    np.testing.assert_allclose(chain.log_likelihood(raw, labels) - own, want, rtol=1e-4)
    unknown = labels | {"hypocentre": Label(jnp.zeros(4), jnp.zeros(4, bool))}
    assert float(chain.log_likelihood(raw, unknown)) == 0.0


def test_a_table_over_time_reads_back_and_is_plotted_without_magnitudes(tmp_path):
    names = ("epicentre_mean_km", "epicentre_energy_km", "epicentre_energy_km_climatology", "epicentre_90")
    names += ("epicentre_median_km", "depth_90", "crps_depth_km", "crps_depth_km_climatology")
    part = lambda name, t: {name: 1 / t, f"{name}_low": 0.9 / t, f"{name}_high": 1.1 / t}
    rows = [
        {"elapsed_s": t, "events": 3, "triggered": t} | {k: v for n in names for k, v in part(n, t).items()}
        for t in (0.5, 15.0)
    ]
    write_csv(tmp_path / "rows.csv", rows, list(rows[0]))
    read = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert [{name: float(value) for name, value in row.items()} for row in read] == [
        pytest.approx(row, rel=1e-5) for row in rows
    ]
    table = markdown_of(rows, SHOWN)
    assert table.count("\n") == 3
    assert "2.00 [1.80, 2.20]" in table
    over_time(tmp_path / "picture.png", rows, "two times", "first trigger")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
