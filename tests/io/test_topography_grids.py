"""Elevations of one surface in every kind of file, on the nodes of a local frame, and what is refused."""

import h5py
import numpy as np
import pytest
from gridded import FRAME
from scipy.io import netcdf_file

from jaxloc.geometry import to_km
from jaxloc.io.topography_grids import ground_of, read_topography
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.topography import surface_depth_km

LONGITUDE, LATITUDE = np.linspace(-118.0, -117.0, 41), np.linspace(35.6, 36.4, 33)
REGION = Region((-20.0, 15.0), (-18.0, 20.0), (0.0, 20.0), (0.0, 1.0))


def height_m(longitude, latitude):
    """Linear: no interpolation errs."""
    return 900.0 + 1000 * (longitude + 117.5) - 500 * (latitude - 36.0)


VALUE = height_m(LONGITUDE, LATITUDE[:, None])  # [latitude, longitude]


def esri(path, registration="center", value=VALUE):
    step = LONGITUDE[1] - LONGITUDE[0]
    shift = step / 2 if registration == "corner" else 0.0
    head = [f"ncols {len(LONGITUDE)}", f"nrows {len(LATITUDE)}", f"xll{registration} {LONGITUDE[0] - shift:.9f}"]
    head += [f"yll{registration} {LATITUDE[0] - shift:.9f}", f"cellsize {step:.9f}", "NODATA_value -32768"]
    rows = [" ".join(f"{x:.3f}" for x in row) for row in value[::-1]]
    path.write_text("\n".join([*head, *rows]))


def classic(path, names=("lon", "lat", "z"), northwards=True):
    with netcdf_file(path, "w") as file:
        for name, axis in zip(names, (LONGITUDE, LATITUDE if northwards else LATITUDE[::-1]), strict=False):
            file.createDimension(name, len(axis))
            file.createVariable(name, "d", (name,))[:] = axis
        z = file.createVariable(names[2], "i2", (names[1], names[0]))
        z[:] = np.round((VALUE if northwards else VALUE[::-1]) * 10)
        z.scale_factor = 0.1


def gmt3(path):
    with netcdf_file(path, "w") as file:
        file.createDimension("side", 2)
        file.createDimension("xysize", VALUE.size)
        for name, kind, pair in (
            ("x_range", "d", LONGITUDE[[0, -1]]),
            ("y_range", "d", LATITUDE[[0, -1]]),
            ("dimension", "i4", VALUE.shape[::-1]),
        ):
            file.createVariable(name, kind, ("side",))[:] = pair
        z = file.createVariable("z", "f4", ("xysize",))
        z[:] = VALUE[::-1].ravel()
        z.node_offset = 0


def hdf5(path):
    with h5py.File(path, "w") as file:
        file["lon"], file["lat"], file["elevation"] = LONGITUDE + 360, LATITUDE, VALUE.astype("f4")


WRITERS = {
    "centre.asc": esri,
    "corner.asc": lambda path: esri(path, "corner"),
    "gmt.grd": classic,
    "southwards.nc": lambda path: classic(path, ("x", "y", "Band1"), False),
    "gmt3.grd": gmt3,
    "gmt6.grd": hdf5,
}


@pytest.mark.parametrize("name", WRITERS)
def test_all_kinds_have_the_same_surface(name, tmp_path):
    WRITERS[name](tmp_path / name)
    surface = ground_of(read_topography(tmp_path / name), FRAME, REGION)
    rng = np.random.default_rng(0)
    longitude, latitude = rng.uniform(-117.7, -117.35, 50), rng.uniform(35.85, 36.15, 50)
    places = np.stack([*to_km(FRAME, latitude, longitude), np.zeros(50)], 1)
    np.testing.assert_allclose(surface_depth_km(surface, places), -height_m(longitude, latitude) / 1000, atol=2e-4)
    assert min(surface.elevation_km.shape) > 10


def test_what_does_not_cover_the_region_is_refused(tmp_path):
    path = tmp_path / "one.asc"
    esri(path)
    wide = REGION._replace(east_km=(-60.0, 15.0))
    with pytest.raises(ValueError, match=r"longitudes -118\.000 to -117\.000 .* reaches over -118\.1"):
        ground_of(read_topography(path), FRAME, wide)
    holed = VALUE.copy()
    holed[16, 20] = -32768
    esri(path, value=holed)
    with pytest.raises(ValueError, match=r"has no elevation at 3[56]\.\d+, -117\.\d+"):
        ground_of(read_topography(path), FRAME, REGION)
    path.write_text(path.read_text().replace("xllcenter -118", "xllcenter 451118"))
    with pytest.raises(ValueError, match="must be in degrees, not in m"):
        read_topography(path)
    path.write_text("no grid at all")
    with pytest.raises(ValueError, match="must be an ESRI ASCII grid"):
        read_topography(path)
    with pytest.raises(ValueError, match="no such topography"):
        read_topography(tmp_path / "none.grd")
    esri(path, value=1000 * VALUE)
    with pytest.raises(ValueError, match="within 12 km of sea level"):
        ground_of(read_topography(path), FRAME, REGION)
