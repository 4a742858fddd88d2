"""Picks of a simulated day without waveforms: which arrivals are picked, how well, and what else is.

An arrival is picked by its signal-to-noise ratio, which follows from magnitude, distance and station, and is lower in
the coda of a stronger event. Probabilities are calibrated: among picks of one probability that share is of arrivals.
"""

from typing import NamedTuple

import numpy as np
from jax import random
from jaxtyping import Array, Float, Int, Key

from jaxloc.simulation.day import Day, clock_error_s, inside
from jaxloc.simulation.seismicity import generator_of

PICK_KINDS = ("earthquake", "quarry blast", "uniform", "coda", "spike", "telemetry", "teleseism")
NO_SOURCE = -1
NOISE_M_S = 3e-9  # of a median station, to which ratios refer
DAY_S = 86400.0


class DetectionSettings(NamedTuple):
    """Signal-to-noise ratios in dB, and what a picker makes of them; pairs are of P and S.

    Attributes:
        at_zero_db, per_magnitude_db, per_decade_db: ratio of P of magnitude 0 at 10 km, its growth with magnitude, and
            its fall with tenfold distance.
        s_over_p_db: of S.
        station_sd_db, path_sd_db: scatter over stations, and of each arrival.
        coda_db_s: fall of the coda after S, in which other arrivals have lower ratios.
        threshold_db, width_db, most: the chance of a pick is most / (1 + exp(-(ratio - threshold) / width)).
        sigma_s, longest_s: error of a clear pick; it doubles at 12 dB, and the largest.
        reported_sd: natural logarithm of reported over true standard deviations.
        outliers, outlier_s: share of picks that are wrong by up to so much, uniformly.
        wrong_phase: share of picks with the other phase's name.
    """

    at_zero_db: float = 15.0
    per_magnitude_db: float = 20.0
    per_decade_db: float = 40.0
    s_over_p_db: float = 6.0
    station_sd_db: float = 6.0
    path_sd_db: float = 4.0
    coda_db_s: float = 1.0
    threshold_db: tuple[float, float] = (6.0, 8.0)
    width_db: float = 2.5
    most: tuple[float, float] = (0.97, 0.93)
    sigma_s: tuple[float, float] = (0.03, 0.06)
    longest_s: float = 0.5
    reported_sd: float = 0.2
    outliers: float = 0.03
    outlier_s: float = 2.0
    wrong_phase: float = 0.01


class ClutterSettings(NamedTuple):
    """Picks that are of no local earthquake. Numbers are of 24 h, at a station where said, else of the network.

    Attributes:
        uniform: at a station, uniform in time.
        coda, coda_s: mean number after each clear S pick at a station, and their mean delay.
        spikes: bursts of one to four picks within two seconds at a station.
        telemetry: times at which half of the stations have a pick at once.
        teleseisms: with P and two later phases at most stations.
        concentration: of the beta distribution of probabilities; large ones are all alike.
    """

    uniform: float = 100.0
    coda: float = 0.2
    coda_s: float = 8.0
    spikes: float = 5.0
    telemetry: float = 3.0
    teleseisms: float = 4.0
    concentration: float = 1.0


class DayPicks(NamedTuple):
    """Picks in the order of their times, as `jaxloc.data.pick_list.PickList` has them, with their truth.

    `event` is the row of the day's source, or `NO_SOURCE`; `kind` the place in `PICK_KINDS`; amplitudes are in m/s.
    """

    station: Int[np.ndarray, " pick"]
    phase: Int[np.ndarray, " pick"]
    time_s: Float[np.ndarray, " pick"]
    sigma_s: Float[np.ndarray, " pick"]
    probability: Float[np.ndarray, " pick"]
    amplitude: Float[np.ndarray, " pick"]
    event: Int[np.ndarray, " pick"]
    kind: Int[np.ndarray, " pick"]


def signal_to_noise_db(
    rng: np.random.Generator, day: Day, settings: DetectionSettings
) -> Float[np.ndarray, "event station phase"]:
    """Ratios of all arrivals in dB, over noise or the coda of an earlier event at the station."""
    away = day.sources.hypocentre[:, None, :3] - day.station_km
    log_r = np.log10(np.maximum(np.linalg.norm(away, axis=-1), 1.0) / 10)
    ratio = (
        settings.at_zero_db
        + settings.per_magnitude_db * day.sources.magnitude[:, None]
        - settings.per_decade_db * log_r
    )
    ratio = ratio + settings.station_sd_db * rng.normal(size=ratio.shape[1])
    ratio = ratio[..., None] + np.array([0.0, settings.s_over_p_db])
    ratio = ratio + settings.path_sd_db * rng.normal(size=ratio.shape)
    return np.minimum(ratio, ratio - _coda_db(day.arrival_s, ratio, settings.coda_db_s))


def _coda_db(
    arrival_s: Float[np.ndarray, "event station phase"], ratio: Float[np.ndarray, "event station phase"], fall: float
) -> Float[np.ndarray, "event station phase"]:
    """Coda of other events over noise: ratios of S that fall linearly, of which the largest counts at each time."""
    found = np.full(ratio.shape, -np.inf)
    for station in range(ratio.shape[1]):
        order = np.argsort(arrival_s[:, station, 1])
        after_s = arrival_s[order, station, 1]
        highest = np.maximum.accumulate(ratio[order, station, 1] + fall * after_s)
        for phase in range(2):
            # The coda of an event begins after its own S, so that its own arrivals are never in it.
            before = np.searchsorted(after_s, arrival_s[:, station, phase], "left") - 1
            there = before >= 0
            found[there, station, phase] = highest[before[there]] - fall * arrival_s[there, station, phase]
    return found


def draw_picks(
    key: Key[Array, ""],
    day: Day,
    detection: DetectionSettings = DetectionSettings(),
    clutter: ClutterSettings = ClutterSettings(),
) -> tuple[DayPicks, Float[np.ndarray, "event station phase"]]:
    """Picks of a day, and the signal-to-noise ratios of all arrivals.

    Raises:
        ValueError: for settings out of range; names the value.
    """
    _check(detection, clutter)
    keys = random.split(key, 4)
    ratio = signal_to_noise_db(generator_of(keys[0]), day, detection)
    true = _true_picks(generator_of(keys[1]), day, ratio, detection)
    rng = generator_of(keys[2])
    parts = [true, *(make(rng, day, true, clutter) for make in (_uniform, _coda, _spikes, _telemetry, _teleseisms))]
    whole = DayPicks(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    off = inside((*day.faults.outages, *day.faults.gaps), whole.station, whole.time_s)
    whole = _chosen(whole, ~off & (whole.time_s >= 0) & (whole.time_s < day.length_s))
    whole = whole._replace(time_s=whole.time_s + clock_error_s(day.faults.clocks, whole.station, whole.time_s))
    whole = _with_probabilities(generator_of(keys[3]), whole, clutter.concentration)
    return _chosen(whole, np.argsort(whole.time_s, kind="stable")), ratio


def _check(detection: DetectionSettings, clutter: ClutterSettings) -> None:
    for name in ("outliers", "wrong_phase"):
        if not 0 <= getattr(detection, name) <= 1:
            raise ValueError(f"{name} must be a share within 0-1, got {getattr(detection, name)}")
    if not detection.width_db > 0 or not min(detection.sigma_s) > 0:
        raise ValueError(f"width_db and sigma_s must be positive, got {detection.width_db} and {detection.sigma_s}")
    if min(clutter) < 0 or not clutter.concentration > 0:
        raise ValueError(f"numbers of picks must be 0 or more and concentration positive, got {tuple(clutter)}")


def _chosen(picks: DayPicks, which: np.ndarray) -> DayPicks:
    return DayPicks(*(each[which] for each in picks))


def _true_picks(
    rng: np.random.Generator, day: Day, ratio: Float[np.ndarray, "event station phase"], settings: DetectionSettings
) -> DayPicks:
    chance = np.array(settings.most) / (1 + np.exp(-(ratio - np.array(settings.threshold_db)) / settings.width_db))
    event, station, phase = np.nonzero(rng.random(ratio.shape) < chance)
    over_db = ratio[event, station, phase]
    sigma_s = np.array(settings.sigma_s)[phase] * (1 + 10 ** ((12 - over_db) / 20))
    sigma_s = np.minimum(sigma_s, settings.longest_s)
    wrong_s = rng.uniform(-settings.outlier_s, settings.outlier_s, len(event))
    error_s = np.where(rng.random(len(event)) < settings.outliers, wrong_s, sigma_s * rng.normal(size=len(event)))
    named = np.where(rng.random(len(event)) < settings.wrong_phase, 1 - phase, phase)
    reported_s = sigma_s * np.exp(settings.reported_sd * rng.normal(size=len(event)))
    amplitude = NOISE_M_S * 10 ** (over_db / 20)
    time_s = day.arrival_s[event, station, phase] + error_s
    return DayPicks(station, named, time_s, reported_s, over_db, amplitude, event, day.sources.kind[event])


def _false_picks(
    rng: np.random.Generator,
    kind: str,
    station: Int[np.ndarray, " pick"],
    time_s: Float[np.ndarray, " pick"],
    phase: Int[np.ndarray, " pick"] | None = None,
) -> DayPicks:
    """Picks of no local source; the field of probabilities has a signal-to-noise ratio in dB until the end."""
    number = len(time_s)
    ratio = rng.exponential(5.0, number)
    phase = rng.integers(2, size=number) if phase is None else phase
    sigma_s = np.exp(rng.normal(np.log(0.08), 0.5, number))
    amplitude = NOISE_M_S * 10 ** (ratio / 20)
    nobody, kinds = np.full(number, NO_SOURCE), np.full(number, PICK_KINDS.index(kind))
    return DayPicks(station, phase, time_s, sigma_s, ratio, amplitude, nobody, kinds)


def _uniform(rng: np.random.Generator, day: Day, true: DayPicks, settings: ClutterSettings) -> DayPicks:
    counts = rng.poisson(settings.uniform * day.length_s / DAY_S, len(day.stations))
    station = np.repeat(np.arange(len(counts)), counts)
    return _false_picks(rng, "uniform", station, rng.uniform(0, day.length_s, len(station)))


def _coda(rng: np.random.Generator, day: Day, true: DayPicks, settings: ClutterSettings) -> DayPicks:
    clear = np.flatnonzero((true.phase == 1) & (true.probability > 20))
    clear = np.repeat(clear, rng.poisson(settings.coda, len(clear)))
    time_s = true.time_s[clear] + rng.exponential(settings.coda_s, len(clear))
    return _false_picks(rng, "coda", true.station[clear], time_s)


def _spikes(rng: np.random.Generator, day: Day, true: DayPicks, settings: ClutterSettings) -> DayPicks:
    counts = rng.poisson(settings.spikes * day.length_s / DAY_S, len(day.stations))
    station = np.repeat(np.arange(len(counts)), counts)
    each = rng.integers(1, 5, len(station))
    time_s = np.repeat(rng.uniform(0, day.length_s, len(station)), each)
    return _false_picks(rng, "spike", np.repeat(station, each), time_s + rng.uniform(0, 2, len(time_s)))


def _telemetry(rng: np.random.Generator, day: Day, true: DayPicks, settings: ClutterSettings) -> DayPicks:
    times_s = rng.uniform(0, day.length_s, rng.poisson(settings.telemetry * day.length_s / DAY_S))
    at, station = np.nonzero(rng.random((len(times_s), len(day.stations))) < 0.5)
    return _false_picks(
        rng, "telemetry", station, times_s[at] + 0.02 * rng.normal(size=len(at)), np.zeros(len(at), int)
    )


def _teleseisms(rng: np.random.Generator, day: Day, true: DayPicks, settings: ClutterSettings) -> DayPicks:
    """P and two later phases as plane waves with slownesses of 0.04 to 0.08 s/km; all are picked as P."""
    number = rng.poisson(settings.teleseisms * day.length_s / DAY_S)
    azimuth, slowness = rng.uniform(0, 2 * np.pi, number), rng.uniform(0.04, 0.08, number)
    direction = slowness[:, None] * np.stack([np.sin(azimuth), np.cos(azimuth)], -1)
    late_s = np.concatenate([np.zeros((number, 1)), rng.uniform(10, 120, (number, 2))], -1)
    time_s = rng.uniform(0, day.length_s, number)[:, None] + late_s
    at, order, station = np.nonzero(rng.random((number, 3, len(day.stations))) < np.array([0.8, 0.5, 0.5])[:, None])
    arrival_s = time_s[at, order] + (day.station_km[station, :2] * direction[at]).sum(-1)
    return _false_picks(rng, "teleseism", station, arrival_s + 0.1 * rng.normal(size=len(at)), np.zeros(len(at), int))


def _with_probabilities(rng: np.random.Generator, picks: DayPicks, concentration: float) -> DayPicks:
    """Calibrated probabilities, the larger the higher the signal-to-noise ratio.

    With a beta distribution of mean m over all picks, m the share of arrivals, the densities of arrivals and of others
    are in the ratio p to 1 - p at each probability p.
    """
    true = picks.event >= 0
    if true.all() or not true.any():
        return picks._replace(probability=np.full(len(true), float(true.any())))
    a, b = concentration * true.mean(), concentration * (1 - true.mean())
    probability = np.zeros(len(true))
    for which, first, second in ((true, a + 1, b), (~true, a, b + 1)):
        rank = np.argsort(np.argsort(picks.probability[which] + 6 * rng.normal(size=which.sum())))
        probability[which] = np.sort(rng.beta(first, second, which.sum()))[rank]
    return picks._replace(probability=np.clip(probability, 1e-3, 1 - 1e-3))
