"""Normalised correlation and stacks against their definitions."""

import numpy as np
import pytest
from matched_records import RATE_HZ, swarm, templates_of

from jaxloc.detection.matched_filter import normalised_correlation, stacks
from jaxloc.detection.template_weights import noise_variance, weights
from jaxloc.detection.templates import Templates

LENGTH, BLOCK = 100, 1024


def _case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three channels: noise, a loud event in noise, and a gap; two templates cut from them."""
    rng = np.random.default_rng(0)
    records = rng.normal(size=(3, 5000)).astype(np.float32) + np.array([[0.0], [0.0], [30.0]], np.float32)
    records[1, 2000:2080] *= 300
    usable = np.ones(records.shape, bool)
    usable[2, 3000:3004] = False
    values = np.stack([records[:, at : at + LENGTH] for at in (700, 4200)])
    return records, usable, values - values.mean(-1, keepdims=True)


def test_coefficients_are_those_of_double_precision_and_zero_where_a_window_touches_a_gap() -> None:
    records, usable, values = _case()
    found = normalised_correlation(records, usable, values, BLOCK)
    windows = np.lib.stride_tricks.sliding_window_view(records.astype(float), LENGTH, -1)
    windows = windows - windows.mean(-1, keepdims=True)
    unit = values / np.linalg.norm(values, axis=-1, keepdims=True)
    expected = np.einsum("cnl,tcl->tcn", windows, unit) / np.linalg.norm(windows, axis=-1)
    touches = ~np.lib.stride_tricks.sliding_window_view(usable, LENGTH, -1).all(-1)
    assert np.abs(np.where(touches, 0, found - expected)).max() < 1e-4
    assert (found[:, touches] == 0).all()
    assert touches.sum() == LENGTH + 3
    assert np.abs(found).max() <= 1 + 1e-4
    np.testing.assert_allclose(found[[0, 0, 0, 1, 1, 1], [0, 1, 2] * 2, [700] * 3 + [4200] * 3], 1, atol=1e-4)


def test_windows_without_a_signal_have_a_coefficient_of_zero() -> None:
    records, usable, values = _case()
    records[0, 2500:2800] = 1e-5 * records[0, 2500:2800]
    found = normalised_correlation(records, usable, values, BLOCK)
    assert (found[:, 0, 2500 : 2801 - LENGTH] == 0).all()


@pytest.mark.parametrize("block", [512, 700])
def test_coefficients_do_not_depend_on_the_block(block: int) -> None:
    records, usable, values = _case()
    found = (normalised_correlation(records, usable, values, size) for size in (BLOCK, block))
    np.testing.assert_allclose(*found, atol=1e-4)


def _stacked(records: np.ndarray, usable: np.ndarray, templates: Templates) -> np.ndarray:
    """The definition: windows one by one, missing where they are not whole."""
    number = records.shape[-1]
    total, power = (np.zeros((len(templates.id), number)) for _ in range(2))
    weight, variance = weights(templates), noise_variance(templates)
    for row, template in enumerate(templates.template):
        at, length = (templates.station[row], templates.component[row]), templates.length[row]
        windows = np.lib.stride_tricks.sliding_window_view(records[at].astype(float), length)
        windows = windows - windows.mean(-1, keepdims=True)
        value = templates.value[row, :length].astype(float)
        coefficient = windows @ value / np.linalg.norm(value) / np.maximum(np.linalg.norm(windows, axis=-1), 1e-9)
        whole = np.lib.stride_tricks.sliding_window_view(usable[at], length).all(-1)
        moved = slice(templates.moveout[row], None)
        some = np.where(whole, coefficient, 0)[moved]
        total[template, : len(some)] += weight[row] * some
        power[template, : len(some)] += (weight[row] ** 2 * variance[row] * whole)[moved]
    return np.where(power > 0, total / np.sqrt(np.maximum(power, 1e-30)), 0)


@pytest.mark.parametrize(("block", "gaps"), [(4096, ()), (1024, ((1, 4000, 4100), (2, 0, 9000)))])
def test_stacks_are_their_definition_in_blocks(block: int, gaps: tuple) -> None:
    made = swarm(gaps=gaps)
    templates = templates_of(made)
    parts = list(stacks(made.records, made.usable, templates, block))
    assert [part.first for part in parts] == np.cumsum([0, *(part.z.shape[1] for part in parts[:-1])]).tolist()
    found = np.concatenate([part.z for part in parts], 1)
    expected = _stacked(made.records, made.usable, templates)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_array_equal(np.concatenate([part.live for part in parts], 1), expected != 0)


def test_a_template_finds_itself_where_it_was_cut() -> None:
    made = swarm()
    templates = templates_of(made)
    z = np.concatenate([part.z for part in stacks(made.records, made.usable, templates, 4096)], 1)
    place = (made.origin_s[:2] + templates.lead_s) * RATE_HZ
    np.testing.assert_allclose(z.argmax(1), place, atol=1e-6)
    weight, power = weights(templates), weights(templates) ** 2 * noise_variance(templates)
    of_one = [weight[own].sum() / np.sqrt(power[own].sum()) for own in (templates.template == row for row in (0, 1))]
    np.testing.assert_allclose(z.max(1), of_one, rtol=1e-4)


def test_windows_longer_than_half_a_block_are_refused() -> None:
    made = swarm()
    with pytest.raises(ValueError, match="half a block of 256 samples, got 175"):
        next(stacks(made.records, made.usable, templates_of(made), 256))
