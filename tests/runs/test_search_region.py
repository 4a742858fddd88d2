"""The search region: options, and the box around stations."""

import numpy as np
import pytest

from jaxloc.geometry import Frame, to_degrees
from jaxloc.physics.adaptive_grid import Region
from jaxloc.runs.search_region import around_stations, parse_depths, parse_region, with_options

START = Region((-1.0, 1.0), (-1.0, 1.0), (0.0, 40.0), (-5.0, 5.0))


@pytest.mark.parametrize(("longitude_deg", "latitude_deg"), [(-117.5, 35.5), (-116.5, 36.5)])
def test_a_region_in_degrees_replaces_the_sides_alone(longitude_deg, latitude_deg):
    frame = Frame(36.0, -117.0)
    region = with_options(START, frame, parse_region("-117.5/-116.5/35.5/36.5"), None)
    assert region[2:] == START[2:]
    latitude, longitude = to_degrees(frame, np.array(region.east_km), np.array(region.north_km))
    assert latitude.min() - 1e-4 <= latitude_deg <= latitude.max() + 1e-4
    assert longitude.min() - 1e-4 <= longitude_deg <= longitude.max() + 1e-4
    assert region.north_km[1] == pytest.approx(55.5, abs=0.3)


def test_a_region_may_cross_the_date_line():
    region = with_options(START, Frame(-18.0, 180.0), parse_region("179/-179/-19/-17"), (0.0, 600.0))
    assert region.east_km == pytest.approx((-106.5, 106.5), abs=1.5)
    assert region.depth_km == (0.0, 600.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1/2/3", "must be WEST/EAST/SOUTH/NORTH"),
        ("a/b/c/d", "must be WEST/EAST/SOUTH/NORTH"),
        ("10/11/40/39", "south below north"),
        ("10/11/40/95", "latitude 95"),
        ("10/400/40/50", "longitude 400"),
    ],
)
def test_wrong_regions_are_refused_by_name(text, message):
    with pytest.raises(ValueError, match=message):
        parse_region(text)


@pytest.mark.parametrize("depths", [(10, 5), (0, 900), (-50, 10), (5,), (float("nan"), 5)])
def test_wrong_depths_are_refused_by_name(depths):
    with pytest.raises(ValueError, match="--depth-km must be"):
        parse_depths(depths)


@pytest.mark.parametrize(("reach_km", "margin", "deepest"), [(0.0, 50.0, 40.0), (120.0, 120.0, 120.0)])
def test_the_box_around_stations_has_a_margin(reach_km, margin, deepest):
    stations = np.array([[-30.0, -40.0, -1.5], [30.0, 40.0, 0.1]])
    region = around_stations(stations, (-9.0, 1.0), reach_km)
    assert region.east_km == (-30 - margin, 30 + margin)
    assert region.north_km == (-40 - margin, 40 + margin)
    assert region.depth_km == (-1.5, deepest)
