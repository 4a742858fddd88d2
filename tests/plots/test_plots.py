"""Every picture is written, whole, from ordinary and from awkward input."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.distributions.gaussian_mixture import HypocentreMixture, gaussian_mixture
from jaxloc.plots import maps, style
from jaxloc.plots import scores as scores_

RNG = np.random.default_rng(0)
STATIONS = np.concatenate([RNG.uniform(-30, 30, (12, 2)), np.zeros((12, 1))], 1)
MASK = np.ones(12, bool)


def bent_mixture() -> HypocentreMixture:
    t = np.linspace(-1, 1, 20)
    centre = np.stack([12 + 2 * t, -8 + 1.5 * t**2, 9 + 3 * t, 4 - 0.3 * t], 1)
    tril = np.diag([0.35, 0.3, 0.8, 0.1])[None]
    return gaussian_mixture(jnp.asarray(-2 * t**2), jnp.asarray(centre), jnp.asarray(tril))


def fake_scores(num_events: int = 60, unknown: bool = False) -> dict[str, np.ndarray]:
    scores: dict[str, np.ndarray] = {}
    for region in ("east", "north", "depth", "origin", "epicentre", "hypocentre"):
        stated = RNG.lognormal(0, 0.5, num_events)
        scores[f"{region}/stated"] = stated
        scores[f"{region}/error"] = stated * RNG.normal(size=num_events)
        scores[f"{region}/pit"] = RNG.uniform(size=num_events)
        scores[f"{region}/level"] = RNG.uniform(size=num_events)
    if unknown:
        return {name: np.full(num_events, np.nan) for name in scores}
    scores["origin/pit"][:] = scores["origin/error"][:] = np.nan
    return scores


def fake_card(value: float) -> dict:
    estimate = {"value": value, "low": 0.9 * value, "high": 1.1 * value}
    names = {"error": "mean mae", "energy": "mean", "nll": "mean", "coverage": "90", "width90": "median"}
    region = {name: dict.fromkeys(inner.split(), estimate) for name, inner in names.items()}
    undefined = {"value": None, "low": None, "high": None}
    return {r: region | {"rank_correlation": undefined} for r in ("epicentre", "depth", "hypocentre")}


def record(num_stations: int, known: bool) -> dict:
    times = RNG.uniform(2, 8, (num_stations, 2))
    return {
        "waveforms": RNG.normal(size=(num_stations, 3, 500)),
        "rate_hz": 50.0,
        "distance_km": RNG.uniform(0, 50, num_stations),
        "station_mask": np.arange(num_stations) > 0,
        "arrival_s": np.where(RNG.uniform(size=times.shape) < 0.5, np.nan, times) if known else None,
        "predicted_s": times if known else None,
        "probability": RNG.dirichlet(np.ones(500), (num_stations, 2)) if known else None,
    }


def draw_events(path: Path, known: bool) -> None:
    number = 8
    estimate, tril = RNG.normal(0, 10, (number, 1, 4)), np.broadcast_to(np.eye(4), (number, 1, 4, 4))
    mixtures = gaussian_mixture(jnp.zeros((number, 1)), jnp.asarray(estimate), jnp.asarray(tril))
    truth = estimate[:, 0] + RNG.normal(size=(number, 4))
    maps.overview_map(path, mixtures, truth, np.full((number, 4), known), STATIONS)


LOG = [{"step": i, "loss": 9 / (1 + i), "dev_energy_km": 3.0} for i in range(5)]
LONG_LOG = [{"step": i, "loss": float("nan") if i == 3 else RNG.normal()} for i in range(300)]
FLAT = gaussian_mixture(jnp.zeros(1), jnp.zeros((1, 4)), jnp.diag(jnp.array([9.0, 0.01, 40.0, 1.0]))[None])

PICTURES: dict[str, Callable[[Path], None]] = {
    "event": lambda p: maps.event_map(p, bent_mixture(), STATIONS, MASK, np.array([11.3, -7.6, 8.2, 4.0]), "M 1.4"),
    "event of unknown truth": lambda p: maps.event_map(p, FLAT, STATIONS, MASK),
    "event of unknown depth": lambda p: maps.event_map(
        p, FLAT, STATIONS[:1], MASK[:1], np.array([40.0, 2.0, np.nan, np.nan])
    ),
    "overview": lambda p: draw_events(p, True),
    "overview of unknown truth": lambda p: draw_events(p, False),
    "section": lambda p: maps.waveform_section(p, **record(12, True)),
    "section of many stations": lambda p: maps.waveform_section(p, **record(100, False)),
    "stated": lambda p: scores_.error_against_stated(p, fake_scores()),
    "stated, unknown": lambda p: scores_.error_against_stated(p, fake_scores(unknown=True)),
    "pit": lambda p: scores_.pit_histograms(p, fake_scores()),
    "coverage": lambda p: scores_.coverage_curve(p, {"a": fake_scores(), "b": fake_scores(30)}),
    "coverage, unknown": lambda p: scores_.coverage_curve(p, {"a": fake_scores(unknown=True)}),
    "training": lambda p: scores_.training_curve(p, LOG),
    "long training": lambda p: scores_.training_curve(p, LONG_LOG),
    "cards": lambda p: scores_.compare_cards(p, {"ours": fake_card(0.8), "other": fake_card(20.0)}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "picture.png"
    PICTURES[name](path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert path.stat().st_size > 10_000
    assert [p.name for p in path.parent.iterdir()] == ["picture.png"]  # nothing temporary is left


def test_a_failed_picture_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.png"
    path.write_text("old")
    broken = style.figure(2, 2)

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(broken, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        style.save(path, broken)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_shades_hold_the_mass_they_state() -> None:
    """The thresholds of the regions, at which contours are drawn, against exact ones of a Gaussian."""
    mixture = gaussian_mixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.eye(2)[None])
    draws = mixture.sample(jax.random.key(0), (20_000,))
    threshold = np.quantile(mixture.log_prob(draws), 1 - np.array(maps.HPD_LEVELS))
    exact = np.log(1 - np.array(maps.HPD_LEVELS)) - np.log(2 * np.pi)
    np.testing.assert_allclose(threshold, exact, atol=0.1)  # sd of the 5 % quantile: 0.03


def test_pyplot_is_never_imported() -> None:
    code = "import sys, jaxloc.plots.maps; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_log_without_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="step"):
        scores_.training_curve(tmp_path / "x.png", [{"loss": 1.0}])
