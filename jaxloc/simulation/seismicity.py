"""The earthquakes of a simulated day: background, aftershock sequences, families of alike sources, quarry blasts.

Magnitudes follow one Gutenberg-Richter law: the largest of a sequence's is that of its main shock, so that the b-value
of all events stays. Aftershocks follow the law of Omori and Utsu (Utsu, Ogata & Matsu'ura 1995, J. Phys. Earth 43):
rates fall as (t + c)^-p, with c chosen so that the largest sequence begins with a given number of events a minute.
"""

from typing import NamedTuple

import numpy as np
from jax import random
from jaxtyping import Array, Float, Int, Key
from scipy.optimize import bisect

SOURCE_KINDS = ("earthquake", "quarry blast")
NO_FAMILY = -1
BLAST_KM = 0.05  # depth of a charge below the ground at sea level
APART = 0.8  # of the radius: the least separation of events at one time


class SeismicitySettings(NamedTuple):
    """What happens within a day. Shares are of the earthquakes.

    Attributes:
        num_events: earthquakes.
        hours: length of the day.
        magnitude, b_value: of the truncated Gutenberg-Richter law.
        background: share of events that are uniform in time and place.
        num_sequences: main shocks with aftershocks; the first has half of them, the next half of what is left.
        peak_per_minute: rate at which the largest sequence begins.
        omori_p: exponent of the decay.
        radius_km: background epicentres are uniform within a circle.
        outside, outside_km: share of the background beyond that circle, and up to which radius.
        depth_km: range of depths.
        fault_km: half length of a fault by 1 km of width, which each sequence fills by a normal distribution.
        families, family_size, family_km: share of aftershocks in families of one mechanism, their mean number of
            events, and the standard deviation of their positions.
        simultaneous: pairs of events within a second at places far apart.
        num_blasts, blast_km, blast_magnitude: quarry blasts in daytime, distance of the quarry, smallest and largest.
    """

    num_events: int = 1500
    hours: float = 24.0
    magnitude: tuple[float, float] = (-0.5, 5.0)
    b_value: float = 1.0
    background: float = 0.3
    num_sequences: int = 3
    peak_per_minute: float = 60.0
    omori_p: float = 1.1
    radius_km: float = 20.0
    outside: float = 0.05
    outside_km: float = 40.0
    depth_km: tuple[float, float] = (2.0, 12.0)
    fault_km: float = 3.0
    families: float = 0.4
    family_size: float = 15.0
    family_km: float = 0.05
    simultaneous: int = 10
    num_blasts: int = 3
    blast_km: float = 48.0
    blast_magnitude: tuple[float, float] = (1.0, 2.2)


class Seismicity(NamedTuple):
    """Sources in the order of their origin times.

    Attributes:
        hypocentre: east, north and depth in km, origin time in s from the beginning of the day (double precision).
        magnitude: moment magnitude.
        moment: tensor of unit moment.
        family: number of the family of alike sources, or `NO_FAMILY`.
        kind: place in `SOURCE_KINDS`.
    """

    hypocentre: Float[np.ndarray, "event 4"]
    magnitude: Float[np.ndarray, " event"]
    moment: Float[np.ndarray, "event 3 3"]
    family: Int[np.ndarray, " event"]
    kind: Int[np.ndarray, " event"]


def generator_of(key: Key[Array, ""]) -> np.random.Generator:
    """NumPy's generator of random numbers for what has no fixed size."""
    return np.random.default_rng(np.asarray(random.key_data(key)))


def draw_seismicity(key: Key[Array, ""], settings: SeismicitySettings = SeismicitySettings()) -> Seismicity:
    """All sources of a day.

    Raises:
        ValueError: for settings out of range; names the value.
    """
    check_seismicity(settings)
    rng = generator_of(key)
    numbers = _numbers(settings)
    parts = [_background(rng, settings, numbers[0])]
    cs_s = _onset_s(settings, max(numbers[1:], default=0))
    first_family = 0
    for number in numbers[1:]:
        parts.append(_sequence(rng, settings, number, cs_s, first_family))
        first_family = max(first_family, int(parts[-1].family.max(initial=-1)) + 1)
    if len(parts[0].magnitude) >= 2 * settings.simultaneous > 0:
        parts[0].hypocentre[:, :] = _at_one_time(rng, settings, parts[0].hypocentre)
    parts.append(_blasts(rng, settings))
    whole = Seismicity(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    order = np.argsort(whole.hypocentre[:, 3], kind="stable")
    return Seismicity(*(each[order] for each in whole))


def check_seismicity(settings: SeismicitySettings) -> None:
    """Refuse settings out of range; raises a ValueError that names the value."""
    if settings.num_events < 0 or not settings.hours > 0 or settings.num_sequences < 0:
        raise ValueError(
            "num_events and num_sequences must be 0 or more and hours positive, got "
            f"{settings.num_events}, {settings.num_sequences} and {settings.hours:g}"
        )
    if not settings.magnitude[0] < settings.magnitude[1] or not settings.b_value > 0:
        raise ValueError(
            f"magnitude must increase and b_value be positive, got {settings.magnitude}, {settings.b_value:g}"
        )
    for name in ("background", "outside", "families"):
        if not 0 <= getattr(settings, name) <= 1:
            raise ValueError(f"{name} must be a share within 0-1, got {getattr(settings, name)}")
    if not (settings.peak_per_minute > 0 and settings.omori_p > 0 and settings.radius_km > 0):
        raise ValueError(
            "peak_per_minute, omori_p and radius_km must be positive, got "
            f"{settings.peak_per_minute:g}, {settings.omori_p:g} and {settings.radius_km:g}"
        )


def _numbers(settings: SeismicitySettings) -> list[int]:
    """Events of the background and of each sequence."""
    shares = 0.5 ** np.arange(1, settings.num_sequences + 1)
    clustered = round(settings.num_events * (1 - settings.background)) if len(shares) else 0
    sizes = np.floor(clustered * shares / max(shares.sum(), 1e-9)).astype(int).tolist()
    sizes = [size for size in sizes if size > 0]
    return [settings.num_events - sum(sizes), *sizes]


def magnitudes(rng: np.random.Generator, settings: SeismicitySettings, number: int) -> Float[np.ndarray, " event"]:
    """Magnitudes of the truncated Gutenberg-Richter law."""
    smallest, largest = settings.magnitude
    share = 1 - 10 ** (-settings.b_value * (largest - smallest))
    return smallest - np.log10(1 - share * rng.random(number)) / settings.b_value


def moments(rng: np.random.Generator, number: int) -> Float[np.ndarray, "event 3 3"]:
    """Double couples of unit moment, uniform over all rotations."""
    normal, other = rng.normal(size=(2, number, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    slip = other - (other * normal).sum(-1, keepdims=True) * normal
    slip /= np.linalg.norm(slip, axis=-1, keepdims=True)
    outer = normal[:, :, None] * slip[:, None]
    return outer + outer.swapaxes(1, 2)


def _on_disc(
    rng: np.random.Generator, inner_km: Float[np.ndarray, " event"], outer_km: Float[np.ndarray, " event"]
) -> Float[np.ndarray, "event 2"]:
    away = np.sqrt(inner_km**2 + rng.random(len(inner_km)) * (outer_km**2 - inner_km**2))
    angle = rng.uniform(0, 2 * np.pi, len(away))
    return np.stack([away * np.cos(angle), away * np.sin(angle)], -1)


def _background(rng: np.random.Generator, settings: SeismicitySettings, number: int) -> Seismicity:
    outside = rng.random(number) < settings.outside
    inner = np.where(outside, settings.radius_km, 0.0)
    outer = np.where(outside, max(settings.outside_km, settings.radius_km), settings.radius_km)
    depth_km = rng.uniform(*settings.depth_km, number)
    time_s = rng.uniform(0, settings.hours * 3600, number)
    place = np.column_stack([_on_disc(rng, inner, outer), depth_km, time_s])
    size = magnitudes(rng, settings, number)
    return Seismicity(place, size, moments(rng, number), np.full(number, NO_FAMILY), np.zeros(number, int))


def _onset_s(settings: SeismicitySettings, number: int) -> float:
    """The time c of Omori and Utsu's law at which so many events begin at the peak rate."""
    end_s, p = settings.hours * 3600, settings.omori_p
    peak_s = settings.peak_per_minute / 60
    rate = lambda log_c: number * np.exp(-p * log_c) / _integral(end_s, np.exp(log_c), p) - peak_s
    low, high = np.log(0.01), np.log(100 * end_s)
    if rate(low) < 0:  # so few events that they never reach it
        return float(np.exp(low))
    found = bisect(rate, low, high) if rate(high) < 0 else high
    return float(np.exp(np.asarray(found, float)))


def _integral(end_s: float | Float[np.ndarray, " event"], c_s: float, p: float) -> Float[np.ndarray, "..."]:
    """Integral of (t + c)^-p from 0."""
    if abs(p - 1) < 1e-9:
        return np.log1p(np.asarray(end_s) / c_s)
    return ((np.asarray(end_s) + c_s) ** (1 - p) - c_s ** (1 - p)) / (1 - p)


def omori_times_s(
    rng: np.random.Generator, number: int, end_s: float, c_s: float, p: float
) -> Float[np.ndarray, " event"]:
    """Times after the main shock, by the inverse of the integrated rate."""
    whole = _integral(end_s, c_s, p) * rng.random(number)
    if abs(p - 1) < 1e-9:
        return c_s * np.expm1(whole)
    return (whole * (1 - p) + c_s ** (1 - p)) ** (1 / (1 - p)) - c_s


def _sequence(
    rng: np.random.Generator, settings: SeismicitySettings, number: int, c_s: float, first_family: int
) -> Seismicity:
    """A main shock in the first two thirds of the day and its aftershocks on one fault."""
    day_s = settings.hours * 3600
    start_s = rng.uniform(0.05, 0.65) * day_s
    after_s = np.append(0.0, np.sort(omori_times_s(rng, number - 1, day_s - start_s, c_s, settings.omori_p)))
    centre = _on_disc(rng, np.zeros(1), np.array([0.7 * settings.radius_km]))[0]
    middle_km = rng.uniform(*np.quantile(settings.depth_km, [0.25, 0.75]))
    strike = rng.uniform(0, np.pi)
    along, across, down = rng.normal(size=(3, number)) * np.array([[settings.fault_km / 2], [0.2], [1.0]])
    east, north = along * np.sin(strike) + across * np.cos(strike), along * np.cos(strike) - across * np.sin(strike)
    depth_km = np.clip(middle_km + down, *settings.depth_km)
    place = np.column_stack([centre[0] + east, centre[1] + north, depth_km, start_s + after_s])
    size = magnitudes(rng, settings, number)
    largest = int(np.argmax(size))
    size[[0, largest]] = size[[largest, 0]]
    family, mechanism = _families(rng, settings, place, first_family)
    return Seismicity(place, size, mechanism, family, np.zeros(number, int))


def _families(
    rng: np.random.Generator, settings: SeismicitySettings, place: Float[np.ndarray, "event 4"], first: int
) -> tuple[Int[np.ndarray, " event"], Float[np.ndarray, "event 3 3"]]:
    """Families of aftershocks, which move to the place of their first event, with one mechanism each."""
    number = len(place)
    mechanism = moments(rng, number)
    inside = rng.random(number) < settings.families
    inside[0] = False
    groups = max(round(inside.sum() / settings.family_size), 1)
    family = np.where(inside, first + rng.integers(groups, size=number), NO_FAMILY)
    for each in np.unique(family[family >= 0]):
        members = np.flatnonzero(family == each)
        near = place[members[0], :3] + settings.family_km * rng.normal(size=(len(members), 3))
        place[members, :3] = np.clip(
            near, [-np.inf, -np.inf, settings.depth_km[0]], [np.inf, np.inf, settings.depth_km[1]]
        )
        mechanism[members] = mechanism[members[0]]
    return family, mechanism


def _at_one_time(
    rng: np.random.Generator, settings: SeismicitySettings, place: Float[np.ndarray, "event 4"]
) -> Float[np.ndarray, "event 4"]:
    """Pairs of background events within a second, the second on the other side of the region."""
    place = place.copy()
    chosen = rng.permutation(len(place))[: 2 * settings.simultaneous].reshape(2, -1)
    place[chosen[1], 3] = np.clip(place[chosen[0], 3] + rng.uniform(-1, 1, chosen.shape[1]), 0, settings.hours * 3600)
    one = place[chosen[0], :2]
    direction = -one / np.maximum(np.linalg.norm(one, axis=-1, keepdims=True), 1e-6)
    place[chosen[1], :2] = APART * settings.radius_km * direction * rng.uniform(0.8, 1.0, (len(one), 1))
    return place


def _blasts(rng: np.random.Generator, settings: SeismicitySettings) -> Seismicity:
    """Blasts of one quarry, isotropic and shallow, between the 8th and the 16th hour of 24."""
    number = settings.num_blasts
    angle = rng.uniform(0, 2 * np.pi)
    centre = settings.blast_km * np.array([np.cos(angle), np.sin(angle)])
    time_s = settings.hours * 3600 * rng.uniform(1 / 3, 2 / 3, number)
    place = np.column_stack([centre + 0.2 * rng.normal(size=(number, 2)), np.full(number, BLAST_KM), time_s])
    bulk = np.broadcast_to(np.eye(3), (number, 3, 3)).copy()
    size = rng.uniform(*settings.blast_magnitude, number)
    return Seismicity(place, size, bulk, np.full(number, NO_FAMILY), np.ones(number, int))
