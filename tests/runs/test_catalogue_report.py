"""The report of a catalogue: recall of stations, and one page that holds all of its pictures."""

import numpy as np
import pytest

from jaxloc.geometry import Frame
from jaxloc.plots.geography import Geography
from jaxloc.runs.catalogue_report import Reported, recall_of, write_report


def test_recall_is_the_share_of_events_with_a_pick():
    event, station, phase = np.array([0, 0, 1, -1]), np.array([0, 1, 0, 1]), np.array([0, 1, 0, 1])
    np.testing.assert_allclose(recall_of(event, station, phase, (2, 2), 2), [[1.0, 0.0], [0.0, 0.5]])
    np.testing.assert_allclose(recall_of(event[3:], station[3:], phase[3:], (2, 2), 0), np.zeros((2, 2)))


@pytest.mark.parametrize(("number", "pictures"), [(40, 5), (0, 1)])
def test_a_report_is_one_page_with_its_pictures_inside(tmp_path, number, pictures):
    """Without events there is nothing to map, but the picks have their fates."""
    generator = np.random.default_rng(0)
    hypocentre_km = generator.normal(size=(number, 4)) * [5, 3, 2, 1000] + [0, 0, 8, 4000]
    magnitude = np.where(np.arange(number) % 7 == 0, np.nan, generator.exponential(0.4, number))
    station_km = generator.uniform(-20, 20, (6, 3)) * [1, 1, 0]
    geography = Geography(Frame(40.0, 10.0), tuple(f"XX.S{i}" for i in range(6)))
    rows = [{"time": i, "magnitude": f"{m:.1f}"} for i, m in enumerate(magnitude)]
    fates = ["", "", "no event <fits>"]
    given = hypocentre_km, magnitude, rows, station_km, geography, np.full((6, 2), 0.5), fates, (0.0, 1.0, 0.1)
    page = write_report(tmp_path / "report.html", Reported("A & B", {"events": str(number)}, *given, ["read <this>"]))
    text = page.read_text()
    assert text.count("data:image/png;base64,") == pictures
    assert "A &amp; B" in text
    assert "read &lt;this&gt;" in text
    assert 'src="http' not in text
    assert ("Map and sections" in text) == (number > 0)
