"""Local magnitudes of one station in northern Chile (CX.PB01) beside those of its catalogue.

    python benchmarks/magnitudes.py $JAXLOC_DATA/chile_pb01

The data have no response: that of an STS-2 with the nominal gain of a Q330 (629,145,000 counts s/m) is assumed. The
catalogue's ML is the mean of a network, so that the scatter here is that of one station, to be compared with
`BETWEEN_STATIONS_SD`. The first half of the events gives the correction of the station, the second the
errors that are printed.
"""

import sys
from pathlib import Path

import h5py
import jax
import numpy as np
import pandas as pd
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response, Station

from jaxloc.detection.local_magnitude import local_magnitude
from jaxloc.detection.magnitude_curves import CURVES
from jaxloc.geometry import Frame, to_km
from jaxloc.io.ground_motion import to_wood_anderson

STS2_ZEROS, STS2_POLES = [0j, 0j], [-0.03701 + 0.03701j, -0.03701 - 0.03701j, -251.3 + 0j, -131 + 467.3j, -131 - 467.3j]
NORMALISATION = 251.3 * (131**2 + 467.3**2)
GAIN = 629_145_000.0
RATE_HZ, LENGTH_S = 20.0, 60.0
SPEEDS_KM_S = (7.0, 4.0)


def inventory(latitude_deg: float, longitude_deg: float) -> Inventory:
    """The station with an assumed response."""
    response = Response.from_paz(
        STS2_ZEROS, STS2_POLES, GAIN, output_units="COUNTS", normalization_factor=NORMALISATION
    )
    channels = [
        Channel(f"BH{c}", "", latitude_deg, longitude_deg, 900, 0, azimuth=az, dip=dip, response=response)
        for c, az, dip in (("Z", 0, -90), ("N", 0, 0), ("E", 90, 0))
    ]
    station = Station("PB01", latitude_deg, longitude_deg, 900, channels=channels)
    return Inventory([Network("CX", [station])], source="assumed")


def onset_s(vertical: np.ndarray) -> float:
    """A rough P: the largest ratio of one second's power to the five before, as the data have no picks."""
    power = np.convolve(np.diff(vertical, prepend=vertical[0]) ** 2, np.ones(20), "valid")
    before = np.convolve(np.diff(vertical, prepend=vertical[0]) ** 2, np.ones(100), "valid") / 5
    ratio = power[100:] / (before[: len(power) - 100] + 1e-9)
    return (100 + int(ratio.argmax())) / RATE_HZ + 0.5


def main(folder: Path) -> None:
    """Print bias, MAD and coverage of each curve."""
    parts = [("chunk0_metadata.csv", "chunk0_waveforms.hdf5"), ("chunk1_metadata.csv", "chunk1_waveforms.hdf5")]
    found: dict[str, list] = {name: [] for name in CURVES}
    lost: dict[str, int] = {}
    for table, waves in parts:
        rows, file = pd.read_csv(folder / table), h5py.File(folder / waves)
        for _i, row in rows.iterrows():
            data = file["data"][row.trace_name.split("$")[0]][int(row.trace_name.split("$")[1].split(",")[0])]
            start = UTCDateTime(row.trace_start_time.replace("/", "-").replace(" ", "T"))
            codes = {"network": "CX", "station": "PB01", "starttime": start, "sampling_rate": RATE_HZ}
            stream = Stream(
                [Trace(d.astype(float), codes | {"channel": f"BH{c}"}) for d, c in zip(data, "ZNE", strict=True)]
            )
            known = inventory(row.station_latitude_deg, row.station_longitude_deg)
            motion = to_wood_anderson(stream, known, ["CX.PB01"], start, LENGTH_S - 0.05, rate_hz=RATE_HZ)
            east, north = to_km(
                Frame(row.station_latitude_deg, row.station_longitude_deg),
                np.array(row.source_latitude_deg),
                np.array(row.source_longitude_deg),
            )
            place = np.array([[float(east), float(north), row.source_depth_km, 0.0]])
            far_km = float(np.linalg.norm(place[0, :3]))
            p_s = onset_s(data[0].astype(float))
            gap_s = far_km * (1 / SPEEDS_KM_S[1] - 1 / SPEEDS_KM_S[0])
            arrival = np.array([[p_s, p_s + gap_s]])
            for name, curve in CURVES.items():
                one = local_magnitude(
                    jax.random.key(0), motion.records, motion.usable, RATE_HZ, place, np.zeros((1, 3)), arrival, curve,
                    clipped=motion.clipped, reasons=motion.reasons,
                )  # fmt: skip
                if np.isfinite(one.magnitude):
                    found[name].append((one.magnitude - row.source_magnitude2, one.sd, far_km, row.source_magnitude2))
                elif name == "iaspei":
                    reason = one.reasons[0].split(",")[0][:40]
                    lost[reason] = lost.get(reason, 0) + 1
    print("without a magnitude:", lost)
    print("| curve | events | bias | MAD x 1.4826 | after station correction: bias | sd | coverage of 68, 90 % |")
    for name, values in found.items():
        misfit, sd, *_ = np.array(values).T
        half = len(misfit) // 2
        rest = misfit[half:] - np.median(misfit[:half])
        cover = [float(np.mean(np.abs(rest) < z * sd[half:])) for z in (1, 1.645)]
        mad = 1.4826 * np.median(np.abs(misfit - np.median(misfit)))
        cells = f"{cover[0]:.2f}, {cover[1]:.2f}"
        errors = f"{np.median(misfit):+.2f} | {mad:.2f} | {rest.mean():+.2f} | {rest.std():.2f}"
        print(f"| {name} | {len(misfit)} | {errors} | {cells} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
