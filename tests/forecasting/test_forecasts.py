"""Forecasts: catalogues, indicators, maps, distributions and scores, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from jaxloc.forecasting import kail2021, largest, maps, next_event, panakkat2009, rate_map, scores
from jaxloc.forecasting.cases import Case, level_of_bias_one, within, write_csv
from jaxloc.forecasting.declustering import is_main
from jaxloc.forecasting.grid import any_within, cells_of, grid_over, probability_within, smoothed, sum_within
from jaxloc.forecasting.indicators import NAMES, Settings, features, indicators
from jaxloc.forecasting.largest import Climate
from jaxloc.forecasting.maps import Steps, Window
from jaxloc.forecasting.next_event import Next, Waiting
from jaxloc.forecasting.windows import inputs, stacked, standard_of, stretches
from jaxloc.io.event_list import EventList, date_of, day_of, read_event_list

HEADS = {
    "japan": "id,time,longitude,latitude,magnitude,x,y",
    "southern_california": "time_utc,etype,gtype,mag,magtype,lat,lon,depth_km,quality,evid,nphases,source",
}
LINES = {
    "japan": "0,1990-01-01 12:00:00.000,140.0,36.0,4.8,204.0,90.0",
    "southern_california": "1970-01-02T06:00:00.5,eq,l,3.0,h,34.5,-118.0,6.0,D,1,7,SCEC_DC",
}


def events_of(rows):
    """Events from rows of day, east, north, magnitude."""
    day, east, north, magnitude = np.array(rows, float).T
    return EventList(day, east, north, magnitude, north / 111, east / 111)


def draw_events(number=600, days=1000.0, seed=0):
    rng = np.random.default_rng(seed)
    day = np.sort(rng.uniform(0, days, number))
    return events_of(np.stack([day, *rng.uniform(0, 300, (2, number)), 3 + rng.exponential(0.5, number)], -1))


# Catalogues


@pytest.mark.parametrize("kind", HEADS)
def test_catalogues_are_read_in_order_of_time(tmp_path, kind):
    late = LINES[kind].replace("1990", "1991").replace("1970", "1971")
    path = tmp_path / "catalogue.csv"
    path.write_text("\n".join([HEADS[kind], late, LINES[kind]]))
    found = read_event_list(kind, path)
    assert np.diff(found.day) == 365
    assert found.magnitude[0] == {"japan": 4.8, "southern_california": 3.0}[kind]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("japan", {"east_km": 90, "north_km": 204}),
        (
            "southern_california",
            {
                "east_km": pytest.approx(0, abs=1e-6),
                "north_km": pytest.approx(0, abs=1e-6),
                "day": pytest.approx(1.25 + 0.5 / 86400, rel=1e-7),
            },
        ),
    ],
)
def test_axes_and_origins_of_catalogues(tmp_path, kind, expected):
    """The x of Japan grows to the north and its y to the east; 34.5 N 118 W is the origin in California."""
    (tmp_path / kind).write_text(f"{HEADS[kind]}\n{LINES[kind]}\n")
    found = read_event_list(kind, tmp_path / kind)
    for name, value in expected.items():
        assert getattr(found, name).item() == value, name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no such catalogue"),
        ("", "must be a table of comma-separated values"),
        (HEADS["japan"], "has no event"),
        ("id,time\n0,1990-01-01", "lacks the columns latitude"),
        (f"{HEADS['japan']}\n{LINES['japan'].replace('4.8', 'big')}", "magnitude 'big' in line 2"),
        (f"{HEADS['japan']}\n{LINES['japan'].replace('1990-01-01 12:00:00.000', 'noon')}", "time 'noon' in line 2"),
        (f"{HEADS['japan']}\n{LINES['japan'].replace('36.0', '136.0')}", "latitude 136"),
    ],
)
def test_bad_catalogues_are_named(tmp_path, text, says):
    path = tmp_path / "bad.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=says):
        read_event_list("japan", path)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda tmp_path: read_event_list("china", tmp_path), "use one of japan, southern_california"),
        (lambda tmp_path: day_of("yesterday"), "'yesterday' is no date"),
        (
            lambda tmp_path: indicators(np.arange(4.0), np.array([3.0, 3.1, 3.0, 3.4]), Settings(b_value="guess")),
            "aki_utsu",
        ),
        (lambda tmp_path: grid_over((0, -1, 0, 1), 1), "west < east"),
        (lambda tmp_path: scores.score(series(), 61), "1 to 60 forecasts"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, action, message):
    with pytest.raises(ValueError, match=message):
        action(tmp_path)


# Indicators


def test_indicators_by_hand():
    """Five events: N = 5, 4, 3, 2, 1 of at least 3.0, 3.5, 4.0, 4.5, 5.0, at days 0, 1, 3, 6, 10."""
    day, size = np.array([0.0, 1, 3, 6, 10]), np.array([4.0, 3.0, 5.0, 3.5, 4.5])
    found = indicators(day, size, Settings((4.0, 10.0)))
    log_n = np.log10([3, 5, 1, 4, 2])
    # Least squares about the mean 4: slope = sum (M - 4) log N / sum (M - 4)^2, the sum of squares being 2.5.
    slope = ((size - 4) * log_n).sum() / 2.5
    a = log_n.mean() - slope * 4
    misfit = ((log_n - a - slope * size) ** 2).sum() / 4
    root_energy = (10 ** (5.9 + 0.75 * size)).sum() / 10
    # Characteristic events at days 0, 3 and 10: intervals 3 and 7, mean 5, deviation 2.
    want = [10, 4, root_energy, -slope, misfit, 5 - a / -slope, 5, 2 / 5]
    np.testing.assert_allclose(found.value, want)
    assert found.known.all()
    by_logarithm = features(found)
    np.testing.assert_allclose(by_logarithm[[0, 2, 6]], np.log10([10, root_energy, 5]))


def test_dates_go_there_and_back():
    assert date_of(day_of("1995-12-31")) == "1995-12-31"


def test_the_b_value_of_aki_and_utsu():
    found = indicators(np.arange(4.0), np.array([3.0, 3.0, 3.0, 3.4]), Settings(b_value="aki_utsu"))
    np.testing.assert_allclose(found.value[NAMES.index("b_value")], np.log10(np.e) / (3.1 - 2.95))


@pytest.mark.parametrize(
    ("day", "size", "known"),
    [
        ([], [], []),
        ([1.0], [4.2], ["magnitude"]),
        ([1.0, 1.0], [3.0, 3.0], ["magnitude"]),
        ([1.0, 2.0, 3.0], [4.0, 3.2, 4.5], [n for n in NAMES if n != "aperiodicity"]),
        ([1.0, 2.0, 3.0], [3.0, 3.2, 3.5], [n for n in NAMES if n not in ("recurrence", "aperiodicity")]),
    ],
)
def test_what_a_window_is_too_short_for_is_masked(day, size, known):
    found = indicators(np.array(day), np.array(size))
    assert [name for name, yes in zip(NAMES, found.known, strict=True) if yes] == known
    assert (found.value[~found.known] == 0).all()


def test_a_flat_window_has_a_clipped_deficit():
    """Of two sizes in turn the b-value is small, and the expected largest magnitude without bounds."""
    found = indicators(np.arange(40.0), np.array([3.0, 7.0] * 20))
    assert abs(found.value[NAMES.index("deficit")]) <= 3


def test_network_inputs_mask_what_is_unknown():
    found = stacked(
        [indicators(np.arange(5.0), np.array([4.0, 3.0, 5.0, 3.5, 4.5])), indicators(np.ones(1), np.ones(1))]
    )
    feedback = np.ones((2, 3))
    both = inputs(found, feedback, standard_of(found), published=False)
    assert both.shape == (2, 19)
    assert (both[1, :8] == np.where(found.known[1], both[1, :8], 0)).all()
    np.testing.assert_array_equal(both[:, 8:16], found.known)
    assert inputs(found, feedback, standard_of(found), published=True).shape == (2, 8)
    read = stretches(np.arange(1.0, 5.0)[:, None], 3)[..., 0]
    np.testing.assert_array_equal(read, [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]])


# Maps and the rate map

GRID = grid_over((0, 300, 0, 200), 100)


def test_places_have_cells():
    row, column, inside = cells_of(GRID, np.array([5.0, 299, 301]), np.array([5.0, 199, 50]))
    np.testing.assert_array_equal(np.stack([row, column, inside]), [[0, 1, 0], [0, 2, 0], [True, True, False]])


def test_maps_of_steps():
    """Two events of a step in a cell: the last overwrites as published, the largest stays as repaired."""
    events = events_of([(0.1, 10, 10, 5.0), (0.9, 10, 10, 4.0), (1.5, 250, 150, 6.0), (9.0, 10, 10, 3.5)])
    steps = Steps(0.0, 1.0, 2)
    last = maps.last_magnitudes(events, GRID, steps)[..., 0]
    assert (last[0, 0, 0], last[1, 1, 2], (last > 0).sum()) == (4, 6, 2)
    both = maps.largest_and_number(events, GRID, steps)
    np.testing.assert_allclose(both[0, 0, 0], [2 / 3, np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(both[1, 1, 2], [1, np.log(2)], rtol=1e-6)


def test_exceedances_are_of_the_window_alone():
    """Windows are from 10 up to 50 days after the end of a step: days 11-51 and 12-52 here; above, not equal."""
    events = events_of([(5, 10, 10, 9), (11, 10, 10, 4), (11.5, 250, 10, 5), (51.5, 10, 150, 5.1), (53, 10, 10, 9)])
    found = maps.exceedances(events, GRID, Steps(0.0, 1.0, 2), Window(), [3.5, 5.0])
    np.testing.assert_array_equal(np.argwhere(found[0]), [[0, 0, 0], [0, 2, 0]])
    np.testing.assert_array_equal(np.argwhere(found[1]), [[1, 0, 0], [1, 0, 1]])


def test_recent_rates_are_rates_from_the_first_step_on():
    """An event a step gives the same rate whatever the memory; after it the shorter one forgets sooner."""
    number = np.concatenate([np.ones((20, 1, 1)), np.zeros((10, 1, 1))])
    found = maps.recent_rates(number, Steps(0.0, 5.0, 30), [30.0, 365.0], 0.0)[:, 0, 0]
    np.testing.assert_allclose(found[:20], np.log1p(73.05), rtol=1e-6)
    assert (found[21:, 0] < found[21:, 1]).all()


@pytest.mark.parametrize(
    ("radius_km", "expected"),
    [(100, [[True, True, False], [True, False, False]]), (99, [[True, False, False], [False, False, False]])],
)
def test_targets_within_a_radius(radius_km, expected):
    """With cells of 100 km, 100 km reaches the four neighbours."""
    outcome = np.zeros((1, 2, 3), bool)
    outcome[0, 0, 0] = True
    np.testing.assert_array_equal(any_within(outcome, GRID, radius_km), [expected])


def test_probabilities_within_a_radius_join_as_those_of_independent_events():
    p = np.full((2, 3), 0.1)
    np.testing.assert_allclose(probability_within(p, GRID, 100)[0, 1], 1 - 0.9**4)
    assert sum_within(p, GRID, 150)[0, 1] == pytest.approx(0.6)
    spread = smoothed(np.eye(6)[None], 1.0)
    assert spread.sum() == pytest.approx(6)
    assert spread[0, 0, 1] > 0


def test_the_rate_map_is_never_certain_and_right_on_the_whole():
    events = draw_events()
    steps = Steps(0.0, 5.0, 180)
    outcomes = maps.exceedances(events, GRID, steps, Window(), [3.5, 4.5])
    rates, smoothing = rate_map.fitted_rate_map(outcomes, 10)
    assert len(smoothing) == 2
    assert ((rates > 0) & (rates < 1)).all()
    np.testing.assert_allclose(rates.mean((0, 1)), outcomes.mean((0, 1, 2)), rtol=1e-6)
    with pytest.raises(ValueError, match="too few"):
        rate_map.fitted_rate_map(outcomes[:15], 10)


def test_recent_rates_count_where_they_are_informative_only():
    rng = np.random.default_rng(0)
    recent = rng.normal(size=(400, 4, 4, 1))
    rates = np.full((4, 4, 2), 0.2)
    probability = 1 / (1 + np.exp(-(rate_map.log_odds(np.array(0.2)) + 0.7 * recent[..., 0])))
    outcomes = rng.uniform(size=(400, 4, 4, 2)) < np.stack([probability, np.full(probability.shape, 0.2)], -1)
    found = rate_map.with_recent_rates(rates, (recent, outcomes), recent)
    assert np.abs(found[..., 0] - probability).max() < 0.15
    assert np.abs(found[..., 1] - 0.2).max() < 0.05


# Declustering


@pytest.mark.parametrize(("number", "expected"), [(5, [True, True, False, True, True]), (3, [True, True, False])])
def test_aftershocks_are_left_out_by_what_came_before_alone(number, expected):
    """An aftershock, one too far, one too late, and a foreshock, which stays."""
    rows = [(0, 0, 0, 5.0), (1, 10, 0, 6.5), (2, 20, 0, 5.5), (3, 200, 0, 5.5), (2000, 20, 0, 5.5)]
    np.testing.assert_array_equal(is_main(events_of(rows[:number])), expected)


# Distributions


@pytest.mark.parametrize("clustering", [0.3, 2.0, 1e6])
def test_the_largest_magnitude_is_a_distribution(clustering):
    """Its density and the probability of no event make one; without clustering it is Poisson's."""
    usual = Climate(jnp.asarray(0.8), 0.9, clustering, 3.0)
    density = lambda m: float(jnp.exp(largest.log_likelihood(usual, jnp.asarray(m))))
    mass = scipy.integrate.quad(density, 3.0, 12.0)[0]
    none = density(largest.NONE)
    assert mass + none == pytest.approx(1, abs=2e-4)
    above = scipy.integrate.quad(density, 4.0, 12.0)[0]
    assert float(largest.exceedance(usual, jnp.asarray(4.0))) == pytest.approx(above, abs=2e-4)
    if clustering > 1e5:
        assert none == pytest.approx(np.exp(-0.8), rel=1e-2)


def test_a_climate_is_found_again():
    """Negative binomial numbers of a known rate and clustering, magnitudes of a known b-value."""
    rng = np.random.default_rng(0)
    rate, clustering = np.array([0.2, 0.8, 3.0]), 0.7
    number = rng.poisson(rng.gamma(clustering, rate / clustering, (3000, 3)))
    top = 3 + np.array([[rng.exponential(np.log10(np.e), n).max(initial=-3) for n in row] for row in number])
    found = largest.fitted_climate(2 * rate, top, 1.0, 3.0)
    np.testing.assert_allclose(found.rate, rate, rtol=0.15)
    assert found.clustering == pytest.approx(clustering, rel=0.15)


@pytest.mark.parametrize(("kind", "times"), [("log_normal", "lognorm"), ("weibull", "weibull_min"), ("normal", "norm")])
def test_waiting_times_and_censoring_against_scipy(kind, times):
    """Density of a time that is over, survival of one that is not, and quantiles given what has passed."""
    location, scale = (200.0, 80.0) if kind == "normal" else (5.0, 0.7)
    own = {
        "log_normal": scipy.stats.lognorm(scale, scale=np.exp(location)),
        "weibull": scipy.stats.weibull_min(1 / scale, scale=np.exp(location)),
        "normal": scipy.stats.norm(location, scale),
    }[kind]
    waiting = Waiting(jnp.asarray(location), jnp.asarray(scale))
    log = lambda days, over: float(next_event.log_waiting(kind, waiting, jnp.asarray(days), jnp.asarray(over)))
    for days in (50.0, 150.0, 400.0):
        assert log(days, True) == pytest.approx(own.logpdf(days), rel=1e-4)
        assert log(days, False) == pytest.approx(own.logsf(days), rel=1e-3)
    level = np.array([0.1, 0.5, 0.9])
    fresh = next_event.quantile_days(kind, waiting, jnp.asarray(level), jnp.asarray(0.0))
    np.testing.assert_allclose(fresh, own.ppf(level), rtol=1e-3)
    late = next_event.quantile_days(kind, waiting, jnp.asarray(level), jnp.asarray(150.0))
    np.testing.assert_allclose(late, own.isf(own.sf(150.0) * (1 - level)), rtol=1e-3)
    target = Next(jnp.asarray(400.0), jnp.asarray(True), jnp.zeros(2), jnp.asarray(150.0))
    assert float(next_event.log_time(kind, waiting, target)) == pytest.approx(
        own.logpdf(400) - own.logsf(150), rel=1e-3
    )


def test_an_open_interval_makes_waiting_times_longer():
    """Exponential times cut at 150 days: the likelihood of a given shape has its maximum at all time by all events."""
    rng = np.random.default_rng(0)
    days = rng.exponential(150.0, 400)
    over, days = days < 150, np.minimum(days, 150)
    mean = next_event.fitted_exponential(days, over)
    assert mean == pytest.approx(150, abs=4 * 150 / np.sqrt(over.sum()))

    def loss(location, over):
        waiting = Waiting(jnp.asarray(location), jnp.ones(()))
        return -next_event.log_waiting("weibull", waiting, jnp.asarray(days), jnp.asarray(over)).sum()

    slope = jax.jit(jax.grad(loss))
    assert abs(float(slope(np.log(mean), over))) < 1e-3 * len(days)
    assert float(slope(np.log(mean), np.ones(400, bool))) > 0.3 * len(days)  # were all of them over: too long
    found = next_event.fitted_waiting("weibull", days, over)
    best = next_event.log_waiting("weibull", found, jnp.asarray(days), jnp.asarray(over)).sum()
    assert float(best) >= -float(loss(np.log(mean), over)) - 1e-2
    with pytest.raises(ValueError, match="log_normal, weibull"):
        next_event.log_waiting("gamma", found, jnp.ones(()), jnp.ones((), bool))


@pytest.mark.parametrize(
    "raw", [np.zeros(next_event.SIZE), np.array([0, 0, 2.0, 1, -1, -1, 0.5]), np.zeros(next_event.PUBLISHED_SIZE)]
)
def test_places_are_a_density(raw):
    """The mixture integrates to one, at zeros and other times; zeros are near the rate map."""
    places = next_event.places_of(np.array([[0.0, 0], [100, 50], [60, 200], [-50, 20]]))
    axis = np.linspace(-1500, 1500, 601)
    mesh = jnp.asarray(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2))
    own = next_event.own_place(jnp.asarray(raw), places)
    mass = jnp.exp(jax.vmap(lambda at: next_event.log_place(own, places, at))(mesh)).sum() * 25
    assert float(mass) == pytest.approx(1, abs=1e-3)
    usual = next_event.own_place(jnp.zeros(next_event.SIZE), places)
    assert float(jax.nn.sigmoid(usual.log_odds)) < 0.2


# Networks


def test_the_published_convolutional_lstm_has_58320_weights():
    seen = kail2021.Inputs(jnp.zeros((2, 5, 6, 1)), jnp.zeros((5, 6, 1)))
    shapes = jax.eval_shape(kail2021.Model(published=True).init, jax.random.key(0), seen)
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 58_320


def test_the_published_network_forecasts_one_magnitude_with_bounds():
    maps_ = jax.random.normal(jax.random.key(1), (2, 5, 6, 1))
    model = kail2021.Model(published=True)
    seen = kail2021.Inputs(maps_, jnp.full((5, 6, 1), -3.0))
    odds, params = jax.jit(model.init_with_output)(jax.random.key(0), seen)
    assert odds.shape == (2, 5, 6, 1)
    assert np.isfinite(odds).all()
    del params
    with pytest.raises(ValueError, match="one magnitude"):
        model.init(jax.random.key(0), seen._replace(log_odds=jnp.zeros((5, 6, 2))))


def test_untrained_networks_forecast_the_climatology():
    odds = jax.random.normal(jax.random.key(0), (5, 6, 2))
    seen = kail2021.Inputs(jax.random.normal(jax.random.key(1), (3, 5, 6, 4)), odds)
    log_odds, _ = jax.jit(kail2021.Model().init_with_output)(jax.random.key(2), seen)
    np.testing.assert_allclose(log_odds, jnp.broadcast_to(odds, log_odds.shape), atol=1e-6)
    raw, _ = jax.jit(panakkat2009.Model(3).init_with_output)(jax.random.key(2), jnp.ones((12, 19)))
    np.testing.assert_array_equal(raw, 0)
    usual = Climate(jnp.asarray(0.3), 1.0, 2.0, 3.0)
    assert largest.changed(jnp.zeros(3), usual) == usual


@pytest.mark.parametrize("published", [False, True])
def test_a_later_map_changes_no_earlier_forecast(published):
    model = kail2021.Model(width=3, hidden=3, published=published)
    first = jax.random.normal(jax.random.key(1), (4, 5, 6, 1))
    seen = kail2021.Inputs(first, jnp.full((5, 6, 1), -2.0))
    _, params = model.init_with_output(jax.random.key(0), seen)
    bare = jax.tree.map(lambda x: x + 0.1, params)  # weights of the read-out that are not zero
    apply = jax.jit(model.apply)
    before, after = apply(bare, seen), apply(bare, seen._replace(maps=first.at[2].add(1.0)))
    np.testing.assert_array_equal(before[:2], after[:2])
    assert (before[2:] != after[2:]).any()


# Scores


def series(seed=0, times=60, cells=30):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 4, (times, cells))
    return scores.ForecastSeries(p, rng.uniform(size=p.shape) < p, np.full(p.shape, p.mean()))


def test_scores_by_their_definitions():
    own = series()
    found = scores.score(own, 6)
    p, y, q = own
    gain = np.where(y, np.log(p / q), np.log((1 - p) / (1 - q))).sum() / y.sum()
    assert found["information_gain"]["value"] == pytest.approx(gain)
    assert found["brier"]["value"] == pytest.approx(((p - y) ** 2).mean())
    assert found["brier_skill"]["value"] == pytest.approx(1 - ((p - y) ** 2).mean() / ((q - y) ** 2).mean())
    order = np.argsort(-p, axis=None)
    hits = y.ravel()[order]
    precision = np.cumsum(hits) / np.arange(1, hits.size + 1)
    assert found["pr_auc"]["value"] == pytest.approx(precision[hits].mean())
    rank = scipy.stats.mannwhitneyu(p[y], p[~y]).statistic / (y.sum() * (~y).sum())
    assert found["roc_auc"]["value"] == pytest.approx(rank)
    assert found["roc_auc_reference"]["value"] == pytest.approx(0.5)
    assert found["pr_auc_reference"]["value"] == pytest.approx(y.mean())
    # True probabilities: better than their mean, and as many as expected.
    assert found["information_gain"]["low"] > 0
    assert found["expected"]["low"] < 1 < found["expected"]["high"]
    assert sum(each["number"] for each in found["reliability"]) == y.size


def test_a_forecast_gains_nothing_over_itself():
    own = series()
    same = scores.score(own._replace(reference=own.probability), 6, ranks=False)
    assert same["information_gain"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "pr_auc" not in same


def test_blocks_widen_intervals_of_what_hangs_together():
    """Each outcome twelve times: resampled one by one they pass for twelve times as many."""
    rng = np.random.default_rng(1)
    y = np.repeat(rng.uniform(size=(30, 1)) < 0.4, 12, axis=0)
    own = scores.ForecastSeries(np.full(y.shape, 0.4), y, np.full(y.shape, 0.5))
    wide, narrow = (scores.score(own, block, ranks=False)["brier"] for block in (12, 1))
    spread = lambda e: e["high"] - e["low"]
    assert 2 < spread(wide) / spread(narrow) < 6  # sqrt(12) = 3.5
    draws = scores.blocks(20, 6)
    assert (draws.sum(1) == 20).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda own: own._replace(probability=own.probability + 2), "within 0 to 1"),
        (lambda own: own._replace(reference=own.reference[:5]), "equal shapes"),
        (lambda own: own._replace(outcome=np.zeros_like(own.outcome)), "no forecast event occurred"),
    ],
)
def test_forecasts_that_cannot_be_scored(change, says):
    with pytest.raises(ValueError, match=says):
        scores.score(change(series()), 6)


def test_alarms_by_hand():
    flagged = np.array([[True, True, True, False, False, False]])
    outcome = np.array([[True, False, False, True, False, False]])
    found = scores.contingency(flagged, outcome)
    assert (found["hits"], found["missed"], found["false"]) == (1, 1, 2)
    assert (found["pod"], found["far"], found["bias"], found["r_score"]) == (0.5, 2 / 3, 1.5, 0.0)
    assert scores.contingency(flagged, np.zeros_like(outcome))["pod"] is None
    assert level_of_bias_one(np.array([[0.1, 0.5, 0.3, 0.2]]), np.array([[True, False, True, False]])) == 0.3


def test_cases_are_written_and_widened(tmp_path):
    own = series(times=8, cells=6)
    case = Case(
        "M > 5", [f"2000-01-0{i + 1}" for i in range(8)], np.zeros((6, 2)), ("east_km", "north_km"),
        np.stack([own.probability * 0.9, own.probability]), own.outcome, own.reference, own.reference, 2,
    )  # fmt: skip
    wide = within(case, GRID, 100)
    assert wide.name == "M > 5 within 100 km"
    assert (wide.draws >= case.draws - 1e-9).all()
    assert (wide.outcome >= case.outcome).all()
    write_csv(tmp_path / "forecasts.csv", [case, wide])
    lines = (tmp_path / "forecasts.csv").read_text().splitlines()
    assert lines[0].startswith("target,made_on,east_km,north_km,probability,low,high,rate_map")
    assert len(lines) - 1 >= case.outcome.sum() + wide.outcome.sum()
