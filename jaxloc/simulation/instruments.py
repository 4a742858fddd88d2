"""Seismometers and recorders anywhere: their complex responses from ground velocity, drawn at random.

The gain of each is 1 in its pass band (of velocity, acceleration or displacement, by kind): an absolute gain means
nothing to a network that scales its records. Resampling to the rate of the simulation is left to the recording.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Bool, Complex, Float, Int, Key

from jaxloc.simulation.ranges import Range, happens, log_uniform, one_of, uniform
from jaxloc.simulation.recording import butterworth

KINDS = (
    "short period",
    "geophone",
    "broad band",
    "ocean bottom",
    "accelerometer",
    "MEMS",
    "displacement",
    "Wood-Anderson",
)
GROUND_POWER = (0, 0, 0, 0, 1, 1, -1, -1)
"""Times that each kind differentiates ground velocity."""
ORDER = 4  # of band-passes and causal anti-alias filters
FAR = 1e4  # frequencies further from a corner are as far: powers of them stay within float32
GRAVITY_M_S2 = 9.81


class InstrumentRanges(NamedTuple):
    """Ranges of instruments.

    Attributes:
        chances: of `KINDS`.
        short_period_hz, short_period_damping: of 1 and 2 Hz seismometers.
        geophone_hz, geophone_damping: of exploration geophones and those at the sea floor.
        broad_band_s: corner periods.
        displacement_hz: corner of the high-pass with which records are integrated.
        mems_m_s2: self noise per √Hz; mems_bits: resolution of a range of ±2 g.
        other_m_s2: self noise of accelerometers of observatories, per √Hz.
        native_hz, native_chances: sampling rates of recorders.
        cut: anti-alias corner over the native Nyquist frequency.
        good_cut_chance, good_cut: of a corner close to the Nyquist frequency.
        causal_cut_chance: of a causal anti-alias filter; others are linear-phase FIR filters, whose ripples precede
            sharp onsets.
        cut_width: width of the transition of those, over the corner.
        band_chance, bands_hz: of a band-pass by the user, all bands equally.
        causal_band_chance: of a causal one; others are zero-phase.

    Sources: Havskov & Alguacil (2016, Instrumentation in Earthquake Seismology, 2nd ed., ch. 2-4) for seismometers;
    Scherbaum & Bouin (1997, Bull. Seismol. Soc. Am. 87) for ripples of FIR filters; Evans and others (2014, Seismol.
    Res. Lett. 85) for MEMS; Uhrhammer & Collins (1990, Bull. Seismol. Soc. Am. 80) for the Wood-Anderson seismograph.
    """

    chances: tuple[float, ...] = (0.2, 0.12, 0.38, 0.05, 0.1, 0.07, 0.04, 0.04)
    short_period_hz: Range = (0.8, 2.2)
    short_period_damping: Range = (0.3, 0.8)
    geophone_hz: Range = (4.0, 5.0)
    geophone_damping: Range = (0.3, 0.8)
    broad_band_s: Range = (30.0, 360.0)
    displacement_hz: Range = (0.02, 1.0)
    mems_m_s2: Range = (1e-5 * GRAVITY_M_S2, 3e-4 * GRAVITY_M_S2)
    mems_bits: Range = (12.0, 20.0)
    other_m_s2: Range = (1e-8 * GRAVITY_M_S2, 3e-6 * GRAVITY_M_S2)
    native_hz: tuple[float, ...] = (20.0, 31.25, 40.0, 50.0, 62.5, 80.0, 100.0, 125.0, 200.0, 250.0, 500.0)
    native_chances: tuple[float, ...] = (0.08, 0.06, 0.06, 0.12, 0.03, 0.03, 0.4, 0.04, 0.1, 0.05, 0.03)
    cut: Range = (0.35, 0.9)
    good_cut_chance: float = 0.6
    good_cut: Range = (0.75, 0.9)
    causal_cut_chance: float = 0.3
    cut_width: Range = (0.03, 0.3)
    band_chance: float = 0.15
    bands_hz: tuple[Range, ...] = ((1.0, 45.0), (2.0, 8.0), (1.5, 8.5), (1.0, 20.0))
    causal_band_chance: float = 0.5


class Instrument(NamedTuple):
    """One instrument with its recorder and filters.

    Attributes:
        kind: index into `KINDS`.
        ground_power: 1 for acceleration, 0 for velocity, -1 for displacement.
        corner_hz, damping: of the pendulum; 0 Hz for accelerometers.
        self_noise_m_s2: white noise of acceleration per √Hz (`ground_noise`).
        lsb: resolution in the unit of the output, 0 where it is far below the noise.
        native_hz: sampling rate of the recorder.
        cut_hz, cut_width, cut_is_causal: anti-alias filter.
        band_hz, band_is_causal: band-pass; 0 and infinity for none.
    """

    kind: Int[Array, ""]
    ground_power: Int[Array, ""]
    corner_hz: Float[Array, ""]
    damping: Float[Array, ""]
    self_noise_m_s2: Float[Array, ""]
    lsb: Float[Array, ""]
    native_hz: Float[Array, ""]
    cut_hz: Float[Array, ""]
    cut_width: Float[Array, ""]
    cut_is_causal: Bool[Array, ""]
    band_hz: Float[Array, "2"]
    band_is_causal: Bool[Array, ""]


def draw_instrument(key: Key[Array, ""], ranges: InstrumentRanges) -> Instrument:
    """An instrument at random."""
    keys = random.split(key, 13)
    kind = one_of(keys[0], ranges.chances)
    corner_hz, damping = _pendulum(keys[1], ranges, kind)
    white_m_s2 = jnp.where(kind == 5, log_uniform(keys[2], ranges.mems_m_s2), log_uniform(keys[3], ranges.other_m_s2))
    lsb_m_s2 = 4 * GRAVITY_M_S2 / 2 ** uniform(keys[4], ranges.mems_bits)
    native_hz = jnp.asarray(ranges.native_hz)[one_of(keys[5], ranges.native_chances)]
    good = happens(keys[6], ranges.good_cut_chance)
    cut = jnp.where(good, uniform(keys[7], ranges.good_cut), uniform(keys[8], ranges.cut))
    filtered = happens(keys[9], ranges.band_chance)
    band_hz = random.choice(keys[10], jnp.asarray(ranges.bands_hz))
    return Instrument(
        kind,
        jnp.asarray(GROUND_POWER)[kind],
        corner_hz,
        damping,
        jnp.where((kind == 4) | (kind == 5), white_m_s2, 0.0),
        jnp.where(kind == 5, lsb_m_s2, 0.0),
        native_hz,
        cut * native_hz / 2,
        *_filters(keys[11], ranges),
        jnp.where(filtered, band_hz, jnp.asarray([0.0, jnp.inf])),
        happens(keys[12], ranges.causal_band_chance),
    )


def _pendulum(
    key: Key[Array, ""], ranges: InstrumentRanges, kind: Int[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Corner and damping of each kind: accelerometers have none, and the Wood-Anderson seismograph its own."""
    keys = random.split(key, 6)
    geophone_hz, sea_floor_hz = log_uniform(keys[0], ranges.geophone_hz), log_uniform(keys[1], ranges.geophone_hz)
    broad_hz = 1 / log_uniform(keys[2], ranges.broad_band_s)
    short_hz, integrated_hz = log_uniform(keys[3], ranges.short_period_hz), log_uniform(keys[4], ranges.displacement_hz)
    corners = (short_hz, geophone_hz, broad_hz, sea_floor_hz, 0.0, 0.0, integrated_hz, 1.25)
    share = random.uniform(keys[5])
    within = lambda span: span[0] + share * (span[1] - span[0])
    loose, coil = within(ranges.short_period_damping), within(ranges.geophone_damping)
    dampings = (loose, coil, 0.707, coil, 0.7, 0.7, 0.707, within((0.7, 0.8)))
    return jnp.stack([jnp.asarray(x) for x in corners])[kind], jnp.stack([jnp.asarray(x) for x in dampings])[kind]


def _filters(key: Key[Array, ""], ranges: InstrumentRanges) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    width, causal = random.split(key)
    return log_uniform(width, ranges.cut_width), happens(causal, ranges.causal_cut_chance)


def response(
    instrument: Instrument, frequency_hz: Float[np.ndarray, " frequency"] | Float[Array, " frequency"]
) -> Complex[Array, " frequency"]:
    """Complex output over ground velocity in m/s, zero at the frequency zero."""
    hz = jnp.asarray(frequency_hz, jnp.float32)
    safe_hz = jnp.maximum(hz, 1e-6)
    found = _pendulum_response(instrument, safe_hz) * _to_unit(instrument, safe_hz)
    found = found * _anti_alias(instrument, safe_hz) * _band(instrument, safe_hz)
    return jnp.where(hz > 0, found, 0.0)


def _pendulum_response(instrument: Instrument, hz: Float[Array, " frequency"]) -> Complex[Array, " frequency"]:
    """Response of a damped pendulum with a velocity transducer (Havskov & Alguacil 2016, eq. 2.34)."""
    relative = instrument.corner_hz / hz
    return 1 / (1 - relative**2 - 2j * instrument.damping * relative)


def _to_unit(instrument: Instrument, hz: Float[Array, " frequency"]) -> Complex[Array, " frequency"]:
    """Acceleration, velocity or displacement from velocity."""
    omega = 2 * jnp.pi * hz
    power = instrument.ground_power
    turned = jnp.stack([jnp.asarray(-1j), jnp.asarray(1 + 0j), jnp.asarray(1j)])[power + 1]
    return turned * jnp.where(power == 0, 1.0, jnp.where(power > 0, omega, 1 / omega))


def _anti_alias(instrument: Instrument, hz: Float[Array, " frequency"]) -> Complex[Array, " frequency"]:
    """Linear phase with its delay removed and a cosine flank, or a causal Butterworth filter."""
    relative = jnp.minimum(hz / instrument.cut_hz, FAR)
    flank = jnp.clip((relative - 1) / instrument.cut_width + 0.5, 0, 1)
    steep = 0.5 + 0.5 * jnp.cos(jnp.pi * flank)
    return jnp.where(instrument.cut_is_causal, jnp.asarray(butterworth(relative, ORDER)), steep)


def _band(instrument: Instrument, hz: Float[Array, " frequency"]) -> Complex[Array, " frequency"]:
    """A Butterworth band-pass, causal or forwards and backwards."""
    low_hz, high_hz = instrument.band_hz
    below = jnp.asarray(butterworth(jnp.minimum(low_hz / hz, FAR), ORDER)).conj()
    band = below * butterworth(jnp.minimum(hz / high_hz, FAR), ORDER)
    return jnp.where(instrument.band_is_causal, band, (band.real**2 + band.imag**2) + 0j)
