"""Labels beside the hypocentre: likelihoods against NumPyro's, and the parts of uncertainty against known answers."""

import math

import cases
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from cases import LABEL_HEADS, quick_jit

from jaxloc.distributions.labels import Classes, averaged, named, of_draw
from jaxloc.heads import labels as label_heads
from jaxloc.locators.neural import neural, with_weights
from jaxloc.networks import kriegerowski2019
from jaxloc.types import Label, Weights

KNOWN = {
    "hypocentre": Label(jnp.array(cases.CENTRE), jnp.ones(4, bool)),
    "magnitude": Label(jnp.array(3.1), jnp.array(True)),
    "polarity": Label(jnp.array(2), jnp.array(True)),
    "is_event": Label(jnp.array(1), jnp.array(True)),
}
UNKNOWN = {name: Label(jnp.zeros_like(value), jnp.zeros_like(mask)) for name, (value, mask) in KNOWN.items()}


def raw_of(head, key=0, scale=1.0):
    return scale * jax.random.normal(jax.random.key(key), (head.size,))


@pytest.mark.parametrize("name", LABEL_HEADS)
def test_likelihood_is_that_of_the_distributions_and_zero_without_labels(name):
    """Their log-densities added up; finite with finite slopes for raw values up to 1e20."""
    head = LABEL_HEADS[name]()
    raw = raw_of(head)
    want = sum(one.log_prob(KNOWN[label].value) for label, one in head.distribution(raw).items())
    np.testing.assert_allclose(head.log_likelihood(raw, KNOWN), want, rtol=1e-5)
    both = quick_jit(jax.value_and_grad(head.log_likelihood))
    for scale in (0.0, 1.0, 1e4, 1e20):
        assert all(np.isfinite(x).all() for x in both(raw_of(head, 1, scale), KNOWN))
        for labels in (UNKNOWN, {}):
            value, slope = both(raw_of(head, 1, scale), labels)
            assert value == 0
            assert (slope == 0).all()


@pytest.mark.parametrize("missing", ["hypocentre", "magnitude", "is_event"])
def test_a_joint_head_is_the_sum_of_its_parts(missing):
    """Each on its own stretch of the raw vector, and a label that is missing takes no other with it."""
    joint = LABEL_HEADS["joint"]()
    parts = [cases.HEADS["gaussian"](), label_heads.number(2.0, 1.5, 0.05), label_heads.categorical()]
    raw = raw_of(joint, 3)
    pieces = jnp.split(raw, np.cumsum([part.size for part in parts])[:-1])
    labels = KNOWN | {missing: UNKNOWN[missing]}
    each = [part.log_likelihood(piece, labels) for part, piece in zip(parts, pieces, strict=True)]
    np.testing.assert_allclose(joint.log_likelihood(raw, labels), sum(each), rtol=1e-6)
    assert set(joint.distribution(raw)) == {"hypocentre", "magnitude", "is_event"}


def test_a_joint_head_gives_a_volume_its_shape():
    volume = cases.HEADS["volume"]()
    joint = label_heads.joint(label_heads.categorical(), volume)
    raw = raw_of(joint)
    np.testing.assert_allclose(
        joint.log_likelihood(raw, KNOWN | {"is_event": UNKNOWN["is_event"]}),
        volume.log_likelihood(raw[2:].reshape(volume.size), KNOWN),
        rtol=1e-6,
    )


def test_classes_are_weighted_and_priors_corrected():
    """Learnt from equal shares, used where one window in a hundred is an event: Bayes' rule by hand."""
    head = label_heads.categorical(2, weights=np.array([1.0, 3.0]), prior_ratio=np.array([0.99, 0.01]) / 0.5)
    raw = jnp.log(jnp.array([0.2, 0.8]))
    np.testing.assert_allclose(head.log_likelihood(raw, KNOWN), 3 * math.log(0.8), rtol=1e-6)
    want = 0.8 * 0.01 / (0.8 * 0.01 + 0.2 * 0.99)
    np.testing.assert_allclose(head.distribution(raw)["is_event"].probs[1], want, rtol=1e-5)


@pytest.mark.parametrize(("raw", "scale", "tolerance"), [([0.0, 0.0], 1.5, 1e-6), ([0.0, -1e6], 0.05, 1e-5)])
def test_numbers_start_at_the_given_mean_and_scale_and_keep_the_floor(raw, scale, tolerance):
    start = LABEL_HEADS["number"]().distribution(jnp.array(raw))["magnitude"]
    np.testing.assert_allclose(start.mean, 2.0, rtol=1e-6)
    np.testing.assert_allclose(start.scale, scale, rtol=tolerance)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: label_heads.categorical(1), "2 or more, got 1"),
        (lambda: label_heads.categorical(2, weights=np.array([1.0, -1.0])), "weights must be a positive number"),
        (lambda: label_heads.categorical(2, prior_ratio=np.ones(3)), "prior_ratio must be a positive number"),
        (lambda: label_heads.number(2.0, 0.01, 0.05), "0 < floor < scale"),
        (lambda: label_heads.joint(), "at least one head"),
        (lambda: of_draw(dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2))), "MultivariateNormal"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()
    twice = label_heads.joint(label_heads.categorical(), label_heads.categorical())
    with pytest.raises(ValueError, match="same name"):
        twice.distribution(jnp.zeros(4))


CERTAIN = 200.0  # logits of a class beyond doubt
DRAWS = {
    # logits of each draw; mutual information, mean entropy (nats)
    "identical draws": ([[0.3, -0.4]] * 5, 0.0, dist.Categorical(logits=jnp.array([0.3, -0.4])).entropy()),
    "confident and alike": ([[CERTAIN, 0.0]] * 3, 0.0, 0.0),
    "confident, contradicting": ([[CERTAIN, 0.0], [0.0, CERTAIN]], math.log(2), 0.0),
    "all undecided": ([[1.0, 1.0]] * 4, 0.0, math.log(2)),
    "three, each for another": (CERTAIN * np.eye(3), math.log(3), 0.0),
}


@pytest.mark.parametrize("name", DRAWS)
def test_entropy_splits_into_disagreement_and_doubt(name):
    """Known answers; the two add up to the entropy of the mean probabilities."""
    logits, mutual, doubt = DRAWS[name]
    whole = averaged(jax.vmap(lambda x: of_draw(dist.Categorical(logits=x)))(jnp.asarray(logits, jnp.float32)))
    np.testing.assert_allclose([whole.mutual_information_nats, whole.mean_entropy_nats], [mutual, doubt], atol=1e-6)
    entropy = dist.Categorical(probs=whole.probability).entropy()
    np.testing.assert_allclose(whole.mutual_information_nats + whole.mean_entropy_nats, entropy, atol=1e-6)
    np.testing.assert_allclose(whole.probability.sum(), 1, rtol=1e-6)


def test_variance_splits_into_that_of_means_and_the_mean_of_variances():
    """Against the moments of NumPyro's mixture, which has the biased variance of means; one draw has none."""
    means, sds = jnp.array([1.0, 2.0, 4.0]), jnp.array([0.1, 0.5, 0.2])
    drawn = jax.vmap(lambda m, s: of_draw(dist.Normal(m, s)))(means, sds)
    whole = averaged(drawn)
    mixture = dist.MixtureSameFamily(dist.Categorical(jnp.ones(3) / 3), dist.Normal(means, sds))
    np.testing.assert_allclose(whole.mean, mixture.mean, rtol=1e-6)
    np.testing.assert_allclose(whole.epistemic * 2 / 3 + whole.aleatoric, mixture.variance, rtol=1e-6)
    np.testing.assert_allclose(whole.epistemic, np.var(means, ddof=1), rtol=1e-6)
    assert (drawn.epistemic == 0).all()


def test_names_contain_class_and_unit():
    three = Classes(jnp.array([[[0.2, 0.3, 0.5]]]))
    told = named({"polarity": three}, 0)
    assert list(told) == [
        "polarity_0_probability", "polarity_1_probability", "polarity_2_probability",
        "polarity_mutual_information_nats", "polarity_mean_entropy_nats",
    ]  # fmt: skip
    assert told["polarity_2_probability"] == pytest.approx(0.5)


def test_a_locator_predicts_other_labels_of_each_event():
    """Draws that are the same have no epistemic part in any label; draws that differ do."""
    head = LABEL_HEADS["joint"]()
    network = kriegerowski2019.network(head.size, width=4, num_stations=cases.STATIONS)
    seen = cases.batch().observations
    params = quick_jit(network.init)(jax.random.key(0), cases.observations())
    for other, differ in ((1.0, False), (0.5, True)):
        draws = Weights(jax.tree.map(lambda x, other=other: jnp.stack([x, other * x]), params))
        posterior = with_weights(neural(network, head), lambda key, draws=draws: draws, chunk=2)(
            jax.random.key(1), seen
        )
        told = [named(posterior.others, event) for event in range(3)]
        assert len({one["magnitude"] for one in told}) == 3
        for one in told:
            assert 0 < one["is_event_probability"] < 1
            assert (one["is_event_mutual_information_nats"] > 1e-5) == differ
            assert (one["magnitude_epistemic_sd"] > 1e-3) == differ
            parts = one["magnitude_epistemic_sd"] ** 2 + one["magnitude_aleatoric_sd"] ** 2
            assert one["magnitude_sd"] ** 2 == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize(
    "draw",
    [
        lambda m: dist.Normal(m, 0.5),
        lambda m: dist.LogNormal(m / 4, 0.5),
        lambda m: dist.MixtureSameFamily(
            dist.Categorical(jnp.array([0.3, 0.7])), dist.Normal(m + jnp.array([0.0, 2.0]), 0.4)
        ),
    ],
    ids=["normal", "lognormal", "mixture"],
)
def test_a_number_keeps_the_distribution_of_its_draws(draw):
    """Density, moments and distribution function of the equal mixture of three draws, against NumPyro's."""
    means = jnp.array([1.0, 2.0, 4.0])
    whole = averaged(jax.vmap(lambda m: of_draw(draw(m)))(means))
    each = [draw(m) for m in means]
    for value in (0.2, 1.5, 3.0):
        density = np.log(np.mean([np.exp(one.log_prob(value)) for one in each]))
        np.testing.assert_allclose(whole.log_prob(jnp.array(value)), density, rtol=1e-5)
    np.testing.assert_allclose(whole.mean, np.mean([one.mean for one in each]), rtol=1e-5)
    np.testing.assert_allclose(whole.aleatoric, np.mean([one.variance for one in each]), rtol=1e-5)
    np.testing.assert_allclose(whole.epistemic, np.var([one.mean for one in each], ddof=1), rtol=1e-5)


def test_a_distribution_that_no_label_has_is_refused():
    with pytest.raises(ValueError, match="got Gamma of shape"):
        of_draw(dist.Gamma(2.0, 1.0))
