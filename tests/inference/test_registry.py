"""Weight posteriors by the names that configurations give them."""

import jax
import numpy as np
import pytest
from linear_regression import DIM, POSTERIORS, batch, fit, linear, settings, start, two_arrays

from jaxloc.inference.registry import configured, draws_of, keeps_best, names, options_of
from jaxloc.types import NETWORK

STAGE = {"method": "posterior", "learning_rate": 1e-2}
NO_POINTS = ("full_covariance", "laplace", "low_rank", "mean_field", "nuts", "sghmc", "sgld", "stein", "swag")

IGNORED = {
    "temperature": ("point", "dropout", "laplace", "swag"),
    "initial_scale": ("point", "dropout", "laplace", "swag", "sgld", "sghmc", "nuts"),
}


def members(params, number):
    return jax.tree.map(lambda x: x[None].repeat(number, 0), params)


@pytest.mark.parametrize("name", sorted(path.stem for path in POSTERIORS.glob("*.yaml")))
def test_every_configured_posterior_can_be_fitted(name):
    """Eight steps learn something, draws are finite, and those of a posterior differ from one another."""
    posterior = settings(name)
    method = configured(posterior, linear(), 8, STAGE)
    state, info = fit(method, members(start(), posterior["members"]), 8)
    assert info.negative_log_likelihood[-1] < info.negative_log_likelihood[0]
    draws = np.asarray(jax.jit(method.sample, static_argnums=2)(jax.random.key(0), state, 4).params["kernel"])
    assert draws.shape == (4, DIM)
    assert np.isfinite(draws).all()
    # One start for all members, and no feature to drop here: these have one set of weights.
    alike = name in ("point", "dropout", "ensemble")
    assert (np.ptp(draws, axis=0).max() == 0) == alike


@pytest.mark.parametrize("name", names())
def test_stages_that_ask_for_a_point_estimate_get_it(name):
    posterior = settings("point", method=name, options={"no": "such option"})
    method = configured(posterior, linear(), 4, STAGE | {"method": "point"})
    state, _ = fit(method, members(start(), 1), 4)
    draws = method.sample(jax.random.key(0), state, 2).params["kernel"]
    np.testing.assert_array_equal(draws[0], draws[1])


@pytest.mark.parametrize(
    ("method", "options", "number"),
    [("point", {"draws": 10}, 1), ("ensemble", {"members": 5, "draws": 50}, 5), ("mean_field", {"draws": 10}, 10)],
)
def test_point_estimates_are_drawn_once_a_member(method, options, number):
    assert draws_of(settings(method, **options)) == number


def test_a_subspace_is_named_by_patterns():
    posterior = settings("mean_field", subspace=["ker*"])
    state, _ = fit(configured(posterior, linear(), 4, STAGE), members(start(), 1), 4)
    assert state.fixed == []


@pytest.mark.parametrize("name", names())
def test_the_best_on_held_out_events_is_not_chosen_before_the_posterior_exists(name):
    assert set(NO_POINTS) < set(names())
    assert keeps_best(settings("point", method=name), STAGE) == (name not in NO_POINTS)
    assert keeps_best(settings("point", method=name), STAGE | {"method": "point"})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "magic"}, "no such posterior method: 'magic'; use one of dropout, full_covariance"),
        ({"method": "low_rank", "options": {"ranks": 3}}, "posterior 'low_rank'.*ranks.*experiments/posterior"),
        ({"method": "swag", "options": {"begin": 1.5}}, "begin must be a share of the steps within 0-1, got 1.5"),
        ({"method": "mean_field", "options": {"warm_up": 2.0}}, "warm_up must be a share of the steps.*got 2.0"),
        ({"method": "nuts", "options": {"begin": -0.1}}, "begin must be a share of the steps within 0-1, got -0.1"),
        ({"method": "sghmc", "options": {"rank": 3}}, "posterior 'sghmc'.*rank.*experiments/posterior"),
        ({"method": "sgld", "options": {"temperature": 0.0}}, "temperature must be above zero, got 0.0"),
        ({"method": "point", "options": {"rank": 3}}, "posterior 'point'.*rank"),
        ({"members": 0}, "at least 1 member, got 0"),
        *(
            (
                {"method": name, "options": {option: 0.5}},
                f"posterior '{name}' has no option '{option}'; use one of",
            )
            for option, ignored in IGNORED.items()
            for name in ignored
        ),
    ],
)
def test_wrong_settings_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        configured(settings("point", **changed), linear(), 4, STAGE)


def test_the_warm_up_is_a_share_of_the_steps():
    """Half of eight steps: the fifth minimises the same bound with it and without, from the same state."""
    one, other = (
        configured(settings("mean_field", options={"warm_up": share}), linear(), 8, STAGE) for share in (0.0, 0.5)
    )
    state, _ = fit(one, members(start(), 1), 4)
    update = [jax.jit(method.update)(jax.random.key(0), state, batch())[0] for method in (one, other)]
    for a, b in zip(*(jax.tree.leaves(state) for state in update), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    early, _ = fit(one, members(start(), 1), 1)
    update = [jax.jit(method.update)(jax.random.key(0), early, batch())[0] for method in (one, other)]
    assert not all((a == b).all() for a, b in zip(*(jax.tree.leaves(state) for state in update), strict=True))


def test_a_batch_trains_as_all_events_do():
    """The stage's learning rate reaches the optimiser: a rate of zero moves nothing."""
    method = configured(settings("point"), linear(), 4, STAGE | {"learning_rate": 0.0})
    state, _ = fit(method, members(start(), 1), 3, batch())
    np.testing.assert_array_equal(state.params["kernel"][0], start()["kernel"])


@pytest.mark.parametrize("path", sorted(POSTERIORS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_option_of_a_configuration_is_an_argument_of_the_posterior(path):
    """And those that are left out have a default."""
    posterior = settings(path.stem)
    assert set(posterior["options"]) <= set(options_of(posterior["method"])), path.name


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("point", {}),
        ("swag", {"begin": 0.5, "every": 1, "rank": 20}),
        ("laplace", {"begin": 0.5, "diagonal": False, "learn_prior": False}),
        ("stein", {"particles": 20, "initial_scale": 0.05, "temperature": 1.0}),
        (
            "full_covariance",
            {"initial_scale": None, "scale_rate": 0.05, "temperature": 1.0, "warm_up": 0.0, "learn_prior": False},
        ),
    ],
)
def test_options_are_read_from_signatures(name, options):
    assert options_of(name) == options


def test_wrappers_are_no_posteriors_of_their_own():
    assert {"ensemble", "subspace"}.isdisjoint(names())


@pytest.mark.parametrize("name", ["point", "dropout", "laplace", "swag"])
def test_each_part_of_a_model_has_its_learning_rate(name):
    """A rate of zero keeps a part; another part moves as without rates."""
    aim = two_arrays()._replace(parts={"first": "physics", "rest": NETWORK})
    first = {"first": start()["kernel"][:1], "rest": start()["kernel"][1:]}
    moved = {}
    for rate in (0.0, 1.0):
        method = configured(settings("point", method=name), aim, 8, STAGE | {"rates": {"physics": rate}})
        state, _ = fit(method, members(first, 1), 2)
        moved[rate] = method.sample(jax.random.key(0), state, 1).params
    np.testing.assert_array_equal(moved[0.0]["first"][0], first["first"])
    assert (moved[1.0]["first"][0] != first["first"]).all()
    np.testing.assert_array_equal(moved[0.0]["rest"], moved[1.0]["rest"])


@pytest.mark.parametrize(
    ("posterior", "stage", "message"),
    [
        (
            {"name": "mean_field", "subspace": ["head*"]},
            STAGE,
            r"no array of weights is selected; posterior\.subspace must match one of kernel",
        ),
        (
            {"name": "point"},
            STAGE | {"rates": {"physics": 2.0}},
            "must name parts of this model, got 'physics'; its parts are: network",
        ),
    ],
)
def test_arrays_and_parts_that_the_model_lacks_are_refused(posterior, stage, message):
    with pytest.raises(ValueError, match=message):
        configured(settings(**posterior), linear(), 4, stage)
