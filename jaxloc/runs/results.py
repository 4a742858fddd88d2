"""Located events as Python objects: a sequence of events with their posteriors, files and figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import jax
import numpy as np

from jaxloc.calibration.calibration import Calibration, Predictions
from jaxloc.data.dataset import Dataset
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.catalogue_csv import to_dataframe
from jaxloc.io.catalogue_quakeml import Catalog, to_catalog
from jaxloc.models.spec import ModelSpec
from jaxloc.runs import predict, report
from jaxloc.types import Batch, Posterior

if TYPE_CHECKING:
    from jaxloc.io.catalogue_csv import DataFrame


@dataclass(frozen=True)
class LocatedEvent:
    """One event of a `Located`.

    Attributes:
        id: of the event.
        posterior: over east, north and depth in km and origin time in s, in the local frame of `Located.dataset`.
        hypocentre: posterior mean in degrees with its uncertainty; None where the event was not located.
        reason: why it was not located, "" where it was.
        batch: observations (without waveforms) and labels of this event, with a leading axis of one.
    """

    id: str
    posterior: Posterior
    hypocentre: Hypocentre | None
    reason: str
    batch: Batch

    def plot(self, path: str | Path) -> Path:
        """A figure of the posterior in map view and two depth sections, with stations and, where known, the truth."""
        posterior = jax.tree.map(lambda x: x[None], self.posterior)
        report.picture_of_event(Path(path), 0, self.batch, posterior, self.id)
        return Path(path)


@dataclass(frozen=True)
class Located(Sequence[LocatedEvent]):
    """Located events, in the order of their data set.

    Attributes:
        dataset: the events that were located, with stations and local frame.
        batch: their observations (without waveforms) and labels.
        predictions: posteriors, conformal levels and out-of-distribution flags.
        hypocentres: of the events that were located.
        lost: reasons of the events that were not located, by id.
        spec: of the run that located them; None for a locator without a network.
    """

    dataset: Dataset
    batch: Batch
    predictions: Predictions
    hypocentres: tuple[Hypocentre, ...]
    lost: dict[str, str]
    spec: ModelSpec | None = None

    @property
    def posterior(self) -> Posterior:
        """Posteriors of all events, with a leading event axis."""
        return self.predictions.posterior

    def __len__(self) -> int:
        return len(self.dataset)

    @overload
    def __getitem__(self, index: int) -> LocatedEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[LocatedEvent]: ...
    def __getitem__(self, index: int | slice) -> LocatedEvent | list[LocatedEvent]:
        """An event by number (negative ones count from the end), or several by a slice."""
        numbers = range(len(self))[index]
        return self._event(numbers) if isinstance(numbers, int) else [self._event(i) for i in numbers]

    def __iter__(self) -> Iterator[LocatedEvent]:
        return (self._event(i) for i in range(len(self)))

    def _event(self, i: int) -> LocatedEvent:
        name = self.dataset.events[i].id
        found = next((h for h in self.hypocentres if h.id == name), None)
        one = jax.tree.map(lambda x: x[i], self.posterior)
        batch = jax.tree.map(lambda x: np.asarray(x)[i : i + 1], self.batch)
        return LocatedEvent(name, one, found, self.lost.get(name, ""), batch)

    def to_catalog(self) -> Catalog:
        """The located events as an ObsPy catalog with uncertainties."""
        return to_catalog(list(self.hypocentres))

    def to_dataframe(self) -> "DataFrame":
        """The located events as a table with the columns of `events.csv`."""
        return to_dataframe(list(self.hypocentres))

    def write(self, folder: str | Path) -> Path:
        """Write `events.csv` and `events.xml` (QuakeML) into a folder, which is made where it is missing."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        report.write_events(Path(folder), self.hypocentres)
        return Path(folder)

    def plot(self, path: str | Path) -> Path:
        """A map of all events with their uncertainties, and of the labelled hypocentres where they are known."""
        from jaxloc.plots import overview

        truth = self.batch.labels["hypocentre"]
        stations_km = self.batch.observations.station_km[0]
        name = self.dataset.name
        geography = report.geography_of(self.dataset)
        overview.overview_map(
            path, self.posterior.hypocentre, truth.value, truth.mask, stations_km, f"{name}: events", geography
        )
        return Path(path)


def results_of(
    dataset: Dataset,
    located: predict.Located,
    calibration: Calibration | None = None,
    spec: ModelSpec | None = None,
    flags: Sequence[str] = (),
) -> Located:
    """The events of a data set with their posteriors, recalibrated where there is a calibration, and their flags."""
    predictions = predict.as_calibrated(calibration, located)
    found, lost = report.hypocentres_of(dataset, located.batch, predictions, flags=flags)
    return Located(dataset, located.batch, predictions, tuple(found), lost, spec)
