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
from jaxloc.geometry import Frame, to_degrees, to_km
from jaxloc.plots import maps, overview, score_cards, style, waveforms
from jaxloc.plots import scores as scores_
from jaxloc.plots.geography import Geography, degrees_on, scale_bar

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
    overview.overview_map(path, mixtures, truth, np.full((number, 4), known), STATIONS)


GEOGRAPHY = Geography(Frame(-36.2, 179.9), tuple(f"XX.S{i:02d}" for i in range(12)))
PICKS = {"pick_s": RNG.uniform(2, 8, (12, 2)), "station_names": GEOGRAPHY.station_names}


LOG = [{"step": i, "loss": 9 / (1 + i), "dev_energy_km": 3.0} for i in range(5)]
LONG_LOG = [{"step": i, "loss": float("nan") if i == 3 else RNG.normal()} for i in range(300)]
KEY = jax.random.key(0)
FLAT = gaussian_mixture(jnp.zeros(1), jnp.zeros((1, 4)), jnp.diag(jnp.array([9.0, 0.01, 40.0, 1.0]))[None])

PICTURES: dict[str, Callable[[Path], None]] = {
    "event": lambda p: maps.event_map(
        KEY, p, bent_mixture(), STATIONS, MASK, np.array([11.3, -7.6, 8.2, 4.0]), "M 1.4"
    ),
    "event with names and degrees": lambda p: maps.event_map(KEY, p, FLAT, STATIONS, MASK, geography=GEOGRAPHY),
    "event of unknown truth": lambda p: maps.event_map(KEY, p, FLAT, STATIONS, MASK),
    "event of unknown depth": lambda p: maps.event_map(
        KEY, p, FLAT, STATIONS[:1], MASK[:1], np.array([40.0, 2.0, np.nan, np.nan])
    ),
    "overview": lambda p: draw_events(p, True),
    "overview of unknown truth": lambda p: draw_events(p, False),
    "section": lambda p: waveforms.waveform_section(p, **record(12, True)),
    "section with picks and names": lambda p: waveforms.waveform_section(p, **record(12, True) | PICKS),
    "section of many stations": lambda p: waveforms.waveform_section(p, **record(100, False)),
    "stated": lambda p: scores_.error_against_predicted_sd(p, fake_scores()),
    "stated, unknown": lambda p: scores_.error_against_predicted_sd(p, fake_scores(unknown=True)),
    "pit": lambda p: scores_.pit_histograms(p, fake_scores()),
    "coverage": lambda p: scores_.coverage_curve(p, {"a": fake_scores(), "b": fake_scores(30)}),
    "coverage, unknown": lambda p: scores_.coverage_curve(p, {"a": fake_scores(unknown=True)}),
    "training": lambda p: scores_.training_curve(p, LOG),
    "long training": lambda p: scores_.training_curve(p, LONG_LOG),
    "cards": lambda p: score_cards.compare_cards(p, {"ours": fake_card(0.8), "other": fake_card(20.0)}),
    "reliability": lambda p: score_cards.reliability_diagram(p, {"ours": fake_card(0.8), "other": fake_card(0.5)}),
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


def test_shades_hold_their_nominal_mass() -> None:
    """The thresholds of the regions, at which contours are drawn, against exact ones of a Gaussian."""
    mixture = gaussian_mixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.eye(2)[None])
    draws = mixture.sample(jax.random.key(0), (20_000,))
    threshold = np.quantile(mixture.log_prob(draws), 1 - np.array(maps.HPD_LEVELS))
    exact = np.log(1 - np.array(maps.HPD_LEVELS)) - np.log(2 * np.pi)
    np.testing.assert_allclose(threshold, exact, atol=0.1)  # sd of the 5 % quantile: 0.03


SHALLOW = gaussian_mixture(jnp.zeros(1), jnp.array([[0.0, 0.0, 0.2, 0.0]]), jnp.diag(jnp.array([1.0, 1, 3, 1]))[None])


@pytest.mark.parametrize(("depth_km", "top_km"), [((-1.2, -0.3), -1.2), ((0.4, 2.0), 0.0)])
def test_sections_begin_at_the_highest_station_or_sea_level(depth_km: tuple[float, float], top_km: float) -> None:
    stations = np.array([[3.0, 4.0, depth_km[0]], [-3.0, -4.0, depth_km[1]]])
    assert maps.surface_km(stations) == top_km
    draws = np.asarray(SHALLOW.sample(jax.random.key(0), (4000,)))
    assert (draws[:, 2] < top_km).mean() > 0.2
    _, _, (shallowest, deepest) = maps._window(draws, np.full(4, np.nan), top_km)
    assert shallowest >= top_km - 1e-9
    assert deepest > np.quantile(draws[:, 2], 0.99)


@pytest.mark.parametrize(
    ("frame", "label", "place_deg"),
    [
        (Frame(36.0, -97.0), "97.0° W", (36.0, -97.0)),
        (Frame(-36.2, 179.9), "180.0° E", (-36.2, 180.0)),
        (Frame(-0.05, 0.05), "0.0° E", (-0.05, 0.0)),
    ],
)
def test_degrees_of_a_map_are_where_they_belong(frame: Frame, label: str, place_deg: tuple[float, float]) -> None:
    """A tick of longitude lies where the projection has it on the parallel through the middle."""
    axes = style.figure(5, 5).subplots()
    axes.set(xlim=(-30, 30), ylim=(-30, 30))
    degrees_on(axes, frame, np.zeros((0, 2)))
    ticks = axes.get_xticks()
    labels = [axes.xaxis.get_major_formatter()(tick) for tick in ticks]
    middle_deg = to_degrees(frame, np.zeros(1), np.zeros(1))[0][0]
    expected = float(to_km(frame, np.array(middle_deg), np.array(place_deg[1]))[0])
    assert dict(zip(labels, ticks, strict=True))[label] == pytest.approx(expected, abs=1e-6)
    assert axes.get_xlim() == (-30, 30)
    assert any(text.get_text() == "10 km" for text in axes.texts)


@pytest.mark.parametrize("corner", [(1, -1), (-1, -1), (1, 1)])
def test_the_scale_bar_keeps_clear_of_stations(corner: tuple[int, int]) -> None:
    axes = style.figure(5, 5).subplots()
    axes.set(xlim=(-30, 30), ylim=(-30, 30))
    crowd = 25.0 * np.array([corner]) + RNG.uniform(-3, 3, (20, 2))
    scale_bar(axes, crowd)
    place = np.array([axes.texts[-1].get_position()])
    assert np.linalg.norm(crowd - place, axis=1).min() > 10


def test_pyplot_is_never_imported() -> None:
    code = "import sys, jaxloc.plots.maps; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_log_without_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="step"):
        scores_.training_curve(tmp_path / "x.png", [{"loss": 1.0}])
