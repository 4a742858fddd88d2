"""The settings of an experiment as structured configurations: each default stands here once, or in a signature.

YAML files in `experiments/` give what differs. What only one model or one weight posterior has is derived from the
signature of its builder (`jaxloc.runs.derived`). `MISSING` has no default: the experiment gives it.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from jaxloc.data.augmentation import Augmentation
from jaxloc.networks.arrival_rates import RateModel
from jaxloc.physics.gradient import FORMS
from jaxloc.runs.derived import dataclass_of
from jaxloc.settings import GIVEN, Setting, fields_of
from jaxloc.simulation.networks import Variety

AugmentationSettings = dataclass_of("AugmentationSettings", fields_of(Augmentation))


@dataclass
class Velocity:
    """Layers of constant velocity: their tops, P velocities, and S velocities or one ratio of P to S velocity.

    With `form` "gradient" velocities are linear between the depths `top_km`.
    """

    top_km: list[float] = MISSING
    vp_km_s: list[float] = MISSING
    vp_vs: float | None = None
    vs_km_s: list[float] | None = None  # by layer, in place of vp_vs
    form: str = FORMS[0]
    speed_sd: float | None = None  # uncertainty of all speeds together, as a share of them; null: exact
    vp_vs_sd: float | None = None  # uncertainty of Vp/Vs; null: exact, unless speed_sd is given


def simulated_crust() -> Velocity:
    """The crust under simulated networks."""
    return Velocity([0.0, 2.0, 8.0, 20.0, 38.0], [4.8, 5.8, 6.1, 6.7, 8.0], 1.73)


@dataclass
class SearchRegion:
    """Where hypocentres are searched for: the training catalogue and a margin, depths, origin times in the window."""

    margin_km: float = 10.0
    depth_km: list[float] = MISSING
    origin_s: list[float] = MISSING


@dataclass
class Records:
    """Views of a data set (`jaxloc.data.views.taken_by`); by default events as all stations recorded them."""

    stations: list[str] | None = None  # codes of those that are kept; null: all
    picks_sd_s: list[float] | None = None  # errors of simulated P and S picks
    elapsed_s: list[float] | None = None  # each event truncated at these times after its first trigger
    each_station: bool = False  # each record an event of its own
    one_station: bool = False  # each validation event as one of its stations recorded it
    noise: bool = False  # as many windows of noise as events
    shuffled: bool = False  # training labels shuffled: a control


@dataclass
class SeisBench:
    """Events of a SeisBench folder."""

    kind: str = "seisbench"
    folder: str = MISSING
    prefixes: list[str] = field(default_factory=list)  # of the files in the folder, where there are several
    gain_m_s: float = 1.0  # ground velocity of one count, for records in counts
    train_split: str | None = "train"
    dev_split: str | None = None  # null: the last `held_out` training events
    held_out: int = 0
    num_train: int | None = None  # the last ones; null: all
    rate_hz: float = MISSING
    num_samples: int = MISSING
    bandpass_hz: list[float] | None = None
    native_band_hz: list[float] | None = None  # of an archive that is filtered already
    pick_columns: dict[str, str] = field(default_factory=dict)
    memory_mb: int = 2048
    velocity: Velocity = field(default_factory=Velocity)
    region: SearchRegion = field(default_factory=SearchRegion)
    records: Records = field(default_factory=Records)


@dataclass
class Simulated:
    """Earthquakes at one simulated network of stations."""

    kind: str = "simulated"
    preset: str = "general"
    num_stations: int = 8
    aperture_km: float = 60.0
    half_width_km: float = 20.0  # epicentres are uniform within it
    depth_km: list[float] = field(default_factory=lambda: [2.0, 15.0])
    num_train: int = 300
    num_dev: int = 100
    rate_hz: float = MISSING
    num_samples: int = MISSING
    bandpass_hz: list[float] = MISSING
    velocity: Velocity = field(default_factory=simulated_crust)
    region: SearchRegion = field(default_factory=SearchRegion)
    records: Records = field(default_factory=Records)


@dataclass
class Groningen:
    """Induced earthquakes in a gas reservoir, at stations on the surface and in boreholes."""

    kind: str = "simulated"
    preset: str = "groningen"
    num_stations: int = 16
    aperture_km: float = 50.0
    depth_km: list[float] = field(default_factory=lambda: [2.6, 3.4])
    speed_factor: float = 1.0  # on all velocities of the simulation
    num_train: int = 2000
    num_dev: int = 100
    rate_hz: float = MISSING
    num_samples: int = MISSING
    bandpass_hz: list[float] = MISSING
    velocity: Velocity = field(default_factory=Velocity)
    region: SearchRegion = field(default_factory=SearchRegion)
    records: Records = field(default_factory=Records)


@dataclass
class SimulatedPicks:
    """Picks with known errors: their exact posterior is known (`jaxloc.simulation.picks.Picking`)."""

    kind: str = "simulated_picks"
    num_stations: int = 10
    aperture_km: float = 60.0
    half_width_km: float = 20.0
    depth_km: list[float] = field(default_factory=lambda: [2.0, 15.0])
    origin_s: list[float] = field(default_factory=lambda: [0.0, 10.0])
    pick_sd_s: list[float] = field(default_factory=lambda: [0.05, 0.3])  # log-uniform
    lost_picks: float = 0.5  # largest share of missing picks; uniform up to it
    least_picks: int = 6
    num_train: int = 100_000
    num_dev: int = 500
    bandpass_hz: list[float] | None = None
    velocity: Velocity = field(default_factory=simulated_crust)
    region: SearchRegion = field(default_factory=SearchRegion)
    records: Records = field(default_factory=Records)


@dataclass
class FiniteFault:
    """Scenario earthquakes of finite faults under the Sea of Marmara."""

    kind: str = "finite_fault"
    num_train: int = 280
    num_dev: int = 60
    rate_hz: float = MISSING
    num_samples: int = MISSING
    bandpass_hz: list[float] = MISSING
    magnitude_range: list[float] = MISSING
    velocity: Velocity = field(default_factory=Velocity)
    region: SearchRegion = field(default_factory=SearchRegion)
    records: Records = field(default_factory=Records)


@dataclass
class _SimulatedNetworks:
    kind: str = "simulated_networks"
    num_train: int = 3000
    num_dev: int = 200
    rate_hz: float = MISSING
    num_samples: int = MISSING
    bandpass_hz: list[float] = MISSING
    origin_s: list[float] = MISSING  # mean and standard deviation, from the first sample
    velocity: Velocity = field(default_factory=simulated_crust)
    region: SearchRegion = field(default_factory=SearchRegion)
    records: Records = field(default_factory=Records)


SimulatedNetworks = dataclass_of("SimulatedNetworks", fields_of(Variety), base=_SimulatedNetworks)


@dataclass
class AroundTraining:
    """Simulated events around the training catalogue, at its stations: for stages with data=simulated."""

    preset: str = "oklahoma_like"
    num_events: int = MISSING
    spread_km: list[float] = field(default_factory=lambda: [5.0, 5.0, 2.0])  # about training hypocentres


@dataclass
class GeneralAroundTraining(AroundTraining):
    """The same in ordinary crust and noise."""

    preset: str = "general"
    origin_s: float = 5.0  # mean, from the first sample
    origin_sd_s: float = 1.0


@dataclass
class OwnNetwork:
    """Simulated events at a network of their own, for models of single records."""

    preset: str = "network"
    num_events: int = MISSING
    num_stations: int = 8
    aperture_km: float = 80.0
    half_width_km: float = 40.0
    depth_km: list[float] = field(default_factory=lambda: [0.5, 15.0])
    num_samples: int = MISSING
    bandpass_hz: list[float] = MISSING
    records: Records = field(default_factory=Records)


@dataclass
class Stage:
    """One stage of training; `method=point` fits a point estimate, `posterior` the weight posterior."""

    data: str = "train"  # or simulated
    relabel: bool = False  # arrival labels from the network's own picks
    method: str = "point"
    steps: int = MISSING  # 0 leaves the stage out
    batch_size: int = MISSING
    learning_rate: float = MISSING
    rates: dict[str, float] = field(default_factory=dict)  # factors of the learning rate by part of the model
    arrival_weight: float = 1.0
    hypocentre_weight: float = 1.0
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)  # pyright: ignore[reportInvalidTypeForm]
    per_call: int = 10  # steps in one compiled call
    checks: int = 4  # checkpoints and validations
    keep_best: bool = False  # on validation events; otherwise the last state
    at_once: int | None = None  # events of a batch that go through at a time; null: all


@dataclass
class ForecastStage:
    """One stage of training of a network that locates nothing itself."""

    method: str = "point"
    steps: int = MISSING
    batch_size: int = MISSING
    learning_rate: float = MISSING
    per_call: int = 10
    checks: int = 4


@dataclass
class Posterior:
    """What every weight posterior has, in addition to the `options` of its method."""

    name: str = MISSING
    method: str = MISSING
    members: int = 1
    draws: int = 12  # of weights, to locate with; a point estimate has one a member
    rate: float = 1.0  # multiplies the learning rate of stages with method=posterior
    prior_from: str | None = None  # stage whose weights the prior is centred on; null: zero
    prior_scale: float = 1.0  # of that prior, in fan-in scales sqrt(2 / fan-in)
    subspace: list[str] = field(default_factory=list)  # paths of weights with a posterior, * for any text


@dataclass
class Evaluation:
    """Cross-validation by `jaxloc crossvalidate`: numbers of folds by scheme (0: none) and their blocks.

    `shift_windows` alone is of a run.
    """

    random_folds: int = 4
    space_folds: int = 4
    time_folds: int = 4
    network_folds: int = 4
    space_km: float = 5.0  # side of cells, or reach of single linkage
    space_blocks: str = "cells"  # or clusters, by single linkage
    dev_share: float = 0.2  # of the training events of a fold, in blocks of their own, to choose the checkpoint by
    draws: int = 1000  # posterior samples for scores
    shift_windows: int = 8  # of each kind, to fit out-of-distribution flags at the end of a run; 0: no flags
    classical: dict[str, Any] = field(default_factory=lambda: {"model_share": 0.02, "outlier": 0.05})  # grid search


@dataclass
class Experiment:
    """An experiment: data, model, weight posterior and stages of training."""

    name: str = MISSING
    seed: int = 0
    run_dir: str = "runs/${name}"
    start_from: str | None = None  # run folder whose weights training starts from
    warm_start: str | None = None  # stage that a posterior with an empirical prior starts from
    temperature: float = 1.0  # of weight posteriors that have one; one is Bayes' rule
    data: Any = MISSING
    model: Any = MISSING
    posterior: Any = MISSING
    simulation: Any = None  # for stages with data=simulated
    stages: dict[str, Stage] = field(default_factory=dict)
    evaluation: Evaluation = field(default_factory=Evaluation)


@dataclass
class WeightFree:
    """An experiment with a locator that has no network (`jaxloc.locators`)."""

    name: str = MISSING
    seed: int = 0
    run_dir: str = "runs/${name}"
    data: Any = MISSING
    locator: Any = MISSING


@dataclass
class SimulatedRecords:
    """Records of single stations, simulated as training asks for them (`jaxloc.simulation.records`)."""

    kind: str = "simulated_records"
    rate_hz: float = 50.0
    num_samples: int = 3000
    num_data: int = 100_000  # what the prior of the weights is weighed against
    num_scored: int = 2048


_OF_RATES = {name: each for name, each in fields_of(RateModel).items() if name not in GIVEN}
RateNetwork = dataclass_of("RateNetwork", {"name": Setting(str, "arrival_rates"), **_OF_RATES})


@dataclass
class ArrivalRates:
    """A network of arrival rates for any station, trained on simulated records (`jaxloc.runs.pretrain`)."""

    task: str = "arrival_rates"
    name: str = MISSING
    seed: int = 0
    run_dir: str = "runs/${name}"
    warm_start: str | None = "rates"
    temperature: float = 1.0  # of weight posteriors that have one; one is Bayes' rule
    data: SimulatedRecords = field(default_factory=SimulatedRecords)
    model: RateNetwork = field(default_factory=RateNetwork)  # pyright: ignore[reportInvalidTypeForm]
    posterior: Any = MISSING
    stages: dict[str, ForecastStage] = field(default_factory=dict)


@dataclass
class Forecast:
    """An experiment of a forecasting network (`jaxloc.forecasting`)."""

    task: str = "forecast"
    name: str = MISSING
    seed: int = 0
    run_dir: str = "runs/${name}"
    warm_start: str | None = "learn"
    temperature: float = 1.0  # of weight posteriors that have one; one is Bayes' rule
    data: Any = MISSING
    model: Any = MISSING
    posterior: Any = MISSING
    stages: dict[str, ForecastStage] = field(default_factory=dict)


@dataclass
class ForecastStages:
    """The stages of one formulation. (OmegaConf 2.3 knows no types within a mapping of mappings.)"""

    learn: ForecastStage = field(default_factory=ForecastStage)
    weights: ForecastStage = field(default_factory=ForecastStage)


@dataclass
class ForecastInParts(Forecast):
    """The same with stages for each of several formulations."""

    formulations: list[str] = MISSING
    stages: dict[str, ForecastStages] = field(default_factory=dict)  # pyright: ignore[reportIncompatibleVariableOverride]
