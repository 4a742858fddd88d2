"""Two catalogues compared from files: the table, lists and picture, and what is refused."""

import csv

import numpy as np
import pytest

from jaxloc.studies.catalogue_differences import compare, main

HEADER = "id,latitude_deg,longitude_deg,depth_km,origin_time"


def catalogue(path, north_deg=0.0, later_s=0.0, events=(*range(8),)):
    rows = [
        f"{path.stem}{i},{35.7 + 0.01 * (i % 3) + north_deg:.6f},{-117.5 + 0.01 * i:.6f},{5 + i},"
        f"2019-07-04T16:{i:02d}:{10 + later_s:05.2f}Z"
        for i in events
    ]
    path.write_text("\n".join([HEADER, *rows]))
    return path


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_catalogues_are_compared(tmp_path, capsys):
    """0.009 degrees of latitude are 1 km to 0.2 %; two events are on one side alone."""
    one, other = catalogue(tmp_path / "one.csv"), catalogue(tmp_path / "other.csv", 0.009, 0.5, (*range(1, 9),))
    folder = tmp_path / "out"
    main([str(one), str(other), "--output", str(folder), "--deeper-km", "0.5"])
    said = capsys.readouterr().out
    assert "| matched | 7 |" in said
    assert "| only in one: outside the time span of the other catalogue | 1 |" in said
    assert (folder / "differences.md").read_text() in said
    pairs = rows_of(folder / "pairs.csv")
    assert [(row["first"], row["second"]) for row in pairs] == [(f"one{i}", f"other{i}") for i in range(1, 8)]
    apart = np.array([[float(row[name]) for name in ("east_km", "north_km", "depth_km", "origin_s")] for row in pairs])
    np.testing.assert_allclose(apart, np.tile([0, 1.0, 0.5, 0.5], (7, 1)), atol=0.003)
    assert {(row["catalogue"], row["id"]) for row in rows_of(folder / "only.csv")} == {
        ("one", "one0"),
        ("other", "other8"),
    }
    assert (folder / "differences.png").stat().st_size > 10_000


def test_catalogues_without_a_common_event_have_no_picture(tmp_path, capsys):
    one, other = catalogue(tmp_path / "one.csv", events=(0,)), catalogue(tmp_path / "other.csv", events=(5,))
    main([str(one), str(other), "--output", str(tmp_path / "out")])
    assert "| matched | 0 |" in capsys.readouterr().out
    assert not (tmp_path / "out" / "differences.png").exists()


def test_an_event_without_time_is_refused(tmp_path):
    one = catalogue(tmp_path / "one.csv")
    other = tmp_path / "other.csv"
    other.write_text(f"{HEADER}\nx,35.7,-117.5,5,\n")
    with pytest.raises(ValueError, match="event x has no origin time"):
        main([str(one), str(other), "--output", str(tmp_path / "out")])


def test_ridgecrest_as_shipped(data_folder):
    """HypoDD's events are HYPOINVERSE's without 100: each has one counterpart, and the medians nearly agree."""
    folder = data_folder("ridgecrest_PAL")
    found = compare(folder / "eg_pal_hyp.ctlg", folder / "eg_pal_ct.ctlg")
    assert (len(found.first), len(found.second), len(found.matched.first)) == (1640, 1540, 1540)
    apart = found.second[found.matched.second] - found.first[found.matched.first]
    # Relocation moves events by 1.2 km in the median, and their centre by less than a tenth.
    assert np.median(np.hypot(*apart[:, :2].T)) == pytest.approx(1.2, abs=0.2)
    assert np.abs(np.median(apart[:, :3], 0)).max() < 0.1
