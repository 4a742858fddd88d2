"""Onsets without a network: records that hold an event, and records that hold none."""

import numpy as np
import pytest

from jaxloc.data.onsets import first_onset_s, no_event, onsets_of

RATE_HZ, SAMPLES = 20.0, 800


def event(onset_s=(8.0, 9.0, 10.0, 11.0, 12.0), decay_s=6.0, seed=0):
    """Noise of unit size and, from each onset on, an envelope of 30 that decays: [station, component, sample]."""
    rng = np.random.default_rng(seed)
    after_s = np.arange(SAMPLES) / RATE_HZ - np.array(onset_s)[:, None]
    envelope = np.where(after_s > 0, 30 * np.exp(-np.maximum(after_s, 0) / decay_s), 0.0)
    return rng.normal(size=(len(onset_s), 3, SAMPLES)) * (1 + envelope[:, None])


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e-30, 1e8])
def test_an_event_of_any_unit_has_its_onsets(scale):
    found = onsets_of(event() * scale, RATE_HZ)
    assert no_event(found) == ""
    np.testing.assert_allclose(found.onset_s, [8, 9, 10, 11, 12], atol=0.15)
    assert first_onset_s(found) == pytest.approx(9.0, abs=0.15)
    # Energy of 30^2 over that of noise, with half a second's decay within the second after the onset.
    np.testing.assert_allclose(found.log_ratio, np.log(1 + 31**2 * np.exp(-2 * 0.5 / 6)), atol=0.5)


@pytest.mark.parametrize(
    ("waveforms", "reason"),
    [
        (np.random.default_rng(1).normal(size=(12, 3, SAMPLES)), "0 of 12 stations have an onset"),
        (event(decay_s=2.0)[..., ::-1], "ends more sharply than it begins"),
        (np.zeros((4, 3, SAMPLES)), "no station has a record"),
        (np.concatenate([event()[:2], np.random.default_rng(2).normal(size=(9, 3, SAMPLES))]), "2 of 11 stations"),
        (np.random.default_rng(1).normal(size=(12, 3, 20)), "0 of 12 stations have an onset"),
    ],
)
def test_records_without_an_event_are_named(waveforms, reason):
    assert reason in no_event(onsets_of(waveforms, RATE_HZ))


def test_a_single_station_is_enough_where_there_is_one():
    assert no_event(onsets_of(event()[:1], RATE_HZ)) == ""


def test_the_edges_of_an_unrecorded_stretch_are_no_onsets():
    waveforms = np.random.default_rng(3).normal(size=(5, 3, SAMPLES))
    mask = np.ones((5, SAMPLES), bool)
    mask[:, 300:400] = False
    waveforms[:, :, 300:400] = 0
    assert no_event(onsets_of(waveforms, RATE_HZ)) == ""  # without a mask, the record seems to begin there
    assert no_event(onsets_of(waveforms, RATE_HZ, mask)).startswith("0 of 5")
