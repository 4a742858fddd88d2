"""Instrument responses of an inventory, and why a channel has none that can be used."""

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex
from obspy import UTCDateTime
from obspy.core.inventory import Channel
from obspy.core.inventory.response import Response
from obspy.signal.invsim import cosine_sac_taper, cosine_taper
from scipy import fft
from scipy.ndimage import minimum_filter1d

from jaxloc.data.gaps import bridged
from jaxloc.io.channel_records import Span, Stretch
from jaxloc.io.station_inventory import epochs_at
from jaxloc.physics.wood_anderson import wood_anderson_response

UNITS = ("M", "M/S", "M/S**2")
TAPER_S, EDGE_S = 2.0, 3.0
"""A record is tapered at its ends; samples within the second of ends and gaps are not used."""
HIGH = (0.8, 0.95)
"""Of the Nyquist frequency, between which the spectrum falls to zero."""
ON_TIME = 1e-4  # of a sample
MOST_TRANSFERS = 4096  # of channels, rates and lengths, that are kept: about 30 kB each


class Corrected(NamedTuple):
    """A stretch in m, or as a Wood-Anderson record in mm; or the reason why it is not."""

    stretch: Stretch | None
    reason: str = ""


def response_at(
    epochs: Mapping[str, Sequence[Channel]], channel: str, time: UTCDateTime
) -> tuple[Response | None, str]:
    """The response of a channel (NET.STA.LOC.CHA) at a time, or None and the reason."""
    own = epochs.get(channel, [])
    if not own:
        return None, f"{channel} is not in the inventory"
    covering = [c for c in epochs_at(own, time) if _covers(c, time)]
    if not covering:
        return None, f"no epoch of {channel} in the inventory covers {time}"
    response = covering[0].response
    if response is None or not response.response_stages:
        only = "" if response is None or response.instrument_sensitivity is None else ", only a sensitivity"
        return None, f"{channel} has no response in the inventory{only}"
    units = str(response.response_stages[0].input_units or "").upper()
    if units not in UNITS:
        return None, f"the response of {channel} is to {units or 'unknown units'}, not to ground motion"
    return response, ""


def _covers(channel: Channel, time: UTCDateTime) -> bool:
    begun = channel.start_date is None or channel.start_date <= time
    return begun and (channel.end_date is None or time < channel.end_date)


def corrected(
    stretch: Stretch, response: Response, low_hz: float, wood_anderson: bool, span: Span | None = None
) -> Corrected:
    """Ground displacement of a stretch of counts, or what a Wood-Anderson would record, as ObsPy's tools give it.

    Spectra are zero below half of `low_hz` and towards the Nyquist frequency (`HIGH`); there is no water level. Samples
    near ends and gaps are marked as not recorded. The response of a channel is computed once for each length of
    transform, a power of two; ObsPy computes it anew for each record. Where a time grid is given and its rate goes with
    the transform, the result is on its times: the transform interpolates without a further filter.
    """
    number, rate_hz = len(stretch.samples), stretch.rate_hz
    duration_s, edge = number / rate_hz, round(EDGE_S * rate_hz)
    if duration_s < 4 * EDGE_S:
        return Corrected(None, f"{duration_s:.1f} s of record, {4 * EDGE_S:g} s are needed")
    if low_hz >= HIGH[0] * rate_hz / 2:
        return Corrected(None, f"sampled at {rate_hz:g} Hz, too slow for {low_hz:g} Hz and above")
    size = 2 ** int(np.ceil(np.log2(2 * number)))
    try:
        transfer = _transfer(_Same(response), rate_hz, size, low_hz, wood_anderson)
    except Exception as error:  # evalresp raises many kinds
        return Corrected(None, f"the response cannot be used ({' '.join(str(error).split())[:120]})")
    samples = bridged(np.where(stretch.recorded, stretch.samples, 0.0), stretch.recorded)
    samples = (samples - samples.mean()) * _taper(number, rate_hz)
    inner = minimum_filter1d(stretch.recorded.astype(np.uint8), 2 * edge + 1, mode="constant", cval=0).astype(bool)
    spectrum = np.asarray(fft.rfft(samples, size)) * transfer
    if not np.isfinite(spectrum).all():
        return Corrected(None, "the response cannot be inverted")
    if span is not None and (size * span.rate_hz / rate_hz).is_integer():
        return Corrected(_on_grid(spectrum, size, stretch._replace(recorded=inner), span))
    motion = np.asarray(fft.irfft(spectrum, size))[:number]
    return Corrected(stretch._replace(samples=motion, recorded=inner))


def _on_grid(spectrum: Complex[np.ndarray, " frequency"], size: int, stretch: Stretch, span: Span) -> Stretch:
    """A stretch at the times of a grid, from its spectrum, which is zero near the Nyquist frequency."""
    ratio = span.rate_hz / stretch.rate_hz
    ahead = -float(stretch.start - span.start) * span.rate_hz % 1.0  # samples of the grid
    ahead = 0.0 if min(ahead, 1 - ahead) < ON_TIME else ahead
    out = round(size * ratio)
    turned = spectrum[: out // 2 + 1]
    if ahead:
        turned = turned * np.exp(2j * np.pi * ahead / out * np.arange(len(turned)))
    number = int(np.floor((len(stretch.samples) - 1) * ratio - ahead + ON_TIME)) + 1
    motion = np.asarray(fft.irfft(turned, out))[:number] * ratio
    place = (np.arange(number) + ahead) / ratio
    last = len(stretch.recorded) - 1
    before, after = (np.clip(f, 0, last).astype(int) for f in (np.floor(place + ON_TIME), np.ceil(place - ON_TIME)))
    there = stretch.recorded[before] & stretch.recorded[after]
    return Stretch(motion, there, span.rate_hz, stretch.start + ahead / span.rate_hz)


@lru_cache(64)
def _taper(number: int, rate_hz: float) -> np.ndarray:
    return cosine_taper(number, TAPER_S * rate_hz / number, sactaper=True, halfcosine=False)


class _Same:
    """A response as the key of a cache: responses of inventories have no hash, and are compared by all their stages."""

    def __init__(self, response: Response) -> None:
        self.response = response

    def __hash__(self) -> int:
        return id(self.response)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.response is self.response


@lru_cache(MOST_TRANSFERS)
def _transfer(
    of: _Same, rate_hz: float, size: int, low_hz: float, wood_anderson: bool
) -> Complex[np.ndarray, " frequency"]:
    """Ground displacement in m, or a Wood-Anderson's record in mm, over counts, at the frequencies of a transform."""
    nyquist_hz = rate_hz / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gain, frequency_hz = of.response.get_evalresp_response(1 / rate_hz, size, output="DISP")
    band = cosine_sac_taper(frequency_hz, (low_hz / 2, low_hz, HIGH[0] * nyquist_hz, HIGH[1] * nyquist_hz))
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(band > 0, band / gain, 0.0)
    if wood_anderson:
        inverse = 1e3 * inverse * wood_anderson_response(frequency_hz)
    return inverse.astype(np.complex64)
