"""The searched region is an argument of the compiled program: another one is searched without compiling anew."""

import jax
import numpy as np
from cases import quick_jit

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame
from jaxloc.models.arrivals_and_physics import BEYOND
from jaxloc.models.model import initial
from jaxloc.models.registry import build
from jaxloc.models.spec import Catalogue, ModelSpec, example, read_spec, write_spec
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.priors import FREE_DEPTH_KM
from jaxloc.simulation.events import positions_km
from jaxloc.types import Weights

SEARCH = {"first": [5, 5, 2, 10], "points": 64, "levels": 3, "last": 128, "times": 5}
STATIONS = tuple(Station(f"XX.{i}", 35 + 0.1 * i, 10.0 + 0.03 * i**2, 500.0) for i in range(4))
SPEC = ModelSpec(
    {"name": "arrivals", "channels": [4, 6], "search_sizes": SEARCH},
    Frame(35.0, 10.0),
    STATIONS,
    20.0,
    256,
    None,
    Catalogue(np.array([[0, 0, 5, 4], [8, -5, 9, 5]], np.float32), np.ones((2, 4), bool)),
    {"top_km": [0.0], "vp_km_s": [6.0], "vp_vs": 1.73},
    Region((-40.0, 40.0), (-40.0, 60.0), (0.0, 20.0), (-5.0, 12.0)),
)
BESIDE = Region((100.0, 160.0), (-70.0, -20.0), (-1.0, 30.0), (-5.0, 12.0))


def at(region):
    """The specification for another region, as `jaxloc.runs.transfer.searched_in` makes it."""
    search = build(SPEC).search
    settings = SPEC.settings | search.settings(region, positions_km(SPEC.frame, STATIONS))
    # Both with the larger table: a number of nodes is compiled.
    settings["table"]["num_distances"] = 80
    return SPEC._replace(region=region, settings=settings)


def test_one_program_searches_every_region():
    seen, traces = example(SPEC), []
    params = jax.tree.map(lambda x: x[0], initial(jax.random.key(0), build(SPEC), seen, 1))
    weights = jax.tree.map(lambda x: x[None], Weights(params))
    search = build(SPEC).search

    @quick_jit
    def locate(numbers):
        traces.append(1)
        return build(search.placed(at(SPEC.region), numbers)).search.locate(weights, seen)

    for region in (SPEC.region, BESIDE):
        posterior, _ = locate(search.numbers(at(region)))
        for axis, (low, high) in enumerate(region[:3]):
            assert low < posterior.mean[axis] < high
    assert len(traces) == 1
    alone, check = quick_jit(lambda: build(at(BESIDE)).search.locate(weights, seen))()
    sd = np.sqrt(np.diag(alone.covariance))
    np.testing.assert_allclose(posterior.mean / sd, alone.mean / sd, atol=0.02)
    assert np.isfinite(check.log_evidence)


def test_a_run_in_its_region_of_training_has_no_such_numbers():
    assert build(SPEC).search.numbers(SPEC) is None


def test_beyond_the_region_of_training_paths_err_more_and_depth_is_free():
    """Other settings of the prior stay, since they are the units of the parameters that training found."""
    spec = SPEC._replace(settings=SPEC.settings | {"prior": {"speed_sd": 0.01}})
    beyond = build(spec).search.beyond
    assert beyond["prior"] == {"speed_sd": 0.01, **BEYOND}
    assert beyond["depth_prior"] == FREE_DEPTH_KM
    build(spec._replace(settings=spec.settings | dict(beyond)))


def test_runs_with_the_sizes_of_a_lattice_are_still_read(tmp_path):
    write_spec(tmp_path / "model.json", SPEC._replace(settings=SPEC.settings | {"lattice_sizes": None}))
    assert read_spec(tmp_path / "model.json").settings == SPEC.settings
