"""The search region of new records, and how it is widened."""

import pytest

from jaxloc.data.dataset import Dataset, Event
from jaxloc.geometry import Frame
from jaxloc.physics.adaptive_grid import Region
from jaxloc.runs.inputs import slid_over
from jaxloc.runs.new_events import refuse_duplicates
from jaxloc.runs.search_region import region_of_records
from jaxloc.runs.widening import widened

TRAINED = Region((-45.0, 45.0), (-45.0, 45.0), (0.0, 20.0), (-5.0, 25.0))


@pytest.mark.parametrize(
    ("duration_s", "highest_km", "origin_s", "top_km"),
    [(40.0, -0.6, (-20.0, 40.0), -0.6), (300.0, 0.0, (-20.0, 300.0), 0.0), (10.0, -3.1, (-20.0, 10.0), -3.1)],
)
def test_origin_times_are_searched_in_the_whole_record(duration_s, highest_km, origin_s, top_km):
    region = region_of_records(TRAINED, duration_s, highest_km)
    assert region.origin_s == origin_s
    assert region.depth_km == (top_km, 20.0)
    assert region[:2] == TRAINED[:2]


def test_events_of_wide_regions_may_begin_long_before_the_record():
    """Half a diagonal of 1,000 km at 6 km/s takes 83 s; no longer than the record."""
    wide = TRAINED._replace(east_km=(-400.0, 400.0), north_km=(-300.0, 300.0))
    assert region_of_records(wide, 200.0, 0.0).origin_s == pytest.approx((-500 / 6, 200.0))
    assert region_of_records(wide, 60.0, 0.0).origin_s == (-60.0, 60.0)


def test_a_region_grows_by_its_extent_beyond_each_side():
    region = widened(TRAINED, {"east", "bottom"})
    assert region == Region((-45.0, 135.0), (-45.0, 45.0), (0.0, 40.0), (-5.0, 25.0))


def test_ids_that_occur_twice_are_refused_before_anything_is_located():
    events = tuple(Event(name, "") for name in ("a", "b", "a"))
    with pytest.raises(ValueError, match="event id 'a' occurs 2 times"):
        refuse_duplicates(Dataset("d", Frame(0.0, 0.0), (), events, 20.0, 800, lambda index: None))


@pytest.mark.parametrize(
    ("records", "windows", "number", "slid"),
    [
        ("waveforms", None, 3, True),
        (["a.mseed", "b.mseed"], None, 3, True),
        ("waveforms", None, 1, False),
        ("waveforms", "windows.csv", 3, False),
        ("seisbench", None, 3, False),
        (["seisbench"], None, 3, False),
        ("dataset", None, 3, False),
    ],
)
def test_only_long_waveforms_without_windows_are_slid_over(tmp_path, records, windows, number, slid):
    """Events of a SeisBench folder are never merged: each of them is an event of its own."""
    (tmp_path / "seisbench").mkdir()
    (tmp_path / "seisbench" / "metadata.csv").write_text("")
    events = tuple(Event(str(i), "") for i in range(number))
    dataset = Dataset("d", Frame(0.0, 0.0), (), events, 20.0, 800, lambda index: None)
    given = [tmp_path / one for one in records] if isinstance(records, list) else tmp_path / records
    assert slid_over(dataset if records == "dataset" else given, windows, dataset) == slid
