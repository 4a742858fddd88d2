"""Weights fine-tuned to events: of a network with one weight, whose answer is known, and what is refused."""

from fnmatch import fnmatch

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import distributions as dist

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.geometry import Frame
from jaxloc.models.model import Model, as_labelled
from jaxloc.models.pretrained import read_pretrained
from jaxloc.models.registry import build
from jaxloc.models.spec import Catalogue
from jaxloc.models.weight_arrays import by_path
from jaxloc.runs import adapt_weights
from jaxloc.runs.adapt_weights import Tuning, fine_tuned
from jaxloc.runs.shipped import FILE, draws_of, spec_of
from jaxloc.types import Batch, Head, Label, Network, Observations

EVENTS, LATE_S, SD_S = 40, 0.3, 0.1
TUNING = Tuning(steps=150, learning_rate=0.05, width=10.0, checks=3, batch_size=8, stations=2)


def places():
    return np.random.default_rng(0).uniform(-30, 30, (EVENTS, 4))


def dataset(east_km=LATE_S):
    """S is `LATE_S` after P, with errors; the place of every event is known, by which held-out events are scored."""
    listed = tuple(Station(f"XX.S{i}", 35 + 0.1 * i, -97.0, 0.0) for i in range(3))
    late_s = LATE_S + np.random.default_rng(1).normal(0, SD_S, (EVENTS, 3))
    arrival_s = 2.0 + np.stack([np.zeros_like(late_s), late_s], -1)

    def take(index):
        number = len(index)
        seen = Observations(
            np.random.default_rng(2).normal(size=(number, 3, 3, 100)).astype(np.float32),
            np.zeros((number, 3, 3), np.float32),
            np.ones((number, 3), bool),
            np.tile(np.arange(3, dtype=np.int32), (number, 1)),
            np.full(number, 20.0, np.float32),
        )
        labels = {
            "arrivals": Label(arrival_s[index].astype(np.float32), np.ones((number, 3, 2), bool)),
            "hypocentre": Label(np.full((number, 4), east_km, np.float32), np.ones((number, 4), bool)),
        }
        return Batch(seen, labels)

    events = tuple(Event(f"e{i:02}", "train") for i in range(EVENTS))
    return Dataset("known", Frame(35.0, -97.0), listed, events, 20.0, 100, take)


def model():
    """A network of one weight: what it reads of S after P, which augmentation leaves as it is, and of the place."""

    def head(arrival_weight, hypocentre_weight):
        def log_likelihood(raw, labels):
            (arrival_s, mask), (hypocentre, _) = labels["arrivals"], labels["hypocentre"]
            each = dist.Normal(raw, SD_S).log_prob(arrival_s[:, 1] - arrival_s[:, 0])
            place = dist.Normal(raw, SD_S).log_prob(hypocentre[0])
            return arrival_weight * jnp.where(mask.all(-1), each, 0.0).sum() + hypocentre_weight * place

        return Head((), lambda raw: {}, log_likelihood)

    network = Network(lambda key, seen: {"bias": jnp.zeros(1)}, lambda weights, seen: weights.params["bias"][0])
    labelled = lambda params, train, by_network: (params, as_labelled)
    return Model(network, head(1.0, 1.0), lambda weights, seen: None, prepare=labelled, weighted=head)


def tuned(folder, data, tuning=TUNING, say=lambda line: None):
    params = {"bias": jnp.zeros((2, 1))}  # two draws
    catalogue = Catalogue(places(), np.ones((EVENTS, 4), bool))
    return fine_tuned(folder, model(), params, data, catalogue, tuning, say)


def test_every_draw_of_the_weights_learns_what_the_labels_say(tmp_path):
    found = tuned(tmp_path, dataset())["bias"]
    assert found.shape == (2, 1)
    # 32 events of three stations leave an error of SD_S / sqrt(96); Adam's last steps one as large.
    np.testing.assert_allclose(found, LATE_S, atol=5 * SD_S / np.sqrt(96))


def test_a_narrow_prior_keeps_the_weights(tmp_path):
    """The mode of a normal prior and a normal likelihood: the mean weighted by both inverse variances."""
    width = 0.04  # of a bias 0.3 of it, by `prior_scale`
    found = tuned(tmp_path, dataset(), TUNING._replace(width=width))["bias"]
    of_prior, of_labels = 1 / (0.3 * width) ** 2, 32 * TUNING.stations / SD_S**2
    expected = LATE_S * of_labels / (of_labels + of_prior)
    assert 0.1 < expected < 0.15
    np.testing.assert_allclose(found, expected, atol=0.03)  # labels err by 0.01


def test_weights_stay_where_held_out_events_are_no_better_for_it(tmp_path):
    lines = []
    found = tuned(tmp_path, dataset(east_km=-1.0), say=lines.append)["bias"]
    np.testing.assert_array_equal(found, 0.0)
    assert any("stay as they were" in line for line in lines)


def test_the_same_command_continues_and_gives_the_same_weights(tmp_path, monkeypatch):
    whole = tuned(tmp_path / "whole", dataset())["bias"]
    fit_stage, lines = adapt_weights.fit_stage, []

    def interrupted(*arguments):
        *most, say, _ = arguments

        def stop(name, step, steps, loss):
            if step > 60:
                raise KeyboardInterrupt

        return fit_stage(*most, say, stop)

    monkeypatch.setattr(adapt_weights, "fit_stage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "cut", dataset())
    monkeypatch.setattr(adapt_weights, "fit_stage", fit_stage)
    again = tuned(tmp_path / "cut", dataset(), say=lines.append)["bias"]
    assert any("resumed at step 50" in line for line in lines)
    np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize(
    ("tuning", "says"),
    [
        (TUNING._replace(part="tail"), "one of all, decoder, read, got 'tail'"),
        (TUNING._replace(steps=0), "steps of the fine-tuning must be positive, got 0"),
        (TUNING._replace(width=-1.0), "width of the fine-tuning must be positive, got -1.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, tuning, says):
    with pytest.raises(ValueError, match=says):
        tuned(tmp_path, dataset(), tuning)


def test_too_few_events_are_refused(tmp_path):
    known = np.arange(EVENTS)[:, None] < [9, 9, 9, 9]
    with pytest.raises(ValueError, match=r"9 of 40 events have a labelled hypocentre; .* at least 10"):
        fine_tuned(tmp_path, model(), {}, dataset(), Catalogue(places(), known), TUNING, print)


def test_parts_of_the_network_that_comes_with_jaxloc():
    """Of a U of four levels the decoder has four blocks and four layers that mix channels, and the last layer."""
    found = read_pretrained(FILE)
    spec = spec_of(found)
    model = build(spec)
    like = jax.tree.map(lambda x: x[0], draws_of(found, spec, model))
    chosen = lambda part: {
        path.split("/rates/")[1].split("/")[0]
        for path in by_path(like)
        if any(fnmatch(path, pattern) for pattern in adapt_weights._paths(like, part))
    }
    assert chosen("read") == {"read"}
    blocks = {f"{kind}_{i}" for i in range(9, 13) for kind in ("Conv1D", "Norm")}
    assert chosen("decoder") == {"read", *blocks, *(f"Dense_{i}" for i in range(4))}
    assert adapt_weights._paths(like, "all") == []
