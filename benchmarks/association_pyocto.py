"""PyOcto's side of `association.py`; it needs numpy below 2, so it runs in an environment of its own.

Run: python benchmarks/association_pyocto.py picks.npz events.npz. The first has station_km, station, phase, time_s,
region [3, 2], speeds and cutoff_km; the second gets `event`, of each pick, and the CPU seconds.
"""

import sys
import time

import numpy as np
import pandas as pd
import pyocto


def main() -> None:
    """Associate with the settings of PyOcto's own benchmark (benchmark/configs/associator of its repository).

    Its two cases differ by the cut-off: 250 km (Chile) and 100 km (shallow events of a small region).
    """
    given = np.load(sys.argv[1])
    names = [f"S{i:03d}" for i in range(len(given["station_km"]))]
    stations = pd.DataFrame(given["station_km"], columns=["x", "y", "z"]).assign(id=names)
    picks = pd.DataFrame(
        {
            "station": [names[i] for i in given["station"]],
            "phase": np.array(["P", "S"])[given["phase"]],
            "time": given["time_s"],
        }
    )
    vp_km_s, vs_km_s = given["speeds"]
    (west, east), (south, north), (top, bottom) = given["region"]
    associator = pyocto.OctoAssociator(
        xlim=(west, east),
        ylim=(south, north),
        zlim=(top, bottom),
        velocity_model=pyocto.VelocityModel0D(
            p_velocity=vp_km_s, s_velocity=vs_km_s, tolerance=2.0, association_cutoff_distance=float(given["cutoff_km"])
        ),
        time_before=float(given["longest_s"]),
        n_picks=10,
        n_p_picks=2,
        n_s_picks=2,
        n_p_and_s_picks=4,
        pick_match_tolerance=2.0,
        n_threads=2,
    )
    begin = time.process_time()
    _, assigned = associator.associate(picks, stations)
    event = np.full(len(picks), -1)
    event[assigned["pick_idx"].to_numpy(int)] = assigned["event_idx"].to_numpy(int)
    np.savez(sys.argv[2], event=event, cpu_s=time.process_time() - begin)


if __name__ == "__main__":
    main()
