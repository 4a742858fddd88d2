"""What is no local earthquake: distant ones, volcanic signals without separate P and S, weather, traffic, calibration.

Quarry blasts have P and S, and are simulated with earthquakes. Volcanic hybrids are here: their onsets are emergent
and no S is seen in them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Float, Int, Key

from jaxloc.simulation.ranges import Range, one_of
from jaxloc.simulation.wave_packets import TAPERED, Carrier, Packet, Recipe, of_unit_peak, rendered

TURN = (0.0, 6.2832)
NUM_SHARES = 24  # uniform numbers for a recipe, more than any kind needs
LATEST = 1 - TAPERED  # share of the window after which none begins


class DisturbanceRanges(NamedTuple):
    """Chances of the kinds, in the order of `KINDS`, and their ranges: frequencies in Hz, times in s.

    Attributes:
        chances: relative chances.
        teleseism_hz, teleseism_s: dominant frequency of body waves and their duration; depth_phase_s: delay of pP.
        surface_hz, dispersion_s: dominant frequency of surface waves; lateness per e-fold of frequency.
        lg_hz, lg_rise_s, lg_decay_s: regional Lg alone, whose P is below the noise.
        long_period_hz, long_period_quality: of volcanic long-period events and the tails of hybrids.
        tremor_hz, tremor_quality: fundamental of harmonic tremor.
        hybrid_hz: onset of a hybrid.
        thunder_hz, thunder_s: band and length of its rolling.
        vehicle_hz, vehicle_s, engine_hz: band, duration and engine tone.
        blade_hz, blade_speed, blade_pass_s: blade tone of a helicopter, speed over that of sound, time of passing.
        step_hz, step_s, walk_s, step_band_hz: footsteps.
        calibration_s, clock_s, sine_hz: length, interval of random binary signals, and tones.
        t_hz, t_s: T phases.
        slide_hz, slide_s: rock falls and avalanches.
        shot_hz, shot_s: sonic booms and shots through the air.

    Sources: Chouet & Matoza (2013, J. Volcanol. Geotherm. Res. 252) for volcanic signals; Kappus & Vernon (1991, J.
    Geophys. Res. 96) for thunder; Eibl and others (2015, J. Volcanol. Geotherm. Res. 303) for helicopters; Meng &
    Ben-Zion (2018, Geophys. J. Int. 212) for cars and aircraft; Okal (2008, Adv. Geophys. 49) for T phases; Suriñach
    and others (2005, Nat. Hazards Earth Syst. Sci. 5) for slides. Ranges are rounded outwards.
    """

    chances: tuple[float, ...] = (0.22, 0.08, 0.12, 0.07, 0.06, 0.05, 0.05, 0.1, 0.06, 0.06, 0.03, 0.04, 0.03, 0.03)
    teleseism_hz: Range = (0.1, 1.5)
    teleseism_s: Range = (2.0, 20.0)
    depth_phase_s: Range = (2.0, 40.0)
    surface_hz: Range = (0.05, 0.3)
    dispersion_s: Range = (5.0, 40.0)
    lg_hz: Range = (1.0, 6.0)
    lg_rise_s: Range = (2.0, 15.0)
    lg_decay_s: Range = (10.0, 60.0)
    long_period_hz: Range = (0.4, 5.0)
    long_period_quality: Range = (5.0, 50.0)
    tremor_hz: Range = (0.4, 4.0)
    tremor_quality: Range = (1.0, 30.0)
    hybrid_hz: Range = (5.0, 15.0)
    thunder_hz: Range = (3.0, 40.0)
    thunder_s: Range = (3.0, 20.0)
    vehicle_hz: Range = (5.0, 30.0)
    vehicle_s: Range = (1.5, 8.0)
    engine_hz: Range = (5.0, 25.0)
    blade_hz: Range = (8.0, 25.0)
    blade_speed: Range = (0.05, 0.25)
    blade_pass_s: Range = (2.0, 30.0)
    step_hz: Range = (1.5, 2.5)
    step_s: Range = (0.03, 0.15)
    walk_s: Range = (2.0, 10.0)
    step_band_hz: Range = (8.0, 40.0)
    calibration_s: Range = (5.0, 60.0)
    clock_s: Range = (0.05, 2.0)
    sine_hz: Range = (0.1, 15.0)
    t_hz: Range = (2.0, 20.0)
    t_s: Range = (3.0, 20.0)
    slide_hz: Range = (1.0, 20.0)
    slide_s: Range = (3.0, 30.0)
    shot_hz: Range = (2.0, 30.0)
    shot_s: Range = (0.1, 1.0)


class Draw:
    """Numbers from ranges, made of uniform numbers that all kinds share: only one kind is kept."""

    def __init__(self, share: Float[Array, " number"], window_s: float) -> None:
        self._shares, self._window_s = iter(share), window_s

    def even(self, low: float, high: float) -> Float[Array, ""]:
        """Uniform."""
        return low + (high - low) * next(self._shares)

    def log(self, span: Range) -> Float[Array, ""]:
        """Log-uniform."""
        return span[0] * jnp.exp(math.log(span[1] / span[0]) * next(self._shares))

    def chance(self, chance: float) -> Float[Array, ""]:
        """1 with a chance, or 0."""
        return (next(self._shares) < chance).astype(float)

    def onset_s(self, length_s: Float[Array, ""] | float) -> Float[Array, ""]:
        """A time in the window, or before it by less than the length."""
        before_s = jnp.minimum(length_s, 0.5 * self._window_s)
        return next(self._shares) * (LATEST * self._window_s + before_s) - before_s


Kind = Callable[[Draw, DisturbanceRanges], Recipe]


def teleseismic_body_wave(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """P, S or SKS of a distant earthquake, with a depth phase or coda."""
    length_s, hz, is_p = draw.log(ranges.teleseism_s), draw.log(ranges.teleseism_hz), draw.chance(0.6)
    at_s = draw.onset_s(length_s)
    vertical = jnp.where(is_p > 0, draw.even(0.85, 0.98), draw.even(0.0, 0.5))
    wave = Packet(
        1.0, at_s, draw.log((0.1, 3.0)), 0.0, length_s, 0.0, 0.5 * hz, hz, polarised=0.8,
        vertical=vertical, azimuth_rad=draw.even(*TURN),
    )  # fmt: skip
    later = wave._replace(amplitude=draw.even(0.1, 1.0), onset_s=at_s + draw.log(ranges.depth_phase_s), polarised=0.5)
    return Recipe(wave, later)


def teleseismic_surface_wave(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """Dispersed Rayleigh or Love waves: long periods come first."""
    hz, rayleigh, dispersion_s = draw.log(ranges.surface_hz), draw.chance(0.6), draw.log(ranges.dispersion_s)
    vertical = jnp.where(rayleigh > 0, draw.even(0.6, 0.85), 0.02)
    wave = Packet(
        1.0, draw.onset_s(20.0), 0.5, 0.0, draw.log((3.0, 30.0)), 0.0, 0.4 * hz, hz, polarised=0.9, vertical=vertical,
        azimuth_rad=draw.even(*TURN), elliptic=rayleigh,
    )  # fmt: skip
    return Recipe(wave, dispersion_s=dispersion_s)


def regional_lg(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A spindle without visible P."""
    hz, decay_s = draw.log(ranges.lg_hz), draw.log(ranges.lg_decay_s)
    return Recipe(
        Packet(
            1.0, draw.onset_s(decay_s), draw.log(ranges.lg_rise_s), draw.even(0.0, 10.0), decay_s, 0.0,
            0.5 * hz, hz, vertical=draw.even(0.4, 0.6),
        )
    )  # fmt: skip


def _long_period(draw: Draw, ranges: DisturbanceRanges, at_s: Float[Array, ""], rise_s: Float[Array, ""]) -> Packet:
    hz, quality = draw.log(ranges.long_period_hz), draw.log(ranges.long_period_quality)
    length_s = quality / (jnp.pi * hz) + 1.0
    return Packet(
        1.0, at_s, rise_s, 0.0, length_s, 0.0, 0.5 * hz, 1.5 * hz, hz, 0.5 * quality, draw.even(0.0, 0.8),
        draw.even(0.3, 0.9), draw.even(*TURN),
    )  # fmt: skip


def long_period_event(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A resonating fluid: narrow spectrum, emergent."""
    return Recipe(_long_period(draw, ranges, draw.onset_s(5.0), draw.log((0.2, 5.0))))


def hybrid_event(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A short onset of high frequency with the tail of a long-period event."""
    at_s, hz = draw.onset_s(2.0), draw.log(ranges.hybrid_hz)
    tail = _long_period(draw, ranges, at_s, draw.log((0.2, 2.0)))
    onset = Packet(draw.even(0.3, 1.5), at_s, draw.log((0.1, 1.0)), 0.0, draw.log((0.5, 4.0)), 0.0, 0.5 * hz, hz)
    return Recipe(onset, tail)


def tremor(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """Volcanic tremor, from broad to harmonic, which begins slowly or goes on throughout."""
    hz = draw.log(ranges.tremor_hz)
    return Recipe(
        Packet(
            1.0, draw.even(-100.0, 20.0), draw.log((5.0, 60.0)), draw.log((20.0, 200.0)), draw.log((5.0, 60.0)), 0.0,
            0.5 * hz, draw.log((2.0, 5.0)) * hz, hz, draw.log(ranges.tremor_quality), draw.even(0.0, 0.6),
            draw.even(0.3, 0.9), draw.even(*TURN),
        )
    )  # fmt: skip


def thunder(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A clap and its rolling, coupled from the air."""
    length_s, hz, vertical = draw.log(ranges.thunder_s), draw.log(ranges.thunder_hz), draw.even(0.4, 0.8)
    at_s = draw.onset_s(length_s)
    clap = Packet(draw.even(0.0, 3.0), at_s, 0.01, 0.0, draw.log((0.1, 1.5)), 0.0, 0.5 * hz, hz, vertical=vertical)
    roll = Packet(1.0, at_s, draw.log((0.1, 5.0)), 0.0, length_s, 0.0, 0.3 * hz, hz)
    return Recipe(clap, roll._replace(vertical=vertical, onset_s=at_s + draw.even(0.0, 3.0)))


def vehicle(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A passing car or lorry: a bell of noise, with an engine's tone."""
    hz, bell_s = draw.log(ranges.vehicle_hz), draw.log(ranges.vehicle_s)
    at_s = draw.onset_s(bell_s)
    noise = Packet(1.0, at_s, bell_s=bell_s, low_hz=0.6 * hz, high_hz=1.2 * hz, vertical=draw.even(0.3, 0.8))
    engine = noise._replace(amplitude=draw.even(0.0, 2.0), low_hz=1.0, high_hz=40.0, polarised=1.0)
    speed = draw.log((0.02, 0.1))
    carrier = Carrier(draw.log(ranges.engine_hz), draw.even(0.2, 0.8), speed, at_s, bell_s)
    return Recipe(noise, third=engine._replace(azimuth_rad=draw.even(*TURN)), carrier=carrier)


def helicopter(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """Harmonics of the blades that glide down as it passes."""
    pass_s = draw.log(ranges.blade_pass_s)
    at_s = draw.onset_s(pass_s)
    blades = Packet(
        1.0, at_s, bell_s=3 * pass_s, low_hz=1.0, high_hz=60.0, polarised=1.0, vertical=draw.even(0.3, 0.95),
        azimuth_rad=draw.even(*TURN),
    )  # fmt: skip
    rumble = blades._replace(amplitude=draw.even(0.0, 0.5), low_hz=5.0, high_hz=30.0, polarised=0.0)
    carrier = Carrier(draw.log(ranges.blade_hz), draw.even(0.2, 0.9), draw.log(ranges.blade_speed), at_s, pass_s)
    return Recipe(rumble, third=blades, carrier=carrier)


def footsteps(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """Someone walks by: short pulses at regular times in a bell."""
    hz, bell_s = draw.log(ranges.step_band_hz), draw.log(ranges.walk_s)
    walk = Packet(1.0, draw.onset_s(bell_s), bell_s=bell_s, low_hz=0.5 * hz, high_hz=hz)
    walk = walk._replace(vertical=draw.even(0.4, 0.95), polarised=draw.even(0.0, 0.8), azimuth_rad=draw.even(*TURN))
    return Recipe(walk, step_hz=draw.log(ranges.step_hz), pulse_s=draw.log(ranges.step_s))


def calibration(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A step, a sine or a random binary current in the calibration coil, which moves the mass as acceleration does.

    Of velocity, acceleration is integrated, with a return by the sensor: a pole between .01 and .2 Hz.
    """
    length_s, is_sine, is_step = draw.log(ranges.calibration_s), draw.chance(0.3), draw.chance(0.5)
    clock_s = jnp.where(is_step > 0, 1e3, draw.log(ranges.clock_s)) * (1 - is_sine)
    pulse = Packet(1.0, draw.onset_s(0.5 * length_s), 0.0, length_s, 1e-3, high_hz=draw.log((0.5, 20.0)), polarised=1.0)
    pulse = pulse._replace(vertical=draw.even(0.0, 1.0), azimuth_rad=draw.even(*TURN), low_hz=draw.log((0.01, 0.2)))
    return Recipe(third=pulse, carrier=Carrier(draw.log(ranges.sine_hz), clock_s=clock_s))


def t_phase(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A bell of waves that came through the ocean."""
    hz, bell_s = draw.log(ranges.t_hz), draw.log(ranges.t_s)
    bell = Packet(1.0, draw.onset_s(bell_s), bell_s=bell_s, low_hz=0.5 * hz, high_hz=hz)
    return Recipe(bell._replace(vertical=draw.even(0.4, 0.7)))


def slide(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A rock fall or avalanche: slow growth, slow decay, bursts on top."""
    hz, length_s = draw.log(ranges.slide_hz), draw.log(ranges.slide_s)
    at_s = draw.onset_s(length_s)
    whole = Packet(1.0, at_s, length_s, 0.0, length_s, 0.0, 0.4 * hz, 1.5 * hz, vertical=draw.even(0.4, 0.7))
    block = whole._replace(amplitude=draw.even(0.0, 2.0), onset_s=at_s + draw.even(0.0, 1.0) * length_s)
    return Recipe(whole, block._replace(rise_s=draw.log((0.05, 1.0)), decay_s=draw.log((0.3, 3.0))))


def shot(draw: Draw, ranges: DisturbanceRanges) -> Recipe:
    """A sonic boom, shot or explosion through the air: one short pulse, with an echo."""
    at_s, hz = draw.onset_s(0.0), draw.log(ranges.shot_hz)
    pulse = Packet(1.0, at_s, 0.01, 0.0, draw.log(ranges.shot_s), 0.0, 0.4 * hz, 1.5 * hz, polarised=0.7)
    pulse = pulse._replace(vertical=draw.even(0.4, 0.95), azimuth_rad=draw.even(*TURN))
    return Recipe(pulse, pulse._replace(amplitude=draw.even(0.0, 0.7), onset_s=at_s + draw.log((0.1, 5.0))))


KINDS: tuple[Kind, ...] = (
    teleseismic_body_wave,
    teleseismic_surface_wave,
    regional_lg,
    long_period_event,
    hybrid_event,
    tremor,
    thunder,
    vehicle,
    helicopter,
    footsteps,
    calibration,
    t_phase,
    slide,
    shot,
)
TELESEISMS = 2
"""The first kinds are of distant earthquakes."""


def draw_recipe(key: Key[Array, ""], ranges: DisturbanceRanges, kind: Int[Array, ""], window_s: float) -> Recipe:
    """The recipe of a disturbance of a kind, by its index in `KINDS`."""

    def of(kind: Kind) -> Callable[[Float[Array, " number"]], Recipe]:
        recipe = lambda share: kind(Draw(share, window_s), ranges)
        return lambda share: jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), recipe(share))

    return jax.lax.switch(kind, [of(kind) for kind in KINDS], random.uniform(key, (NUM_SHARES,)))


def draw_kind(key: Key[Array, ""], ranges: DisturbanceRanges) -> Int[Array, ""]:
    """A kind, by its index in `KINDS`."""
    return one_of(key, ranges.chances)


def disturbance(
    key: Key[Array, ""],
    ranges: DisturbanceRanges,
    num_samples: int,
    rate_hz: float,
    kind: Int[Array, ""] | None = None,
) -> Float[Array, "component sample"]:
    """Ground velocity of one disturbance, components Z and two horizontals, whose largest sample is 1.

    It fades in the last tenth: cut the record out of a longer one, which also lets filters start before the record.

    Args:
        key: of one record.
        ranges: chances and ranges.
        num_samples: a number with small factors is fast.
        rate_hz: sampling rate.
        kind: index in `KINDS` (`draw_kind`); None draws one.
    """
    kind_key, recipe_key, noise_key = random.split(key, 3)
    kind = draw_kind(kind_key, ranges) if kind is None else kind
    recipe = draw_recipe(recipe_key, ranges, kind, num_samples / rate_hz)
    return of_unit_peak(rendered(noise_key, recipe, num_samples, rate_hz))
