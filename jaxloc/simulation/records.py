"""Records of one station in a random region, with or without earthquakes, to train networks that work anywhere."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Bool, Complex, Float, Int, Key

from jaxloc.simulation.disturbances import TELESEISMS, DisturbanceRanges, disturbance, draw_kind
from jaxloc.simulation.earthquake import Earthquake, EarthquakeRanges, Onset, Window, draw_earthquake
from jaxloc.simulation.ground_noise import GroundNoiseRanges, ground_noise
from jaxloc.simulation.instruments import InstrumentRanges, draw_instrument, response
from jaxloc.simulation.random_velocity import draw_velocity
from jaxloc.simulation.ranges import Range, happens, log_uniform, uniform
from jaxloc.simulation.recorder_faults import FaultRanges, recorded
from jaxloc.simulation.site import SiteRanges, draw_amplification, draw_tilt
from jaxloc.simulation.snr import loudness, snr_db, without_trend

NUM_EVENTS = 4
BEFORE_S, AFTER_S = 10.0, 6.0  # simulated before the first sample; room beyond the last one, where pulses end
PARTS = ("plan", "velocity", "place", "event", "station", "level", "faults")
BLOCK = 512  # frequencies
REGIONAL_S = 25.0  # between S and P: above it an earthquake is regional


class EventRanges(NamedTuple):
    """How many earthquakes there are in a window, and how loud.

    Attributes:
        none: chance of a window without any.
        further: mean number of further ones (Poisson), `NUM_EVENTS` in all at most.
        relative: amplitude of further ones over the first, log-uniform.
        neighbour: chance that a further one is from the place of the first, `apart_s` later, log-uniform.
        before: chance that P of the first arrives before the window (`earthquake.Onset`).
        snr_db: of P of the first, uniform; of S where P is outside.
        disturbed: chances of another disturbance without and with an earthquake.
        disturbance_db: its peak over the standard deviation of noise, uniform.
    """

    none: float = 0.23
    further: float = 0.4
    relative: Range = (1 / 30, 3.0)
    neighbour: float = 0.5
    apart_s: Range = (0.5, 10.0)
    before: float = 0.15
    snr_db: Range = (-10.0, 50.0)
    disturbed: Range = (0.55, 0.1)
    disturbance_db: Range = (6.0, 50.0)


class Ranges(NamedTuple):
    """Ranges of everything in a record."""

    events: EventRanges = EventRanges()
    earthquake: EarthquakeRanges = EarthquakeRanges()
    site: SiteRanges = SiteRanges()
    noise: GroundNoiseRanges = GroundNoiseRanges()
    instrument: InstrumentRanges = InstrumentRanges()
    disturbance: DisturbanceRanges = DisturbanceRanges()
    faults: FaultRanges = FaultRanges()


class Record(NamedTuple):
    """One window of one station. Times are in s from the first sample; rows of events that do not exist hold zero.

    Attributes:
        waveforms: components Z, N, E in the unit of the instrument; silent components are zero.
        arrival_s: P and S of each event, first onsets, even if buried; 0 where outside the window.
        arrival_mask: whether they are inside the window, and not in a gap.
        snr_db: power above 1 Hz in the second after an onset, on the best component, over that before it.
        back_azimuth_rad: direction to the source from north through east, in the frame of the record.
        incidence_rad: of the motion of P, from the vertical.
        first_motion: of P on the vertical, 1 up, -1 down, 0 unknown.
        kind: 0 noise, 1 local earthquake, 2 regional one, 3 teleseism, 4 another disturbance.
        azimuth_known: whether both horizontals show the direction of motion; `back_azimuth_rad` is 0 otherwise.
    """

    waveforms: Float[Array, "sample component"]
    arrival_s: Float[Array, "event phase"]
    arrival_mask: Bool[Array, "event phase"]
    snr_db: Float[Array, "event phase"]
    back_azimuth_rad: Float[Array, " event"]
    incidence_rad: Float[Array, " event"]
    first_motion: Float[Array, " event"]
    kind: Int[Array, ""]
    azimuth_known: Bool[Array, ""]


class Plan(NamedTuple):
    """Which events there are, when their P arrives (as `Onset`), their relative amplitude; neighbours share a place."""

    exists: Bool[Array, " event"]
    onset_s: Float[Array, " event"]
    early: Float[Array, " event"]
    amplitude: Float[Array, " event"]
    place: Int[Array, " event"]


def draw_plan(key: Key[Array, ""], ranges: EventRanges, window_s: float) -> Plan:
    """Number, times and amplitudes of the events of a window."""
    keys = random.split(key, 9)
    number = jnp.where(happens(keys[0], ranges.none), 0, 1 + random.poisson(keys[1], ranges.further))
    exists = jnp.arange(NUM_EVENTS) < number
    onset_s = random.uniform(keys[2], (NUM_EVENTS,), maxval=window_s)
    before = happens(keys[3], ranges.before)
    onset_s = onset_s.at[0].set(jnp.where(before, 0.0, onset_s[0]))
    early = jnp.where(before, random.uniform(keys[4]), 0.0)
    neighbour = happens(keys[5], ranges.neighbour, (NUM_EVENTS,)).at[0].set(True)
    later_s = log_uniform(keys[6], ranges.apart_s, (NUM_EVENTS,)) * random.rademacher(keys[7], (NUM_EVENTS,), float)
    onset_s = jnp.where(neighbour, onset_s[0] + later_s.at[0].set(0.0), onset_s)
    amplitude = log_uniform(keys[8], ranges.relative, (NUM_EVENTS,)).at[0].set(1.0)
    place = jnp.where(neighbour, 0, jnp.arange(NUM_EVENTS))
    return Plan(exists, onset_s, jnp.where(neighbour, early, 0.0), amplitude * exists, place)


def draw_record(key: Key[Array, ""], ranges: Ranges, num_samples: int, rate_hz: float) -> Record:
    """A record of one station in a random region."""
    keys = dict(zip(PARTS, random.split(key, len(PARTS)), strict=True))
    window = window_of(num_samples, rate_hz)
    plan = draw_plan(keys["plan"], ranges.events, num_samples / rate_hz)
    model = draw_velocity(keys["velocity"], ranges.earthquake.velocity)

    def event(total: Array, each: tuple[Array, ...]) -> tuple[Array, Earthquake]:
        place, again, amplitude, onset_s, early = each
        found = draw_earthquake(place, again, ranges.earthquake, model, Onset(onset_s, early), window)
        return total + amplitude * found.spectrum, found._replace(spectrum=jnp.zeros(()))

    places = random.split(keys["place"], NUM_EVENTS)[plan.place]
    each = (places, random.split(keys["event"], NUM_EVENTS), plan.amplitude, plan.onset_s, plan.early)
    none = jnp.zeros((3, window.num_padded // 2 + 1), jnp.complex64)
    spectrum, events = jax.lax.scan(event, none, each)
    heard = at_station(keys["station"], ranges, spectrum, plan, window)
    high, high_noise = without_trend(heard.signal, rate_hz), without_trend(heard.noise, rate_hz)
    inside = (events.first_s >= 0) & (events.first_s < num_samples / rate_hz)
    gain = _gain(keys["level"], ranges.events, events.first_s[0], inside[0], high, high_noise, rate_hz)
    written = recorded(keys["faults"], ranges.faults, (gain * heard.signal + heard.noise).T, rate_hz, heard.lsb)
    mask = plan.exists[:, None] & inside & ~lost_at(written.lost, events.first_s, rate_hz)
    ratio_db = snr_db(gain * high, high_noise, events.first_s, rate_hz, written.component_present)
    known = lambda mask, value: jnp.where(mask, value, 0.0)
    return Record(
        written.waveforms,
        known(mask, events.first_s),
        mask,
        known(mask, ratio_db),
        known(plan.exists & written.horizontals_true, events.back_azimuth_rad),
        known(plan.exists, events.incidence_rad),
        known(mask[:, 0], events.first_motion) * written.vertical_sign,
        kind_of(plan, events.first_s, heard.disturbance),
        written.horizontals_true,
    )


def lost_at(
    lost: Bool[Array, "sample component"], arrival_s: Float[Array, "event phase"], rate_hz: float
) -> Bool[Array, "event phase"]:
    """Whether no component was recorded at an arrival."""
    sample = jnp.clip(jnp.round(arrival_s * rate_hz), 0, len(lost) - 1).astype(jnp.int32)
    return lost.all(-1)[sample]


def draw_records(key: Key[Array, ""], ranges: Ranges, number: int, num_samples: int, rate_hz: float) -> Record:
    """Records with a leading axis, `number` of them."""
    return jax.vmap(lambda key: draw_record(key, ranges, num_samples, rate_hz))(random.split(key, number))


def window_of(num_samples: int, rate_hz: float) -> Window:
    """The window of ground motion of a record, with a length that transforms quickly."""
    length = num_samples + round(BEFORE_S * rate_hz)
    return Window(length, fast_length(length + round(AFTER_S * rate_hz)), BEFORE_S, rate_hz)


def fast_length(least: int) -> int:
    """The smallest multiple of 16 from `least` on with small prime factors, for quick transforms."""
    smooth = (2**two * 3**three * 5**five for two in range(4, 24) for three in range(3) for five in range(3))
    return min(length for length in smooth if length >= least)


class Heard(NamedTuple):
    """What an instrument makes of the ground motion of earthquakes and of everything else, apart.

    `disturbance` is the index of its kind, -1 without one; `lsb` is the resolution of the recorder.
    """

    signal: Float[Array, "component sample"]
    noise: Float[Array, "component sample"]
    disturbance: Int[Array, ""]
    lsb: Float[Array, ""]


def at_station(
    key: Key[Array, ""], ranges: Ranges, motion: Complex[Array, "component frequency"], plan: Plan, window: Window
) -> Heard:
    """Ground motion, noise and disturbances behind the site and the instrument of one station."""
    keys = random.split(key, 8)
    num_padded, rate_hz = window.num_padded, window.rate_hz
    instrument = draw_instrument(keys[0], ranges.instrument)
    frequency_hz = jnp.fft.rfftfreq(num_padded, 1 / rate_hz)
    # In blocks, because XLA would compute responses again for each component if they were in one piece with their use.
    through = jax.lax.map(lambda hz: response(instrument, hz[None])[0], frequency_hz, batch_size=BLOCK)
    site = draw_amplification(keys[1], ranges.site, frequency_hz)
    signal = draw_tilt(keys[2], ranges.site) @ (site * motion)
    noise = ground_noise(keys[3], ranges.noise, num_padded, rate_hz, instrument.self_noise_m_s2)
    kind = draw_kind(keys[4], ranges.disturbance)
    other = disturbance(keys[5], ranges.disturbance, num_padded, rate_hz, kind)
    spectra = through * jnp.stack([signal, jnp.fft.rfft(noise), jnp.fft.rfft(other)])
    traces = jnp.fft.irfft(spectra, num_padded)
    signal, noise, other = traces[..., round(window.before_s * rate_hz) : window.num_samples]
    quiet, busy = ranges.events.disturbed
    disturbed = random.uniform(keys[6]) < jnp.where(plan.exists.any(), busy, quiet)
    wanted = 10 ** (uniform(keys[7], ranges.events.disturbance_db) / 20) * noise.std(-1).max()
    level = jnp.where(disturbed, wanted / (jnp.abs(other).max() + 1e-30), 0.0)
    return Heard(signal, noise + level * other, jnp.where(disturbed, kind, -1), instrument.lsb)


def _gain(
    key: Key[Array, ""],
    ranges: EventRanges,
    first_s: Float[Array, " phase"],
    inside: Bool[Array, " phase"],
    signal: Float[Array, "component sample"],
    noise: Float[Array, "component sample"],
    rate_hz: float,
) -> Float[Array, ""]:
    """Factor that gives the first event its signal-to-noise ratio: at P, at S where P is outside, or at the start."""
    at_s = jnp.where(inside[0], first_s[0], jnp.where(inside[1], first_s[1], 0.0))
    # A second begun close to the end is too short to tell.
    at_s = jnp.minimum(at_s, signal.shape[-1] / rate_hz - 0.5)
    wanted = 10 ** (uniform(key, ranges.snr_db) / 10)
    return jnp.sqrt(wanted / jnp.maximum(loudness(signal, noise, at_s, rate_hz), 1e-30))


def kind_of(plan: Plan, first_s: Float[Array, "event phase"], disturbed: Int[Array, ""]) -> Int[Array, ""]:
    """The kind of a record (`Record`) by the nearest earthquake, or else by the disturbance."""
    local = plan.exists & (first_s[:, 1] - first_s[:, 0] <= REGIONAL_S)
    other = jnp.where(disturbed < 0, 0, jnp.where(disturbed < TELESEISMS, 3, 4))
    return jnp.where(local.any(), 1, jnp.where(plan.exists.any(), 2, other))
