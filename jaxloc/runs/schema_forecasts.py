"""The settings of experiments of forecasting networks, as structured configurations."""

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class Kail2021Data:
    """Maps of a catalogue, and the windows of time and space of the forecasts (`jaxloc.forecasting.kail`)."""

    kind: str = MISSING
    path: str = MISSING
    shuffled: bool = False  # a control: training targets in any order
    start: str = MISSING
    train_until: str = MISSING
    test_from: str = MISSING
    test_until: str | None = None  # null: the end of the catalogue
    box_km: list[float] = MISSING  # west, east, south, north
    cell_km: float = 50.0
    step_days: float = 5.0
    lead_days: float = 10.0
    horizon_days: float = 50.0
    magnitudes: list[float] = MISSING
    burn_in_days: float = 365  # before the first training step
    memory_days: list[float] = field(default_factory=lambda: [30.0, 365.0, 3650.0])  # decay times of the input rates
    memory_sigma_km: float = 50.0
    warm_up: int = 6  # steps from which the state is found
    stretch: int = 18  # steps after these that are trained on
    tolerance_km: float = 50.0  # radius of the dilated target
    block_days: float = 100  # of the bootstrap


@dataclass
class Cells:
    """Cells of one degree, say, and their periods."""

    cell_deg: float = 1.0
    period_days: float = 30.4375
    events: int = 100  # the last ones of a cell, for the indicators
    memory: int = 12  # periods that the network reads
    magnitudes: list[float] = MISSING  # whose exceedance is scored
    memory_days: list[float] = MISSING  # of the regression on recent rates
    block_days: float = 365  # of the bootstrap


@dataclass
class Periods:
    """The next large event."""

    magnitude: float = 5.5
    decluster: bool = True
    waiting: str = "log_normal"  # or weibull
    memory: int = 3  # periods that the network reads


@dataclass
class Panakkat2009Data:
    """Seismicity indicators of a catalogue (`jaxloc.forecasting.panakkat_cells`, `panakkat_periods`)."""

    kind: str = MISSING
    path: str = MISSING
    shuffled: bool = False  # a control: training targets in any order
    start: str = MISSING
    train_until: str = MISSING
    test_from: str = MISSING
    test_until: str | None = None  # null: the end of the catalogue
    least_magnitude: float = 3.0
    characteristic: list[float] = MISSING  # magnitudes of characteristic events
    b_value: str = "least_squares"  # as published; or aki_utsu
    box_deg: list[float] = MISSING  # west, east, south, north
    cells: Cells = field(default_factory=Cells)
    periods: Periods = field(default_factory=Periods)


@dataclass
class Kail2021:
    """The convolutional LSTM."""

    name: str = "kail2021"
    width: int = 8
    hidden: int = 8
    published: bool = False


@dataclass
class Panakkat2009:
    """The recurrent network."""

    name: str = "panakkat2009"
    hidden: int = 12
    published: bool = False
