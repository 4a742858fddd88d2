"""Differential times of pairs of events by cross-correlation of their waveforms.

At one station the records of two events nearby are alike but for a shift, an amplitude and noise. The lag is where
their normalised correlation r is largest. With noise that is white within the pass band of width B, windows of T
seconds of c components have n = 2 B T c independent samples, and a lag at which r is lower by d has the log-odds

    -n d^2 / (2 e d + e^2 (1 - q)),   e = 1 - r at the peak,

against the peak: that of the expected difference of r to its variance by noise, in which e d comes from signal times
noise and e^2 from noise times noise, q being the noise's autocorrelation at the distance of the two lags. Near the peak
this is the Cramer-Rao bound of Walker & Trahey (1995, IEEE UFFC 42); further away it is the probability of a cycle
skip. Both enter the error that is given, so that a lag that may be a cycle off has an error of a cycle, in proportion.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxloc.data.characteristic_functions import BY_PHASE, window_sum
from jaxloc.data.preprocessing import bandpass
from jaxloc.physics.differential_times import DifferentialTimes

FINER = 8  # lags a sample, by band-limited interpolation
LEAST_SD = 0.01  # of a sample: what interpolation errs by
NEAREST_TO_ONE = 1e-5  # of one less the coefficient, in single precision
CHUNK = 2048  # windows that are correlated at a time
PARTS = 2  # components of a phase at most
LOST = ("no record", "coefficient too low", "lag at the end of its range", "probable cycle skip")


class Correlation(NamedTuple):
    """How waveforms are correlated.

    Attributes:
        band_hz: pass band of the filter, whose width counts the independent samples.
        before_s: of each window before the arrival, of P and S.
        after_s: and after it.
        lag_s: largest shift of two records, aligned on their arrivals.
        least: coefficient below which a lag is not used.
        most_skipped: probability of a cycle skip above which a lag is not used.
        filtered: whether waveforms are within the band already.
    """

    band_hz: tuple[float, float]
    before_s: tuple[float, float] = (0.3, 0.3)
    after_s: tuple[float, float] = (1.2, 1.7)
    lag_s: float = 0.5
    least: float = 0.6
    most_skipped: float = 0.1
    filtered: bool = False


class Segments(NamedTuple):
    """Windows about the arrivals of events, with room for lags at both ends, and the sample at which each begins."""

    value: tuple[Float[np.ndarray, "event station part sample_p"], Float[np.ndarray, "event station part sample_s"]]
    begin: Int[np.ndarray, "event station phase"]
    mask: Bool[np.ndarray, "event station phase"]
    rate_hz: float


class Lags(NamedTuple):
    """Shifts of second windows against the first, in s, their standard deviations, coefficients, and what may be wrong.

    `skipped` is the probability that another peak is the right one, `at_end` whether the peak is the last lag tried.
    """

    lag_s: Float[Array, " row"]
    sd_s: Float[Array, " row"]
    coefficient: Float[Array, " row"]
    skipped: Float[Array, " row"]
    at_end: Bool[Array, " row"]


class Correlated(NamedTuple):
    """Differential times with their correlation coefficients, and how many were lost by the reasons of `LOST`."""

    times: DifferentialTimes
    coefficient: Float[np.ndarray, " pair"]
    lost: dict[str, int]


def check(correlation: Correlation, rate_hz: float) -> None:
    """Refuse settings that cannot be met.

    Raises:
        ValueError: for a band outside 0 to the Nyquist frequency, windows without length, thresholds outside 0-1, or
            too few independent samples in a window; names the value.
    """
    low, high = correlation.band_hz
    if not 0 < low < high < rate_hz / 2:
        raise ValueError(f"band_hz must lie within 0 to {rate_hz / 2:g} Hz, got {low:g} to {high:g}")
    if min(*correlation.before_s, *correlation.after_s) < 0 or correlation.lag_s * rate_hz < 1:
        raise ValueError(f"windows must not end before they begin and lag_s be a sample at least, got {correlation}")
    if not (0 <= correlation.least < 1 and 0 < correlation.most_skipped <= 1):
        raise ValueError(
            f"least and most_skipped must be within 0-1, got {correlation.least}, {correlation.most_skipped}"
        )
    shortest_s = min(b + a for b, a in zip(correlation.before_s, correlation.after_s, strict=True))
    if (high - low) * shortest_s < 2:
        raise ValueError(
            f"a window of {shortest_s:g} s has {2 * (high - low) * shortest_s:.1f} independent samples in a band of "
            f"{high - low:g} Hz; at least 4 are needed: use longer windows or a wider band"
        )


def segments_of(
    waveforms: Float[np.ndarray, "event station component sample"],
    arrival_s: Float[np.ndarray, "event station phase"],
    mask: Bool[np.ndarray, "event station phase"],
    rate_hz: float,
    correlation: Correlation,
    sample_mask: Bool[np.ndarray, "event station sample"] | None = None,
) -> Segments:
    """Filter records, without a shift of phase, and cut the windows about predicted or picked arrivals.

    P is cut from the vertical component, S from the horizontal ones. A window that is not whole, because it reaches
    beyond the record or has a gap, or whose components are all zero, is masked.

    Args:
        waveforms: Z, N and E.
        arrival_s: arrivals of P and S in s after the first sample.
        mask: which of them there are.
        rate_hz: sampling rate.
        correlation: settings.
        sample_mask: samples that were recorded; None: all of them.

    Raises:
        ValueError: as `check`.
    """
    check(correlation, rate_hz)
    waveforms = np.asarray(waveforms, np.float32)
    if not correlation.filtered:
        waveforms = bandpass(waveforms, rate_hz, correlation.band_hz, zero_phase=True)
    recorded = np.ones(waveforms[:, :, 0].shape, bool) if sample_mask is None else np.asarray(sample_mask)
    middle = np.round(np.where(mask, arrival_s, 0.0) * rate_hz).astype(int)
    each, begins, masks = [], [], []
    for phase, part in enumerate(BY_PHASE):
        reach = round(correlation.lag_s * rate_hz)
        begin = middle[..., phase] - round(correlation.before_s[phase] * rate_hz) - reach
        index = begin[..., None] + np.arange(_inner(correlation, phase, rate_hz) + 2 * reach)
        whole = np.asarray(mask)[..., phase] & (index[..., 0] >= 0) & (index[..., -1] < waveforms.shape[-1])
        index = np.clip(index, 0, waveforms.shape[-1] - 1)
        whole = whole & np.take_along_axis(recorded, index, -1).all(-1)
        cut = np.take_along_axis(waveforms[:, :, part], index[:, :, None], -1)
        cut = np.pad(cut, ((0, 0), (0, 0), (0, PARTS - cut.shape[2]), (0, 0)))
        masks.append(whole & (cut != 0).any((-1, -2)))
        each.append(cut)
        begins.append(begin)
    return Segments((each[0], each[1]), np.stack(begins, -1), np.stack(masks, -1), rate_hz)


def _inner(correlation: Correlation, phase: int, rate_hz: float) -> int:
    """Samples that are compared."""
    return round((correlation.before_s[phase] + correlation.after_s[phase]) * rate_hz)


def differential_times(
    segments: Segments, first: Int[np.ndarray, " pair"], second: Int[np.ndarray, " pair"], correlation: Correlation
) -> Correlated:
    """Differential times of pairs of events at all stations where both have a window, of P and of S.

    Args:
        segments: of all events.
        first: rows of the first event of each pair.
        second: and of the second.
        correlation: settings, those of the segments.

    Raises:
        ValueError: as `check`, or where `first` and `second` differ in length.
    """
    check(correlation, segments.rate_hz)
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise ValueError(f"first and second must be of one length, got {len(first)} and {len(second)}")
    found: list[list[np.ndarray]] = []
    lost: dict[str, int] = {reason: 0 for reason in LOST}
    for phase in range(len(BY_PHASE)):
        both = segments.mask[first, :, phase] & segments.mask[second, :, phase]
        lost[LOST[0]] += int((~both).sum())
        pair, station = np.nonzero(both)
        rows = np.stack([first[pair], second[pair], station], -1)
        lags = _in_chunks(segments, rows, phase, correlation)
        begin = segments.begin[..., phase]
        apart = begin[rows[:, 0], station] - begin[rows[:, 1], station]
        why = _why_lost(lags, correlation)
        for code, reason in enumerate(LOST):
            lost[reason] += int((why == code).sum())
        kept = why < 0
        time_s = apart / segments.rate_hz - np.asarray(lags.lag_s, float)
        columns = (*rows.T, np.full(len(rows), phase), time_s, lags.sd_s, lags.coefficient)
        found.append([np.asarray(x)[kept] for x in columns])
    *times, coefficient = (np.concatenate(x) for x in zip(*found, strict=True))
    return Correlated(DifferentialTimes(*(jnp.asarray(x) for x in times)), coefficient, lost)


def _why_lost(lags: Lags, correlation: Correlation) -> Int[np.ndarray, " row"]:
    """The place of the reason in `LOST`; -1 for lags that are used."""
    low, skipped = np.asarray(lags.coefficient) < correlation.least, np.asarray(lags.skipped) > correlation.most_skipped
    return np.select([low, np.asarray(lags.at_end), skipped], [1, 2, 3], -1)


def _in_chunks(segments: Segments, rows: Int[np.ndarray, "row 3"], phase: int, correlation: Correlation) -> Lags:
    """Rows of first event, second event and station, `CHUNK` at a time, the last one padded."""
    inner, rate_hz = _inner(correlation, phase, segments.rate_hz), segments.rate_hz
    value = segments.value[phase]

    def parts() -> Iterator[Lags]:
        for at in range(0, max(len(rows), 1), CHUNK):
            some = rows[at : at + CHUNK]
            some = np.pad(some, ((0, CHUNK - len(some)), (0, 0)))
            two = (jnp.asarray(value[some[:, i], some[:, 2]]) for i in (0, 1))
            yield jax.tree.map(np.asarray, correlate_rows(*two, inner, rate_hz, correlation.band_hz))

    return jax.tree.map(lambda *x: np.concatenate(x)[: len(rows)], *parts())


@jax.jit(static_argnames="inner")
def correlate_rows(
    first: Float[Array, "row part sample"],
    second: Float[Array, "row part sample"],
    inner: int,
    rate_hz: float,
    band_hz: tuple[float, float],
) -> Lags:
    """`correlate` for each row, compiled."""
    return jax.vmap(lambda a, b: correlate(a, b, inner, rate_hz, band_hz))(first, second)


def correlate(
    first: Float[Array, "part sample"],
    second: Float[Array, "part sample"],
    inner: int,
    rate_hz: float | Array,
    band_hz: tuple[float, float],
) -> Lags:
    """The lag of the second segment against the middle `inner` samples of the first."""
    coefficient = _coefficients(first, second, inner)
    step_s = 1 / (FINER * rate_hz)
    peak = coefficient.argmax()
    centre = jnp.clip(peak, 1, len(coefficient) - 2)
    left, top, right = coefficient[centre - 1], coefficient[centre], coefficient[centre + 1]
    bend = jnp.maximum(2 * top - left - right, 1e-9)
    offset = jnp.clip(0.5 * (right - left) / bend, -1.0, 1.0)
    best = jnp.maximum(top + 0.25 * (right - left) * offset, top)
    lag_s = (centre + offset - (len(coefficient) - 1) / 2) * step_s
    samples = 2 * (band_hz[1] - band_hz[0]) * (inner / rate_hz) * _present(first, second) - 2
    apart_s = jnp.arange(len(coefficient)) * step_s - (centre + offset) * step_s
    density = jnp.exp(_log_odds(best - coefficient, best, apart_s, band_hz, samples))
    local_s2 = _local_s2(bend / step_s**2, best, band_hz, samples)
    # Another peak is a period away or more; beyond half of one the density is that of other peaks.
    half_period_s = jnp.pi * jnp.sqrt(jnp.maximum(best, 0.05) / bend) * step_s
    other = jnp.abs(apart_s) > half_period_s
    within, beyond = (jnp.where(side, density, 0.0) * step_s for side in (~other, other))
    mass = jnp.maximum(within.sum(), jnp.sqrt(2 * jnp.pi * local_s2))
    resolved = local_s2 > step_s**2
    inside_s2 = jnp.where(resolved, (within * apart_s**2).sum() / within.sum(), local_s2)
    skipped = beyond.sum() / (mass + beyond.sum())
    variance_s2 = (1 - skipped) * inside_s2 + (beyond * apart_s**2).sum() / (mass + beyond.sum())
    sd_s = jnp.sqrt(variance_s2 + (LEAST_SD / rate_hz) ** 2)
    return Lags(lag_s, sd_s, best, skipped, (peak == 0) | (peak == len(coefficient) - 1))


def _coefficients(
    first: Float[Array, "part sample"], second: Float[Array, "part sample"], inner: int
) -> Float[Array, " lag"]:
    """Normalised cross-correlation of all components together, `FINER` lags a sample."""
    samples = first.shape[-1]
    reach = (samples - inner) // 2
    first, second = (x / jnp.maximum(jnp.abs(x).max(), 1e-30) for x in (first, second))
    template = first[:, reach : reach + inner]
    product = jnp.conj(jnp.fft.rfft(template, samples)) * jnp.fft.rfft(second)
    raw = FINER * jnp.fft.irfft(product.sum(0), FINER * samples)[: 2 * reach * FINER + 1]
    energy = window_sum((second**2).sum(0), inner)[: 2 * reach + 1]
    fine = jnp.interp(jnp.arange(len(raw)) / FINER, jnp.arange(2 * reach + 1), energy)
    return raw / jnp.sqrt(jnp.maximum((template**2).sum() * fine, 1e-20))


def _present(first: Float[Array, "part sample"], second: Float[Array, "part sample"]) -> Float[Array, ""]:
    """Components that both have."""
    return ((first != 0).any(-1) & (second != 0).any(-1)).sum().astype(first.dtype)


def _log_odds(
    drop: Float[Array, " lag"],
    best: Float[Array, ""],
    apart_s: Float[Array, " lag"],
    band_hz: tuple[float, float],
    samples: Float[Array, ""],
) -> Float[Array, " lag"]:
    """Log-odds of lags, whose coefficients are lower by `drop` than the best one, against it."""
    noise = jnp.maximum(1 - best, NEAREST_TO_ONE)
    low, high = band_hz
    alike = (high * jnp.sinc(2 * high * apart_s) - low * jnp.sinc(2 * low * apart_s)) / (high - low)
    return -samples * drop**2 / jnp.maximum(2 * noise * drop + noise**2 * (1 - alike), 1e-12)


def _local_s2(
    bend: Float[Array, ""], best: Float[Array, ""], band_hz: tuple[float, float], samples: Float[Array, ""]
) -> Float[Array, ""]:
    """Variance of the lag by the curvature of the log-odds at the peak, `bend` being that of the coefficient."""
    noise = jnp.maximum(1 - best, NEAREST_TO_ONE)
    low, high = band_hz
    of_noise = (2 * jnp.pi) ** 2 * (low**2 + low * high + high**2) / 3
    return (2 * noise + noise**2 * of_noise / bend) / (samples * bend)
