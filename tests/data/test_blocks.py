"""Blocks of events and folds that leave them out."""

import itertools

import numpy as np
import pytest

from jaxloc.data import blocks

EVENTS = 200


@pytest.fixture(scope="module")
def epicentre_km():
    """Ten dense sequences with some events between them."""
    generator = np.random.default_rng(0)
    centre = generator.uniform(-40, 40, (10, 2))
    return centre[generator.integers(10, size=EVENTS)] + generator.normal(0, 2.0, (EVENTS, 2))


BLOCKED = {
    "cells": lambda at: blocks.cells(at, 5.0),
    "clusters": lambda at: blocks.clusters(at, 3.0),
    "stations": lambda at: blocks.by_station_group(
        np.repeat(np.floor(at / 20)[:, None], 2, 1)[..., [0, 1, 1]], np.ones((len(at), 2), bool), ("XX.A", "XX.B")
    ),
}


@pytest.mark.parametrize("name", BLOCKED)
@pytest.mark.parametrize("number", [2, 4])
def test_no_block_is_split(epicentre_km, name, number):
    block = BLOCKED[name](epicentre_km)
    folds = blocks.leaving_out(block, number, 0.2, seed=0)
    assert len(folds) == number
    for fold in folds:
        parts = [set(block[index]) for index in fold]
        assert all(parts)
        assert all(first.isdisjoint(second) for first, second in itertools.combinations(parts, 2))
        assert sorted(np.concatenate(fold)) == list(range(EVENTS))
    # Each event is tested once.
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(EVENTS))


def test_clusters_are_apart_and_cells_have_their_size(epicentre_km):
    apart = np.linalg.norm(epicentre_km[:, None] - epicentre_km, axis=-1)
    linked, celled = blocks.clusters(epicentre_km, 3.0), blocks.cells(epicentre_km, 5.0)
    assert apart[linked[:, None] != linked].min() >= 3.0
    assert apart[celled[:, None] == celled].max() <= 5.0 * 2**0.5
    # Single linkage: from any event of a cluster another one is within reach.
    near = np.where(np.eye(EVENTS, dtype=bool), np.inf, apart).min(1)
    alone = np.bincount(linked)[linked] == 1
    assert (near[~alone] <= 3.0).all()


def test_folds_have_nearly_equal_numbers_of_events():
    block = np.repeat(np.arange(30), 5)
    assert {len(fold.test) for fold in blocks.leaving_out(block, 5, 0.2, seed=0)} == {30}


@pytest.mark.parametrize("ties", [False, True])
def test_forward_chaining_never_trains_on_later_events(ties):
    time = np.random.default_rng(1).uniform(0, 100, EVENTS)
    time = np.floor(time / 3) if ties else time
    time[:5] = np.nan
    folds = blocks.forward_chaining(time, 4, 0.2)
    assert len(folds) == 4
    for fold in folds:
        assert all(len(part) for part in fold)
        assert time[fold.train].max() <= time[fold.dev].min()
        assert time[fold.dev].max() < time[fold.test].min()
    tested = np.concatenate([fold.test for fold in folds])
    assert len(set(tested)) == len(tested)
    assert np.isfinite(time[tested]).all()
    assert len(tested) == pytest.approx(0.8 * 195, abs=0.04 * EVENTS)


def test_events_of_one_network_are_found_by_most_of_their_stations():
    codes, mask = ("OK.A", "GS.B", "GS.C"), np.array([[1, 0, 0], [1, 1, 1], [0, 1, 1]], bool)
    same = np.zeros((3, 3, 3))
    assert blocks.by_station_group(same, mask, codes).tolist() == [1, 0, 0]  # GS, OK in order of their codes


def test_distances_to_training_events():
    found = blocks.nearest_km(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, -10.0]]))
    assert found == pytest.approx([0.0, 5.0])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: blocks.cells(np.zeros((3, 2)), 0.0), "positive size in km, got 0"),
        (lambda: blocks.leaving_out(np.zeros(9, int), 3, 0.2, 0), "9 events are in 1 block; at least 3"),
        (lambda: blocks.leaving_out(np.arange(9), 1, 0.2, 0), "folds must be at least 2, got 1"),
        (lambda: blocks.leaving_out(np.arange(9), 3, 1.0, 0), "dev_share must be a share .* got 1"),
        (lambda: blocks.forward_chaining(np.arange(9.0), 4, 0.2), "9 events with a time are too few for 4 folds"),
    ],
)
def test_folds_that_cannot_be_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_held_out_events_are_the_latest_ones_and_whole_clusters(epicentre_km):
    time = np.random.default_rng(2).permutation(EVENTS).astype(float)
    held = blocks.held_out(epicentre_km, time, 0.2, 1.0, seed=0)
    late = np.flatnonzero(time >= EVENTS - 20)
    assert set(late) <= set(held)
    assert 30 <= len(held) <= 60  # clusters are whole: up to one cluster more than 40
    others = np.setdiff1d(np.arange(EVENTS), held)
    in_space = np.setdiff1d(held, late)
    apart = np.linalg.norm(epicentre_km[in_space][:, None] - epicentre_km[others], axis=-1)
    assert apart.min() > 1.0


@pytest.mark.parametrize("number", [2, 10])
def test_of_few_events_two_at_least_are_held_out_and_some_are_left(epicentre_km, number):
    held = blocks.held_out(epicentre_km[:number], np.arange(number), 0.1, 1.0, seed=0)
    assert 2 <= len(held) <= max(2, number // 2)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_cannot_be_held_out_is_refused(epicentre_km, share):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {share}"):
        blocks.held_out(epicentre_km, np.arange(EVENTS), share, 1.0, seed=0)
