"""Panakkat and Adeli (2009), second formulation: time and place of the next large event.

A period ends with each large event. Aftershocks by the windows of Gardner and Knopoff are excluded from the large
events (`decluster`), since they follow within minutes nearby and would dominate the score. The interval that is open at
the end of training is censored, and forecast again from then on.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxloc import prng
from jaxloc.forecasting import next_event, windows
from jaxloc.forecasting.declustering import is_main
from jaxloc.forecasting.indicators import Indicators, Settings, indicators
from jaxloc.forecasting.next_event import Next, Places, Waiting
from jaxloc.forecasting.panakkat2009 import Model
from jaxloc.forecasting.periods import periods_of
from jaxloc.io.event_list import EventList, chosen
from jaxloc.training.fitting import Fitted, Problem, Row, fit, outputs
from jaxloc.training.log import OnStep, Say

Config = Mapping[str, Any]
MIN_EVENTS = 5  # smallest number of large training events
LEVELS = (np.arange(200) + 0.5) / 200
MIN_DAYS = 0.01


class Material(NamedTuple):
    """Inputs and outcomes of forecasts at large events, before and after the end of training.

    The first test row is the last training event, from the end of training on; `last_km` is each row's epicentre.
    """

    kind: str
    waiting: Waiting
    exponential_days: float
    places: Places
    train: Row
    test: Row
    test_day: Float[np.ndarray, " test"]
    last_km: Float[np.ndarray, "test 2"]


class Forecasts(NamedTuple):
    """Of test rows, by draw of weights: quantiles of waiting times, mean epicentres, log densities of the outcomes."""

    days: Float[np.ndarray, "draw test level"]
    middle_km: Float[np.ndarray, "draw test 2"]
    log_time: Float[np.ndarray, "draw test"]
    log_place: Float[np.ndarray, "draw test"]


def material(config: Config, events: EventList) -> Material:
    """Large events, the indicators of the periods between them, and their climatology.

    Raises:
        ValueError: where there are too few large training events, or no test event.
    """
    data, own = config["data"], config["data"]["periods"]
    published = bool(config["model"]["published"])
    (start, train_until, _, until), events = periods_of(data, events)
    events = chosen(events, events.magnitude >= float(data["least_magnitude"]))
    large = chosen(events, events.magnitude >= float(own["magnitude"]))
    large = chosen(large, is_main(large)) if own["decluster"] else large
    place = np.stack([large.east_km, large.north_km], -1)
    training = (large.day >= start) & (large.day < train_until)
    if training.sum() < MIN_EVENTS or not (large.day >= train_until).any():
        raise ValueError(
            f"{training.sum()} large training events (at least {MIN_EVENTS}) and {(large.day >= train_until).sum()} "
            f"test events (at least 1) with data.periods.magnitude={own['magnitude']}; use a smaller one"
        )
    kind = "normal" if published else str(own["waiting"])
    places = next_event.places_of(place[training])
    found, feedback = _periods(events, large, place, places, data)
    standard = windows.standard_of(Indicators(*(x[training] for x in found)))
    read = windows.stretches(windows.inputs(found, feedback, standard, published), int(own["memory"]))
    train = Row(read[training], _next(large.day, place, training, train_until, 0.0))
    last = np.flatnonzero(training)[-1]
    tested = np.arange(len(large.day)) >= last
    waited = np.maximum(train_until - large.day[tested], 0.0)
    test = Row(read[tested], _next(large.day, place, tested, until, waited))
    waiting = next_event.fitted_waiting(kind, train.target.waiting_days, train.target.over)
    exponential = next_event.fitted_exponential(train.target.waiting_days, train.target.over)
    made_at = np.maximum(large.day[tested], train_until)
    return Material(kind, waiting, exponential, places, train, test, made_at, place[tested])


def problem(config: Config, made: Material) -> Problem:
    """A row for each large event of the training years."""
    published = bool(config["model"]["published"])
    size = next_event.PUBLISHED_SIZE if published else next_event.SIZE
    of_row = partial(next_event.log_likelihood, made.kind, made.waiting, made.places)
    take = lambda index: jax.tree.map(lambda x: x[index], made.train)
    number = len(made.train.inputs)
    return Problem(Model(size, int(config["model"]["hidden"]), published), of_row, take, number, number)


def forecast(config: Config, made: Material, fitted: Fitted) -> Forecasts:
    """Of the test rows, by each draw of the weights."""
    raw = outputs(fitted, prng.stream("forecasts", int(config["seed"])), made.test.inputs)
    return read_out(made, jnp.asarray(raw))


def climate(made: Material) -> Forecasts:
    """The climatology: the forecast of the initial network, with the rate map of epicentres alone."""
    found = read_out(made, jnp.zeros((1, len(made.test_day), next_event.SIZE)))
    log_place = jax.vmap(partial(next_event.log_rate, made.places))(jnp.asarray(made.test.target.place_km))
    middle = np.broadcast_to(made.places.middle_km, found.middle_km.shape)
    return found._replace(log_place=np.asarray(log_place)[None], middle_km=middle)


def poisson(made: Material) -> Forecasts:
    """The same epicentres, and exponential waiting times of a Poisson process."""
    mean, target = made.exponential_days, made.test.target
    waited = np.asarray(target.waited_days)[:, None]
    days = waited - mean * np.log1p(-LEVELS)
    left = np.asarray(target.waiting_days - target.waited_days)
    log_time = -left / mean - np.where(target.over, np.log(mean), 0.0)
    return climate(made)._replace(days=days[None], log_time=log_time[None])


def read_out(made: Material, raw: Float[Array, "draw test raw"]) -> Forecasts:
    """Raw outputs of a network as forecasts."""

    def of_row(raw: Float[Array, " output"], target: Next) -> tuple[Array, ...]:
        waiting, own = next_event.changed_waiting(raw, made.waiting), next_event.own_place(raw, made.places)
        days = next_event.quantile_days(made.kind, waiting, jnp.asarray(LEVELS, jnp.float32), target.waited_days)
        return (
            days,
            next_event.middle_km(own, made.places),
            next_event.log_time(made.kind, waiting, target),
            next_event.log_place(own, made.places, target.place_km),
        )

    target = jax.tree.map(jnp.asarray, made.test.target)
    return Forecasts(*map(np.asarray, jax.jit(jax.vmap(jax.vmap(of_row), (0, None)))(raw, target)))


def run(config: Config, folder: Path, events: EventList, say: Say, on_step: OnStep | None) -> tuple[Material, Fitted]:
    """Indicators and training."""
    made = material(config, events)
    over = np.asarray(made.test.target.over)
    say(
        f"periods: {len(made.train.inputs)} training and {over.sum()} test events; usual waiting time "
        f"{made.exponential_days:.0f} days"
    )
    return made, fit({**config, "stages": config["stages"]["periods"]}, folder, problem(config, made), say, on_step)


def _periods(
    events: EventList, large: EventList, place: Float[np.ndarray, "large 2"], places: Places, data: Config
) -> tuple[Indicators, Float[np.ndarray, "large feedback"]]:
    """Indicators of the events between large events, the later one included; its magnitude, epicentre and time.

    The first period begins with the catalogue.
    """
    settings = Settings(tuple(data["characteristic"]), str(data["b_value"]))
    edges = np.searchsorted(events.day, large.day, side="right")
    spans = zip(np.concatenate([[0], edges[:-1]]), edges, strict=True)
    found = windows.stacked([indicators(events.day[a:b], events.magnitude[a:b], settings) for a, b in spans])
    length = np.maximum(np.diff(large.day, prepend=events.day[0]), MIN_DAYS)
    away = (place - np.asarray(places.middle_km)) / float(places.spread_km)
    feedback = [large.magnitude[:, None] - float(data["periods"]["magnitude"]), away, np.log10(length)[:, None] / 3]
    return found, np.concatenate([*feedback, np.ones_like(away[:, :1])], -1)


def _next(
    day: Float[np.ndarray, " large"],
    place: Float[np.ndarray, "large 2"],
    which: Int[np.ndarray, " row"],
    until: float,
    waited: Float[np.ndarray, " row"] | float,
) -> Next:
    """The outcome after each of the chosen events until the end."""
    following = np.append(day[1:], np.inf)[which]
    over = following < until
    after = np.concatenate([place[1:], place[:1]])[which]
    waiting = np.maximum(np.minimum(following, until) - day[which], MIN_DAYS)
    after = np.where(over[:, None], after, 0.0)
    waited = np.broadcast_to(waited, waiting.shape)
    return Next(*map(jnp.asarray, (waiting, over, after, waited)))
