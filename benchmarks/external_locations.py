"""CPU seconds to score the 15,002 published single-station locations of Mousavi and Beroza (2020), compiling included.

Run: python benchmarks/external_locations.py [events]. Needs JAXLOC_DATA.
"""

import csv
import os
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = {
    "Event id": "id",
    "av_pr_lat": "latitude_deg",
    "av_pr_lon": "longitude_deg",
    "pr_unc": "epicentre_sd_km",
    "gt_lat": "truth_latitude_deg",
    "gt_lon": "truth_longitude_deg",
}


def main() -> None:
    """Score the locations and print what it took, by part."""
    from jaxloc.runs.score_external import score_predictions

    number = int(sys.argv[1]) if len(sys.argv) > 1 else None
    source = Path(os.environ["JAXLOC_DATA"]) / "deepbaysloc_predictions" / "event_based_predictions.csv"
    with source.open() as file:
        rows = [{new: row[old] for old, new in COLUMNS.items()} for row in csv.DictReader(file)][:number]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "published.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(COLUMNS.values()))
            writer.writeheader()
            writer.writerows(rows)
        begin, wall = time.process_time(), time.perf_counter()
        about = score_predictions(path, Path(folder) / "scores")["about"]
    inside = [100 * about[f"inside_{number}_stated"] for number in ("one", "two")]
    print(f"{about['events']} events: {inside[0]:.1f} and {inside[1]:.1f} % inside one and two reported uncertainties")
    took, wall_s = time.process_time() - begin, time.perf_counter() - wall
    print(f"{took:.1f} s of CPU, {wall_s:.1f} s elapsed; imports besides {begin:.1f} s of CPU")


if __name__ == "__main__":
    main()
