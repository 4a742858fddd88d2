"""Experiments with a locator that has no network: from the configuration to the files of the run folder."""

import json
import re
from functools import cache

import jax
import numpy as np
import pytest
from marks import slow_if

from jaxloc import cli, locators
from jaxloc.io.catalogue_csv import read_csv
from jaxloc.runs import config as configuration
from jaxloc.runs import weight_free
from jaxloc.runs.compare import side_by_side
from jaxloc.runs.listing import names
from jaxloc.settings import settings_of
from jaxloc.training.run_folder import read_config

EXPERIMENT = "simulated_picks_grid_search"
TINY = ["data.num_train=40", "data.num_dev=6", "data.lost_picks=0", "data.region.margin_km=10"]
TINY_RECORDS = ["data=simulated_small", "data.num_train=16", "data.num_dev=6"]


@pytest.fixture(scope="module", autouse=True)
def compiled_in_haste():
    """Runs this small spend their time on compiling, which takes a fraction of it without optimisation."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """A finished run of a locator by name, all on the same events."""

    @cache
    def made(name):
        folder = tmp_path_factory.mktemp("runs") / name
        tiny = TINY_RECORDS if name == "source_scan" else TINY
        overrides = [f"locator={name}", *tiny, f"name={name}", f"run_dir={folder}"]
        return weight_free.run(configuration.load(EXPERIMENT, overrides), folder, say=lambda line: None)

    return made


@pytest.mark.parametrize("name", slow_if({*locators.__all__} - {"climatology", "grid_search"}, locators.__all__))
def test_a_run_without_a_network_writes_what_other_runs_write(folder_of, name):
    folder = folder_of(name)
    assert {"config.json", "scores.json", "events.csv", "events.xml", "finished.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert {"map.png", "coverage.png", "event_median.png"} <= {path.name for path in (folder / "pictures").iterdir()}
    scores = json.loads((folder / "scores.json").read_text())
    assert (scores["about"]["name"], scores["about"]["events"], scores["about"]["lost"]) == (name, 6, {})
    assert len(read_csv(folder / "events.csv")) == 6


def test_the_grid_search_locates_and_climatology_is_climatology(folder_of):
    cards, warnings = side_by_side([folder_of(name) for name in ("climatology", "grid_search")])
    error = lambda name: cards[name]["epicentre"]["error"]["mean"]["value"]
    assert warnings == []
    assert error("grid_search") < 1.5  # picks err by 0.05 to 0.3 s
    assert np.isclose(error("climatology"), 15.3, atol=6.0)  # mean distance from the centre of a square of 40 km
    scores = json.loads((folder_of("climatology") / "scores.json").read_text())
    assert scores["locator"] == scores["catalogue"]


def test_a_finished_run_stays_and_is_no_trained_network(folder_of, capsys):
    folder = folder_of("grid_search")
    before = (folder / "events.xml").stat().st_mtime_ns
    arguments = ["run", EXPERIMENT, *TINY, "name=grid_search", f"run_dir={folder}"]
    assert cli.main(arguments) == 0
    assert "is finished since" in " ".join(capsys.readouterr().out.split())
    assert (folder / "events.xml").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="is a run of the locator grid_search, which has no network"):
        read_config(folder)


def test_every_locator_has_a_file_that_repeats_no_default():
    assert names("locator") == sorted(locators.__all__)
    for name in locators.__all__:
        found = configuration.load(EXPERIMENT, [f"locator={name}"])["locator"]
        defaults = {key: each.default for key, each in (settings_of(getattr(locators, name).build) or {}).items()}
        assert found == {"name": name, **defaults}


REFUSED = [
    ("locator=nosuch", "climatology"),
    ("locator.kid=l1", "Keys under 'locator' must be one of: name, kind, model_sd_s"),
    ("++locator.width=2", "no such key: locator.width"),
    (
        "locator.name=nosuch",
        "no such locator: 'nosuch'; use one of climatology, geiger, grid_search, hierarchical, nuts,",
    ),
    ("locator.kind=l3", "locator.kind=l3 is refused: it must be one of l2, l1, edt, edt_ot_wt, student_t"),
    ("locator.model_sd_s=-1", "locator.model_sd_s=-1.0 is refused: it must be 0 or more"),
    ("locator.outlier=1", "locator.outlier=1.0 is refused: it must be a share within 0-1"),
    ("locator.spacing_km=0", "locator.spacing_km=0.0 is refused: it must be greater than 0"),
    ("data.velocity.vp_vs=0.5", "data.velocity.vp_vs=0.5 is refused"),
    ("posterior.draws=3", "posterior"),
]


@pytest.mark.parametrize(("override", "says"), REFUSED, ids=[override for override, _ in REFUSED])
def test_settings_that_a_locator_lacks_are_refused(override, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        configuration.load(EXPERIMENT, [override])
