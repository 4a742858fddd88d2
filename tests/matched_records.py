"""Continuous records with events of known families, for tests of the matched filter."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.detection.filtered_records import in_band
from jaxloc.detection.templates import KnownEvents, Templates, TemplateSettings, make_templates

RATE_HZ, BAND_HZ = 50.0, (2.0, 12.0)
STATIONS, WAVE = 6, 110


class Swarm(NamedTuple):
    """Filtered records, and what is in them: family, origin time and amplitude of each event, and its arrivals."""

    records: Float[np.ndarray, "station 3 sample"]
    usable: Bool[np.ndarray, "station 3 sample"]
    family: tuple[int, ...]
    origin_s: Float[np.ndarray, " event"]
    arrival_s: Float[np.ndarray, "event station phase"]
    hypocentre_km: Float[np.ndarray, "family 3"]


def swarm(
    events: tuple[tuple[int, float, float], ...] = (
        (0, 40.0, 8.0),
        (1, 80.0, 8.0),
        (0, 130.31, 2.0),
        (1, 170.007, 1.5),
        (0, 210.5, 1.5),
    ),
    length_s: float = 250.0,
    seed: int = 3,
    gaps: tuple[tuple[int, int, int], ...] = (),
    is_raw: bool = False,
) -> Swarm:
    """Events given by family, origin time and amplitude, in white noise of unit variance, filtered unless they are
    to be `is_raw`; `gaps` are (station, a, b).

    Waveforms are band-limited, and lie between samples as their arrival times do.
    """
    rng = np.random.default_rng(seed)
    station_km = rng.uniform(-12, 12, (STATIONS, 2))
    hypocentre_km = np.array([[0.0, 0.0, 5.0], [6.0, 3.0, 6.0]])
    waves = rng.normal(size=(2, STATIONS, 2, 3, WAVE)) * np.exp(-np.arange(WAVE) / 35)
    number = round(length_s * RATE_HZ)
    records = rng.normal(size=(STATIONS, 3, number))
    distance_km = np.linalg.norm(
        np.concatenate(
            [hypocentre_km[:, None, :2] - station_km, np.tile(hypocentre_km[:, None, 2:], (1, STATIONS, 1))], -1
        ),
        axis=-1,
    )
    travel_s = distance_km[:, :, None] / np.array([6.0, 6.0 / 1.73])
    family = tuple(own for own, _, _ in events)
    origin_s = np.array([time_s for _, time_s, _ in events])
    arrival_s = origin_s[:, None, None] + travel_s[list(family)]
    for (own, _, amplitude), arrivals in zip(events, arrival_s, strict=True):
        for station, phase in np.ndindex(STATIONS, 2):
            begin, wave = _between(waves[own, station, phase], arrivals[station, phase] * RATE_HZ)
            records[station, :, begin : begin + wave.shape[-1]] += amplitude * wave
    usable = np.ones(records.shape, bool)
    for station, first, last in gaps:
        usable[station, :, first:last] = False
    filtered = (records, usable) if is_raw else in_band(records, usable, RATE_HZ, BAND_HZ)
    return Swarm(*filtered, family, origin_s, arrival_s, hypocentre_km)


def _between(wave: np.ndarray, place: float) -> tuple[int, np.ndarray]:
    """A waveform that begins at a place between samples, and the sample where it is to be added."""
    first = int(np.floor(place))
    padded = np.pad(wave, ((0, 0), (16, 50)))
    shift = np.exp(-2j * np.pi * np.fft.rfftfreq(padded.shape[-1]) * (place - first))
    return first - 16, np.fft.irfft(np.fft.rfft(padded) * shift, padded.shape[-1])


def known(made: Swarm, rows: tuple[int, ...]) -> KnownEvents:
    """Some of the events as a catalogue has them."""
    chosen = list(rows)
    place = made.hypocentre_km[[made.family[row] for row in rows]]
    hypocentre = np.concatenate([place, made.origin_s[chosen, None]], 1)
    arrival_s = made.arrival_s[chosen]
    return KnownEvents(tuple(f"event {row}" for row in rows), hypocentre, arrival_s, np.full(arrival_s.shape, 0.05))


def templates_of(made: Swarm, rows: tuple[int, ...] = (0, 1)) -> Templates:
    """Templates of some of the events."""
    return make_templates(made.records, made.usable, RATE_HZ, known(made, rows), settings=SETTINGS)[0]


SETTINGS = TemplateSettings(band_hz=BAND_HZ, least_snr=2.0)
