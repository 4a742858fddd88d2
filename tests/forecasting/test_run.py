"""Forecasting networks from end to end, on simulated catalogues; nothing from later is known earlier."""

import json

import jax
import numpy as np
import pytest

from jaxloc.forecasting import kail, panakkat_cells, panakkat_periods
from jaxloc.forecasting.run import run
from jaxloc.forecasting.table import markdown, rows_of
from jaxloc.io.event_list import EventList, day_of
from jaxloc.runs import config as configuration
from jaxloc.training.fitting import fit

SMALL = {
    "kail2021": [
        "data.start=1990-01-01", "data.train_until=1994-01-01", "data.test_from=1994-03-01",
        "data.test_until=1996-01-01", "data.box_km=[0,300,0,300]", "data.magnitudes=[3.5]", "data.burn_in_days=100",
        "data.memory_days=[100]", "data.warm_up=2", "data.stretch=6", "model.width=2", "model.hidden=2",
        "stages.learn.steps=4", "stages.weights.steps=4", "posterior.draws=2",
    ],
    "panakkat2009": [
        "data.start=1990-01-01", "data.train_until=1994-01-01", "data.test_from=1994-01-01",
        "data.test_until=1996-01-01", "data.box_deg=[-118,-116,34,36]", "data.cells.memory=3",
        "data.cells.magnitudes=[3.5]", "data.periods.magnitude=4.5", "model.hidden=3", "posterior.draws=2",
        "stages.cells.learn.steps=4", "stages.cells.weights.steps=4", "stages.cells.learn.per_call=2",
        "stages.cells.weights.per_call=2", "stages.periods.learn.steps=2", "stages.periods.weights.steps=2",
    ],
}  # fmt: skip


def clustered(seed=0, years=6.0, mothers=500):
    """Events in a box of 300 km, each with some others after it and nearby, more of them north-east."""
    rng = np.random.default_rng(seed)
    when = rng.uniform(0, 365.25 * years, mothers)
    where = 300 * rng.beta(2, 1, (mothers, 2))
    which = np.repeat(np.arange(mothers), rng.geometric(0.4, mothers))
    later = rng.exponential(60.0, len(which)) * np.append(np.diff(which) == 0, False)
    day = day_of("1990-01-01") + when[which] + later
    east, north = (where[which] + rng.normal(0, 10, (len(which), 2))).T
    size = 3 + rng.exponential(0.5, len(which))
    events = EventList(day, east, north, size, 34 + north / 150, -118 + east / 150)
    kept = (day < day_of("1990-01-01") + 365.25 * years) & (np.abs(np.stack([east, north]) - 150) < 149).all(0)
    order = np.argsort(day[kept])
    return EventList(*(x[kept][order] for x in events))


def rewritten(events, day):
    """The same events up to a day, others after it."""
    other = clustered(seed=1)
    early, late = events.day < day, other.day >= day
    return EventList(*(np.concatenate([a[early], b[late]]) for a, b in zip(events, other, strict=True)))


def configured(name, tmp_path, *more):
    return configuration.load(name, [*SMALL[name], "posterior=mean_field", f"run_dir={tmp_path / 'run'}", *more])


def written(kind, events, path):
    """A catalogue file of these events."""
    dates = np.datetime64("1970-01-01T00:00:00.000") + (events.day * 86_400_000).astype("timedelta64[ms]")
    if kind == "japan":
        head, columns = "time,latitude,longitude,magnitude,x,y", (events.magnitude, events.north_km, events.east_km)
        columns = (np.full(len(dates), 36), np.full(len(dates), 140), *columns)
    else:
        head, columns = "time_utc,lat,lon,mag", (events.latitude_deg, events.longitude_deg, events.magnitude)
    lines = [f"{date},{','.join(map(str, row))}" for date, *row in zip(dates, *columns, strict=True)]
    path.write_text("\n".join([head, *lines]))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("kail2021", "japan"), ("panakkat2009", "southern_california")])
def test_a_run_leaves_scores_forecasts_and_pictures(name, kind, tmp_path):
    """And goes on where it stopped: a second run trains nothing, and its table is the same."""
    path = written(kind, clustered(), tmp_path / "catalogue.csv")
    config, lines = configured(name, tmp_path, f"data.path={path}"), []
    folder = run(config, tmp_path / "run", lines.append)
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["about"]["task"] == "forecast"
    for target in scores["targets"]:
        assert target["network"]["happened"] > 0
        assert {"low", "high"} <= set(target["network"]["information_gain"])
        assert np.isfinite(target["over_recent"]["value"])
    assert (folder / "forecasts.csv").read_text().count("\n") > 10
    assert {p.name for p in (folder / "pictures").glob("*.png")} == {"reliability.png", "probabilities.png"}
    table = (folder / "table.md").read_text()
    assert table == markdown(rows_of([folder]))
    assert ("| events (open) |" in table) == (name == "panakkat2009")
    assert any("done in" in line for line in lines)
    lines.clear()
    run(config, folder, lines.append)
    assert not any("done in" in line for line in lines)
    assert (folder / "table.md").read_text() == table


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda tmp_path, config, events: rows_of([tmp_path]), "must be a finished run of a forecasting network"),
        (
            lambda tmp_path, config, events: run({**config, "model": {"name": "oracle"}}, tmp_path / "run", print),
            "use one of kail2021, panakkat2009",
        ),
        (
            lambda tmp_path, config, events: kail.material(
                configured("kail2021", tmp_path, "data.box_km=[9000,9100,0,100]"), events
            ),
            "in box_km",
        ),
        (
            lambda tmp_path, config, events: kail.problem(
                config, kail.material(configured("kail2021", tmp_path), events)._replace(train=np.arange(3))
            ),
            "have no sequence",
        ),
        (
            lambda tmp_path, config, events: panakkat_periods.material(
                configured("panakkat2009", tmp_path, "data.periods.magnitude=9"), events
            ),
            "large training events",
        ),
    ],
)
def test_wrong_runs_are_named(tmp_path, action, message):
    config = configured("kail2021", tmp_path)
    events = clustered()
    for name, made in (("kail2021", kail.material), ("panakkat2009", panakkat_cells.material)):
        with pytest.raises(ValueError, match="must follow one another"):
            made(configured(name, tmp_path, "data.test_from=1993-01-01"), events)
    with pytest.raises(ValueError, match=message):
        action(tmp_path, config, events)


def test_maps_know_nothing_of_what_comes_later(tmp_path):
    """Other events from May 1995 on: training rows and rate map are the same, and all forecasts made before."""
    config, day = configured("kail2021", tmp_path), day_of("1995-05-01")
    one, other = (kail.material(config, events) for events in (clustered(), rewritten(clustered(), day)))
    np.testing.assert_array_equal(one.rates, other.rates)
    index = np.arange(5)
    first, second = (kail.problem(config, made).take(index) for made in (one, other))
    assert all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(second)))
    fitted = fit(config, tmp_path, kail.problem(config, one), print)
    at = one.steps.start_day + one.steps.step_days * (one.test + 1)
    early, late = (kail.forecast(config, made, fitted, made.test) for made in (one, other))
    np.testing.assert_array_equal(early[:, at <= day], late[:, at <= day])
    assert (early[:, at > day + 30] != late[:, at > day + 30]).any()
    assert (one.outcomes[one.test] != other.outcomes[other.test]).any()


def test_indicators_know_nothing_of_what_comes_later(tmp_path):
    config, day = configured("panakkat2009", tmp_path), day_of("1995-05-01")
    one, other = (panakkat_cells.material(config, events) for events in (clustered(), rewritten(clustered(), day)))
    np.testing.assert_array_equal(one.climate.rate, other.climate.rate)
    known = one.steps.start_day + one.steps.step_days * np.arange(1, one.steps.number + 1) <= day
    np.testing.assert_array_equal(one.features[known], other.features[known])
    assert (one.features[~known] != other.features[~known]).any()
    np.testing.assert_array_equal(one.largest[one.train + 1], other.largest[other.train + 1])


def test_periods_know_nothing_of_what_comes_later(tmp_path):
    """The interval that is open when training ends is censored, whatever came after it."""
    config, day = configured("panakkat2009", tmp_path), day_of("1994-01-01")
    one, other = (panakkat_periods.material(config, events) for events in (clustered(), rewritten(clustered(), day)))
    assert all(map(np.array_equal, jax.tree.leaves(one.train), jax.tree.leaves(other.train)))
    assert one.waiting == other.waiting
    over = np.asarray(one.train.target.over)
    assert over[:-1].all()
    assert not over[-1]
    # It is forecast once more from then on: the first test row has waited for as long.
    assert one.test.target.waited_days[0] == one.train.target.waiting_days[-1]
    assert one.test.target.waiting_days[0] > one.test.target.waited_days[0]


MORE = {
    "kail2021": ["stages.learn.steps=150", "stages.weights.steps=50", "stages.learn.learning_rate=3e-3"],
    # Draws of weights under a wide prior, averaged, give other rates than the map: the point estimate is what learns.
    "panakkat2009": ["stages.cells.learn.steps=200", "stages.cells.weights.steps=0", "formulations=[cells]"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("kail2021", "japan"), ("panakkat2009", "southern_california")])
def test_shuffled_targets_teach_the_rate_map(name, kind, tmp_path):
    """A trained network gains nothing over it, and costs little."""
    path = written(kind, clustered(), tmp_path / "catalogue.csv")
    config = configured(name, tmp_path, f"data.path={path}", "data.shuffled=true", *MORE[name])
    folder = run(config, tmp_path / "run", lambda line: None)
    found = json.loads((folder / "scores.json").read_text())["targets"][0]["network"]
    assert found["information_gain"]["low"] < 0.01
    assert found["information_gain"]["value"] > -0.05
    assert abs(found["brier_skill"]["value"]) < 0.03
