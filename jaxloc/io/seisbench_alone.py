"""Traces of a SeisBench folder one by one, without positions of their stations: records of noise, for instance."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.io.seisbench_metadata import Rows, column, read_metadata, station_codes
from jaxloc.io.seisbench_traces import Wanted, component_orders, native_rates, process, read_formats

CATEGORY = "trace_category"


class Alone(NamedTuple):
    """Traces, padded to one length: waveforms, recorded samples, codes of stations, and the category of each."""

    waveforms: Float[np.ndarray, "trace 3 sample"]
    recorded: Bool[np.ndarray, "trace sample"]
    station: np.ndarray
    category: np.ndarray


def read_alone(folder: Path, rate_hz: float, num_samples: int) -> Alone:
    """All traces of a folder, freed of their means, resampled to a rate and cut or padded to a length.

    Raises:
        ValueError: where the folder is wrong (`read_metadata`) or has no column trace_category.
    """
    table, files = read_metadata(folder, required=("trace_name", "station_code"))
    if CATEGORY not in table:
        raise ValueError(f"{folder}: the metadata must have a column {CATEGORY}, which names the kind of each trace")
    number = len(table)
    gain = np.stack([column(table, f"trace_gain_{letter}", 1.0) for letter in "zne"], -1)
    of_file, nowhere = table["file"].to_numpy(int), np.zeros(number, int)
    rows = Rows(table["trace_name"].tolist(), of_file, np.arange(number), nowhere, np.zeros(number), gain, table)
    formats = read_formats(files)
    orders = component_orders(rows, formats)
    wanted = Wanted(files, formats, native_rates(rows, formats), orders, rate_hz, num_samples, None, True)
    records = process(rows, wanted, np.arange(number))
    recorded = records.recorded & (records.waveforms != 0).any((1, 2))[:, None]
    return Alone(records.waveforms, recorded, station_codes(table), table[CATEGORY].to_numpy(str))
