"""Located events as an ObsPy catalog and as a table: the same numbers as in the files."""

import numpy as np
import pandas as pd
from obspy import UTCDateTime, read_events

from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.catalogue_csv import to_dataframe, write_csv
from jaxloc.io.catalogue_quakeml import to_catalog, write_quakeml

EVENTS = [
    Hypocentre("a", "2024-03-01T12:00:00.5Z", 36.25, -97.5, 6.0, 2.25, np.diag([1.0, 4.0, 9.0, 0.01])),
    Hypocentre("b", None, -12.0, 170.0, 33.0, 7.0, np.diag([1.0, 1.0, 4.0, 0.04]), others={"magnitude_x": 2.0}),
]


def test_a_catalog_has_the_hypocentre_and_its_errors_in_metres_and_degrees():
    origin = to_catalog(EVENTS)[0].preferred_origin()
    assert origin.time == UTCDateTime("2024-03-01T12:00:02.75Z")
    assert (origin.latitude, origin.longitude, origin.depth) == (36.25, -97.5, 6000.0)
    assert origin.depth_errors.uncertainty == 3000.0
    assert origin.time_errors.uncertainty == np.float64(0.1)


def test_the_catalog_is_the_file(tmp_path):
    write_quakeml(tmp_path / "events.xml", EVENTS)
    read, made = read_events(tmp_path / "events.xml"), to_catalog(EVENTS)
    assert [e.preferred_origin().time for e in read] == [e.preferred_origin().time for e in made]
    assert [e.preferred_origin().longitude for e in read] == [e.preferred_origin().longitude for e in made]


def test_the_table_is_the_file(tmp_path):
    write_csv(tmp_path / "events.csv", EVENTS)
    table, file = to_dataframe(EVENTS), pd.read_csv(tmp_path / "events.csv")
    assert list(table.columns) == list(file.columns)
    assert table["covariance_north_north"].tolist() == [4.0, 1.0]
    np.testing.assert_allclose(table["latitude_deg"], file["latitude_deg"])
    np.testing.assert_allclose(table["magnitude_x"].astype(float), file["magnitude_x"])
