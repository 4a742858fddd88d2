"""Configurations: every experiment composes, every value has effect or is refused, each default stands once."""

import re
from typing import Any

import pytest
import yaml

from jaxloc.data.augmentation import Augmentation
from jaxloc.inference import registry
from jaxloc.models.registry import builders
from jaxloc.runs import config as configuration
from jaxloc.runs.derived import plain_type, wrong_length
from jaxloc.runs.listing import experiments_folder, names
from jaxloc.settings import settings_of

SHORT = ("quickstart", "small_kriegerowski2019", "oklahoma_arrivals")

REFUSED = [
    ("stages.arrivals.steps=-5", "stages.arrivals.steps=-5 is refused: it must be 0 or more"),
    ("stages.arrivals.steps=1.5", "stages.arrivals.steps=1.5 cannot be used: it must be a whole number"),
    ("stages.arrivals.steps=abc", "stages.arrivals.steps=abc cannot be used: it must be a whole number"),
    ("stages.arrivals.learning_rate=nan", "learning_rate=nan is refused: it must be greater than 0"),
    ("stages.arrivals.learning_rate=fast", "learning_rate=fast cannot be used: it must be a number"),
    ("stages.arrivals.batch_size=0", "batch_size=0 is refused: it must be within 1-10000"),
    ("stages.arrivals.batch_size=-2", "batch_size=-2 is refused: it must be within 1-10000"),
    ("stages.arrivals.batch_size=100000", "batch_size=100000 is refused: it must be within 1-10000"),
    ("stages.arrivals.learning_rate=0", "learning_rate=0.0 is refused: it must be greater than 0"),
    ("model.dropout=1.5", "model.dropout=1.5 is refused: it must be a share within 0-1, below 1"),
    ("model.kernel_size=0", "model.kernel_size=0 is refused: it must be at least 1"),
    ("model.channels=[]", "model.channels=[] is refused: it must be at least 1, and where it is a list, not empty"),
    ("model.channels=[4,0]", "model.channels=[4, 0] is refused: it must be at least 1"),
    ("stages.arrivals.per_call=0", "per_call=0 is refused"),
    ("stages.arrivals.checks=0", "checks=0 is refused"),
    ("stages.arrivals.keep_best=maybe", "keep_best=maybe cannot be used: it must be true or false"),
    ("stages.arrivals.method=magic", "must be point or posterior"),
    ("stages.arrivals.augmentation.drop_stations=2", "must be a share within 0-1"),
    ("stages.arrivals.augmentation.noise=-1", "augmentation.noise=-1.0 is refused"),
    ("stages.arrivals.data=simulated", "needs events; use +simulation=general"),
    ("data.velocity.vp_vs=0.5", "data.velocity.vp_vs=0.5 is refused: it must be within 1.4-2.6"),
    ("data.velocity.vp_km_s=[5000,6000,6100,6700,8000]", "must be velocities within 0.1-15 km/s"),
    ("data.velocity.form=linear", "data.velocity.form=linear is refused: it must be one of layers, gradient"),
    ("data.velocity.vp_km_s=[5,6]", "5 tops and 2 velocities"),
    ("data.velocity.top_km=[0,2,1,20,38]", "must be depths that increase"),
    ("data.num_train=0", "data.num_train=0 is refused: it must be at least 1"),
    ("data.num_dev=0", "data.num_dev=0 is refused: it must be at least 1"),
    ("data.rate_hz=0", "data.rate_hz=0.0 is refused: it must be greater than 0"),
    ("data.bandpass_hz=[8,1]", "must be two numbers, the lower one first"),
    ("posterior.draws=0", "posterior.draws=0 is refused: it must be at least 1"),
    ("posterior.draws=-1", "posterior.draws=-1 is refused: it must be at least 1"),
    ("posterior.members=0", "posterior.members=0 is refused: it must be at least 1"),
    ("posterior.options.temperature=0", "temperature=0.0 is refused: it must be greater than 0"),
    ("posterior.prior_from=nothing", "posterior.prior_from=nothing is no stage; use one of arrivals, hypocentres"),
    ("seed=-1", "seed=-1 is refused: it must be a whole number within 0-"),
    ("seed=x", "seed=x cannot be used: it must be a whole number"),
    ("run_dir=", "run_dir= is refused: it must be a name that is not empty"),
    ("run_dir='  '", "it must be a name that is not empty"),
    ("++data.zz=1", "no such key: data.zz. Keys under 'data' must be one of: kind, preset"),
    ("++stages.arrivals.zz=1", "no such key: stages.arrivals.zz"),
    ("stages.arrivals.stepz=1", "steps"),
    ("model.channelz=3", "Keys under 'model' must be one of: name, search_sizes"),
    ("model.channels=3", "model.channels=3 cannot be used"),
    ("model.name=unet", "no such model: 'unet'; use one of"),
    ("model.catalogue_sd_km=[1.0]", "must be 3 values"),
    ("posterior.options.rank=3", "Keys under 'posterior.options' must be one of: initial_scale"),
    ("posterior.method=magic", "no such posterior method: 'magic'"),
    ("simulation.num_events=3", "simulation"),
    ("seed", "key=value"),
]


@pytest.mark.parametrize(("override", "says"), REFUSED, ids=[override for override, _ in REFUSED])
def test_values_that_mean_nothing_are_refused_by_key_value_and_remedy(override, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        configuration.load("quickstart", [override])


WITHOUT_EFFECT = [
    ("quickstart", ["posterior=point", "temperature=2"], "temperature=2.0 has no effect"),
    ("quickstart", ["posterior=laplace", "temperature=2"], "temperature=2.0 has no effect"),
    ("quickstart", ["posterior=swag", "posterior.prior_scale=0.1"], "posterior.prior_scale=0.1 has no effect"),
    ("quickstart", ["posterior=sgld", "posterior.rate=3"], "posterior.rate=3.0 has no effect"),
    ("quickstart", ["posterior=dropout", "+posterior.options.initial_scale=0.2"], "no such key: posterior"),
    ("oklahoma_arrivals", ["data.held_out=5"], "data.held_out=5 has no effect: validation events are those of"),
    (
        "quickstart",
        ["posterior.method=full_covariance", "posterior.options.estimator=flipout"],
        "posterior.options.estimator has no effect with posterior.method=full_covariance",
    ),
    ("quickstart", ["stages.arrivals.steps=0", "stages.hypocentres.steps=0"], "no stage has any steps"),
    ("oklahoma_arrivals", ["stages.simulated.relabel=true"], "simulated events are labelled"),
]


@pytest.mark.parametrize(("experiment", "overrides", "says"), WITHOUT_EFFECT, ids=lambda x: str(x)[:50])
def test_values_without_effect_are_refused(experiment, overrides, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        configuration.load(experiment, overrides)


def test_values_of_an_experiment_for_other_posteriors_are_set_to_what_is_in_effect():
    tempered = configuration.load("marmara_preseis", [])
    assert (tempered["temperature"], tempered["posterior"]["options"]["temperature"]) == (7.0, 7.0)
    assert tempered["posterior"]["prior_scale"] == 0.3
    point = configuration.load("marmara_preseis", ["posterior=ensemble"])
    assert (point["temperature"], point["posterior"]["prior_scale"], point["posterior"]["draws"]) == (1.0, 1.0, 3)
    assert point["posterior"]["options"] == {}
    nuts = configuration.load("marmara_preseis", ["posterior=nuts"])["stages"]["weights"]
    assert (nuts["steps"], nuts["batch_size"]) == (100, 1960)


def test_another_method_has_its_own_options():
    posterior = configuration.load("quickstart", ["posterior.method=full_covariance"])["posterior"]
    assert set(posterior["options"]) == set(registry.options_of("full_covariance"))


@pytest.mark.parametrize("experiment", configuration.experiment_names())
def test_every_experiment_composes_and_is_named_after_its_file(experiment):
    found = configuration.load(experiment, [])
    assert found["name"].startswith(experiment)
    assert found["run_dir"] == f"runs/{found['name']}"


@pytest.mark.parametrize("posterior", ["dropout", "ensemble", "laplace", "nuts", "sghmc", "stein", "swag"])
@pytest.mark.parametrize("experiment", SHORT)
def test_every_posterior_goes_with_every_experiment(experiment, posterior):
    found = configuration.load(experiment, [f"posterior={posterior}"])["posterior"]
    assert set(found["options"]) == set(registry.options_of(found["method"]))


def test_experiments_are_short():
    lengths = [len(path.read_text().splitlines()) for path in experiments_folder().glob("*.yaml")]
    assert sorted(lengths)[len(lengths) // 2] <= 20
    assert max(lengths) <= 40


@pytest.mark.parametrize("path", sorted(experiments_folder().rglob("*.yaml")), ids=lambda path: path.stem)
def test_experiments_begin_with_a_description(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# "), path


@pytest.mark.parametrize("model", builders())
def test_a_model_file_repeats_no_default(model):
    differs = yaml.safe_load((experiments_folder() / "model" / f"{model}.yaml").read_text())
    assert differs.pop("defaults") == [f"base_{model}"]
    listed = lambda x: [listed(each) for each in x] if isinstance(x, list | tuple) else x
    defaults = {name: listed(setting.default) for name, setting in settings_of(builders()[model]).items()}
    assert set(differs) <= set(defaults)
    assert not [name for name, value in differs.items() if value == defaults[name]]


@pytest.mark.parametrize("posterior", names("posterior"))
def test_a_posterior_file_repeats_no_default(posterior):
    differs = yaml.safe_load((experiments_folder() / "posterior" / f"{posterior}.yaml").read_text())
    options = registry.options_of(configuration.load("quickstart", [f"posterior={posterior}"])["posterior"]["method"])
    assert not [name for name, value in differs.get("options", {}).items() if value == options[name]]


def test_a_stage_has_the_augmentation_of_the_code():
    stage = configuration.load("quickstart", [])["stages"]["arrivals"]
    assert Augmentation(**stage["augmentation"]) == Augmentation(later_s=6.0, few_stations=6, drop_horizontals=0.05)
    assert (stage["per_call"], stage["checks"], stage["keep_best"], stage["at_once"]) == (10, 4, False, None)
    assert configuration.load("quickstart", ["+stages.arrivals.at_once=2"])["stages"]["arrivals"]["at_once"] == 2


TYPES = [
    (int, int),
    (float | None, float | None),
    (tuple[int, ...], list[int]),
    (tuple[float, float], list[float]),
    (tuple[tuple[int, int], ...], list[list[int]]),
    (tuple[int, str], object),
    (dict[str, float], object),
]


@pytest.mark.parametrize(("annotation", "expected"), TYPES, ids=str)
def test_annotations_become_types_that_are_checked(annotation, expected):
    assert plain_type(annotation) == (Any if expected is object else expected)


@pytest.mark.parametrize(
    ("annotation", "value", "number"),
    [
        (tuple[int, int], [1], 2),
        (tuple[int, int], [1, 2], None),
        (tuple[int, ...], [1], None),
        (tuple[float, float, float] | None, [1.0], 3),
        (tuple[float, float, float] | None, None, None),
        (int, 3, None),
    ],
)
def test_tuples_of_fixed_length_are_checked(annotation, value, number):
    assert wrong_length(annotation, value) == number


@pytest.mark.parametrize("experiment", ["quickstart", "oklahoma_preseis"])  # the second has values by posterior
def test_a_second_configuration_warns_of_nothing(experiment, recwarn):
    for _ in range(2):
        configuration.load(experiment, [])
    assert not [str(each.message) for each in recwarn if issubclass(each.category, UserWarning)]


@pytest.mark.parametrize("name", configuration.experiment_names())
def test_every_stage_has_a_method_and_its_other_defaults(name):
    """In mappings of mappings too, whose types OmegaConf does not know."""
    stages = list(configuration.load(name, []).get("stages", {}).values())
    for stage in stages:
        for each in [stage] if "steps" in stage else stage.values():
            assert {"method", "steps", "batch_size", "learning_rate", "per_call", "checks"} <= set(each)
