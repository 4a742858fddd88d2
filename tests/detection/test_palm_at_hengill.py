"""PAL and MESS on five minutes of real records: the earthquakes that are seen on them by eye, and no others."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import obspy
import pytest

from jaxloc.data.pick_list import NO_EVENT, Associated, PickList
from jaxloc.data.preprocessing import bandpass, resample
from jaxloc.detection import mess, mess_picks, pal_picker
from jaxloc.detection.matched_filter import normalised_correlation
from jaxloc.detection.pal_associator import associate
from jaxloc.detection.pal_grid import EXAMPLE
from jaxloc.geometry import frame_of, to_km

pytestmark = pytest.mark.slow

SEEN_S = (14.9, 39.1, 77.6, 102.9, 136.0, 179.6, 197.8, 268.2)
"""Origin times after 03:00:00 UTC as PAL gives them. Six stations or more show each on their records."""
BEFORE_THE_PICKER_S = 4.0
"""A weak one before the first 7.5 s, which PAL's picker leaves out."""
RATE_HZ = 50.0


class Continuous(NamedTuple):
    """Records in the band of MESS, with what PAL's picker and associator find."""

    records: np.ndarray
    picks: PickList
    found: Associated


@pytest.fixture(scope="module")
def hengill(data_folder: Callable[[str], Path]) -> Continuous:
    folder = data_folder("hengill_continuous")
    rows = list(csv.DictReader((folder / "stations.csv").open()))
    picked, filtered = [], []
    for row in rows:
        name = f"{row['network']}.{row['station']}.*.?H"
        traces = [obspy.read(str(next(folder.glob(f"{name}{part}__*"))))[0] for part in "ZNE"]
        rate_hz, number = traces[0].stats.sampling_rate, min(map(len, traces))
        record = np.stack([trace.data[:number] for trace in traces]).astype(float)
        picked.append(pal_picker.pick_station(record, rate_hz, pal_picker.RIDGECREST))
        centred = record - record.mean(-1, keepdims=True)
        filtered.append(resample(bandpass(centred, rate_hz, (1.0, 20.0)), rate_hz, RATE_HZ)[:, :14_990])
    columns = [(float(row["latitude"]), float(row["longitude"]), float(row["elevation"]) / 1e3) for row in rows]
    latitude_deg, longitude_deg, elevation_km = np.array(columns).T
    frame = frame_of(latitude_deg, longitude_deg)
    station_km = np.stack([*to_km(frame, latitude_deg, longitude_deg), -elevation_km], -1)
    picks = pal_picker.to_picks(picked, np.zeros(len(rows)))
    return Continuous(np.stack(filtered), picks, associate(picks, station_km, frame, EXAMPLE))


def test_pal_finds_the_earthquakes_that_are_seen(hengill: Continuous) -> None:
    assert hengill.found.hypocentre[:, 3] == pytest.approx(SEEN_S, abs=0.5)
    assert np.hypot(*hengill.found.hypocentre[:, :2].T).max() < 15


def test_mess_finds_them_again_and_one_more(hengill: Continuous) -> None:
    usable = np.ones(hengill.records.shape, bool)
    templates = []
    for event, hypocentre in enumerate(hengill.found.hypocentre):
        arrival_s = np.full((len(hengill.records), 2), np.nan)
        own = np.flatnonzero(hengill.found.event == event)
        arrival_s[hengill.picks.station[own], hengill.picks.phase[own]] = hengill.picks.time_s[own]
        template, reason = mess.cut_template(hengill.records, RATE_HZ, hypocentre[3], arrival_s)
        assert template is not None, reason
        templates.append(template)
    detected = []
    for row, found in enumerate(mess.detect(normalised_correlation, hengill.records, usable, RATE_HZ, templates)):
        for origin_s, correlation in zip(*found, strict=True):
            picks = mess_picks.pick(normalised_correlation, hengill.records, usable, RATE_HZ, templates[row], origin_s)
            detected.append(mess_picks.Detected(row, origin_s, correlation, templates[row].station, picks))
    linked = mess_picks.link(detected, hengill.found.hypocentre[:, 3], hengill.found.hypocentre[:, :3])
    assert linked.origin_s == pytest.approx((BEFORE_THE_PICKER_S, *SEEN_S), abs=0.5)
    assert linked.template.tolist() == [NO_EVENT, *range(8)]
    assert len(linked.link_s) > 100
    assert np.abs(linked.link_s).max() <= 1.0
