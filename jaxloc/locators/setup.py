"""What weight-free locators are built from: search region, stations, velocity model, catalogue."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.distributions.gaussian_mixture import HypocentreMixture
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.model_errors import ModelErrors
from jaxloc.physics.pick_errors import PickErrors
from jaxloc.physics.picks_on_cells import TravelTimes
from jaxloc.physics.priors import FLAT_KM, log_prior_of, same_everywhere
from jaxloc.physics.station_terms import StationTerms, with_terms
from jaxloc.physics.table import table_around
from jaxloc.physics.table_times import table_times
from jaxloc.physics.topography import Ground, below_ground
from jaxloc.physics.velocity_error import VelocityError

PATH_PART = 0.4


class Setup(NamedTuple):
    """Search region and stations; velocity model and density of a catalogue's hypocentres where they are known.

    `velocity_error` is the uncertainty of the velocity model; None: it counts as exact. No hypocentre is above the
    `ground`, where there is one. `times` are travel times in place of those of the velocity model, such as those of
    grids (`jaxloc.physics.gridded_times.station_times`); the region has to stay within these. `terms` are added to
    travel times, and `shared` are errors of the velocity model that all arrivals of an event share: what many events
    have told of both (`jaxloc.physics.velocity_inversion`).
    """

    region: Region
    station_km: Float[np.ndarray, "station 3"]
    velocity: VelocityModel | None = None
    climatology: HypocentreMixture | None = None
    rate_hz: float = 1.0
    velocity_error: VelocityError | None = None
    ground: Ground | None = None
    times: TravelTimes | None = None
    terms: StationTerms | None = None
    shared: ModelErrors | None = None


def velocity_of(setup: Setup, name: str) -> VelocityModel:
    """The velocity model that the locator `name` needs.

    Raises:
        ValueError: where there is none.
    """
    if setup.velocity is None:
        raise ValueError(
            f"the locator {name} must have a velocity model; use --velocity, a CSV of depth_km, vp_km_s, vs_km_s"
        )
    return setup.velocity


def flat_prior_of(setup: Setup) -> LogDensity:
    """Flat over the setup's region, below the ground where there is one."""
    depth = same_everywhere(float(np.mean(setup.region.depth_km)), FLAT_KM)
    flat = log_prior_of(setup.region, depth)
    return flat if setup.ground is None else below_ground(flat, setup.ground)


def times_of(setup: Setup, name: str, spacing_km: float) -> TravelTimes:
    """First arrivals for the locator `name`: the setup's, or a table of its velocity model with nodes of `spacing_km`.

    Raises:
        ValueError: where there are neither times nor a velocity model.
    """
    times = setup.times
    if times is None:
        times = table_times(table_around(velocity_of(setup, name), setup.region, setup.station_km, spacing_km))
    return times if setup.terms is None else with_terms(times, setup.terms)


def shared_of(setup: Setup, errors: PickErrors) -> ModelErrors | None:
    """The errors that arrivals share, where the likelihood has them: one of pairs of picks has not."""
    return None if errors.by_pairs else setup.shared


def errors_of(
    setup: Setup,
    *,
    kind: str = "l2",
    model_sd_s: float = 0.0,
    model_share: float | None = None,
    outlier: float = 0.0,
    model_least_s: float = 0.0,
    model_most_s: float = float("inf"),
    freedom: float = 4.0,
    corr_km: float = 0.0,
    corr_ps: float = 0.0,
    p_factor: float = 1.0,
    s_factor: float = 1.0,
    p_late: float = 0.0,
    s_late: float = 0.0,
) -> PickErrors:
    """The likelihood of picks of a locator's settings, which have the same names in all locators that use it.

    Args:
        setup: gives the model's share where none is given.
        kind: one of `jaxloc.physics.pick_errors.KINDS`.
        model_sd_s: standard deviation of travel times in s.
        model_share: standard deviation of travel times as a share of them; None: by the velocity model's error
            (`model_share_of`).
        outlier: probability of an outlier.
        model_least_s: what the share of the travel time comes to at least, in s.
        model_most_s: what it comes to at most.
        freedom: degrees of freedom of `student_t`.
        corr_km: distance over which model errors of stations are correlated.
        corr_ps: correlation of the model errors of P and S.
        p_factor: of the standard deviations of P picks.
        s_factor: of those of S picks.
        p_late: how late P picks are in their stated standard deviations.
        s_late: how late S picks are.
    """
    return PickErrors(
        kind,
        model_sd_s,
        model_share_of(setup, model_share),
        outlier,
        model_least_s=model_least_s,
        model_most_s=model_most_s,
        freedom=freedom,
        corr_km=corr_km,
        corr_ps=corr_ps,
        p_factor=p_factor,
        s_factor=s_factor,
        p_late=p_late,
        s_late=s_late,
    )


def model_share_of(setup: Setup, given: float | None) -> float:
    """The standard deviation of travel times as a share of them: the given one, else by the velocity model's error.

    Speeds that are wrong by some per cent make travel times wrong by as many, mostly alike along all paths, which
    locations absorb or origin times take up; `PATH_PART` of it is counted as independent between paths.
    """
    if given is not None:
        return given
    return 0.0 if setup.velocity_error is None else PATH_PART * setup.velocity_error.speed
