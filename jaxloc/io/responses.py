"""Instrument responses of an inventory, and why a channel has none that can be used."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from obspy import Trace, UTCDateTime
from obspy.core.inventory import Channel
from obspy.core.inventory.response import Response
from scipy.ndimage import binary_erosion

from jaxloc.data.gaps import bridged
from jaxloc.io.channel_records import Stretch
from jaxloc.io.station_inventory import epochs_at
from jaxloc.physics.wood_anderson import GAIN, POLES_RAD_S

UNITS = ("M", "M/S", "M/S**2")
TAPER_S, EDGE_S = 2.0, 3.0
"""A record is tapered at its ends; samples within the second of ends and gaps are not used."""
HIGH = (0.8, 0.95)
"""Of the Nyquist frequency, between which the spectrum falls to zero."""
WOOD_ANDERSON = {"poles": list(POLES_RAD_S), "zeros": [0j, 0j], "gain": 1.0, "sensitivity": GAIN}


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


def corrected(stretch: Stretch, response: Response, low_hz: float, wood_anderson: bool) -> Corrected:
    """Ground displacement of a stretch of counts by ObsPy's response removal, or what a Wood-Anderson would record.

    Spectra are zero below half of `low_hz` and towards the Nyquist frequency (`HIGH`); there is no water level. Samples
    near ends and gaps are marked as not recorded.
    """
    duration_s, edge = len(stretch.samples) / stretch.rate_hz, round(EDGE_S * stretch.rate_hz)
    if duration_s < 4 * EDGE_S:
        return Corrected(None, f"{duration_s:.1f} s of record, {4 * EDGE_S:g} s are needed")
    samples = bridged(np.where(stretch.recorded, stretch.samples, 0.0), stretch.recorded)
    trace = Trace(samples, {"sampling_rate": stretch.rate_hz, "starttime": stretch.start})
    trace.stats.response = response
    nyquist_hz = stretch.rate_hz / 2
    band_hz = (low_hz / 2, low_hz, HIGH[0] * nyquist_hz, HIGH[1] * nyquist_hz)
    if low_hz >= band_hz[2]:
        return Corrected(None, f"sampled at {stretch.rate_hz:g} Hz, too slow for {low_hz:g} Hz and above")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            taper = TAPER_S / duration_s
            trace.remove_response(output="DISP", pre_filt=band_hz, water_level=None, taper_fraction=taper)
            if wood_anderson:
                trace.simulate(paz_simulate=WOOD_ANDERSON, taper=False, zero_mean=False)
    except Exception as error:  # evalresp raises many kinds
        return Corrected(None, f"the response cannot be used ({' '.join(str(error).split())[:120]})")
    if not np.isfinite(trace.data).all():
        return Corrected(None, "the response cannot be inverted")
    inner = binary_erosion(stretch.recorded, np.ones(2 * edge + 1, bool), border_value=0)
    return Corrected(stretch._replace(samples=trace.data * (1e3 if wood_anderson else 1.0), recorded=inner))
