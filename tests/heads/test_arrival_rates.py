"""The point process of arrivals against what is known of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from jaxloc.heads.arrival_rates import (
    direction_log_likelihood,
    motion_log_likelihood,
    process_log_likelihood,
)
from jaxloc.physics.readings import READ_AFTER_S, Rates

RATE_HZ = 50.0


def rates(log_rate: jax.Array, towards: tuple[float, float] = (0.0, 0.0), motion: float = 0.0) -> Rates:
    number = len(log_rate)
    return Rates(log_rate, jnp.tile(jnp.array(towards), (number, 1)), jnp.full(number, motion))


def test_a_constant_rate_has_the_likelihood_of_a_homogeneous_process() -> None:
    times_s = jnp.array([[10.0, 20.0], [30.3, 41.7]])
    known = jnp.array([[True, True], [True, False]])
    found = process_log_likelihood(rates(jnp.full((3000, 2), jnp.log(0.1))), times_s, known, rate_hz=RATE_HZ, sd_s=0.01)
    assert float(found) == pytest.approx(3 * np.log(0.1) - 2 * 0.1 * 60, abs=2e-3)


def test_the_likeliest_constant_rate_is_the_number_of_arrivals_over_the_duration() -> None:
    times_s, known = jnp.array([[5.0, 9.0], [20.0, 30.0], [40.0, 50.0]]), jnp.ones((3, 2), bool)

    def value(log_rate: jax.Array) -> jax.Array:
        each = rates(jnp.broadcast_to(log_rate, (3000, 2)))
        return process_log_likelihood(each, times_s, known, rate_hz=RATE_HZ, sd_s=0.01)

    assert jax.grad(value)(jnp.log(3 / 60.0)) == pytest.approx(0.0, abs=1e-2)


def test_an_arrival_outside_the_record_is_not_rewarded() -> None:
    peak = jnp.full((3000, 2), -5.0).at[-1].set(3.0)

    def at(time_s: float) -> float:
        times_s, known = jnp.full((1, 2), time_s), jnp.zeros((1, 2), bool)
        return float(process_log_likelihood(rates(peak), times_s, known, rate_hz=RATE_HZ, sd_s=0.01))

    assert at(70.0) == pytest.approx(at(30.0))


@pytest.mark.parametrize("concentration", [0.3, 4.0, 60.0])
def test_directions_have_a_density_of_one_over_the_circle(concentration: float) -> None:
    angle = jnp.linspace(0, 2 * jnp.pi, 2000, endpoint=False)
    raw = rates(jnp.zeros((100, 2)), (0.6 * concentration, 0.8 * concentration))
    one = lambda towards: direction_log_likelihood(raw, jnp.ones(1), towards[None], jnp.ones(1, bool), rate_hz=RATE_HZ)
    density = jnp.exp(jax.vmap(one)(angle))
    assert float(density.mean() * 2 * jnp.pi) == pytest.approx(1.0, abs=1e-4)
    assert float(angle[density.argmax()]) == pytest.approx(np.arctan2(0.8, 0.6), abs=0.01)


def test_first_motions_are_read_after_the_onset() -> None:
    at = round((1.0 + READ_AFTER_S) * RATE_HZ)
    raw = rates(jnp.zeros((100, 2)))._replace(motion=jnp.zeros(100).at[at].set(20.0))
    value = lambda up: float(
        motion_log_likelihood(raw, jnp.ones(1), jnp.array([up]), jnp.ones(1, bool), rate_hz=RATE_HZ)
    )
    assert value(1.0) == pytest.approx(0.0, abs=1e-6)
    assert value(0.0) == pytest.approx(-20.0, abs=1e-4)


def test_unknown_labels_count_nothing() -> None:
    raw = rates(random.normal(random.key(0), (100, 2)), (3.0, 1.0), 2.0)
    none = jnp.zeros(1, bool)
    assert float(direction_log_likelihood(raw, jnp.ones(1), jnp.ones(1), none, rate_hz=RATE_HZ)) == 0.0
    assert float(motion_log_likelihood(raw, jnp.ones(1), jnp.ones(1), none, rate_hz=RATE_HZ)) == 0.0
