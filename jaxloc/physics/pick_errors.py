"""How picks err about the travel times of a model: settings, and residuals with their standard deviations.

The variance of a residual is that of the pick and that of the model: a constant, and a share of the travel time within
limits (the two Gaussian model errors of NonLinLoc, LOCGAU and LOCGAU2; Lomax and others 2000). Model errors of two
stations are alike where the stations are close (Tarantola & Valette 1982, eq. 10-14; Moser, van Eck & Nolet 1992, eq.
22), and those of P and S at one station may be.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

KINDS = ("l2", "l1", "edt", "edt_ot_wt", "student_t")
SMALLEST = 1e-4  # eigenvalue of correlations of residuals, as two picks without an error of their own would have


class PickErrors(NamedTuple):
    """How picks err about a model's travel times.

    The standard deviation of a residual is that of the pick, a constant (`model_sd_s`) and a part of the travel time
    (`model_share`, within `model_least_s` and `model_most_s`), added in squares. `outlier` is the share of picks that
    may lie anywhere within `outlier_range_s`. `freedom` is that of `student_t`, above 2: its scale is such that the
    standard deviation is that of the residual. `corr_km` is the distance of two stations where the correlation of their
    model errors has fallen to exp(-1/2), zero for none, `corr_ps` the correlation of those of P and S at one place.
    `p_factor` and `s_factor` multiply the standard deviations of P and S picks, which are `p_late` and `s_late` of the
    stated ones late.
    """

    kind: str = "l2"
    model_sd_s: float = 0.0
    model_share: float = 0.0
    outlier: float = 0.0
    outlier_range_s: float = 60.0
    model_least_s: float = 0.0
    model_most_s: float = math.inf
    freedom: float = 4.0
    corr_km: float = 0.0
    corr_ps: float = 0.0
    p_factor: float = 1.0
    s_factor: float = 1.0
    p_late: float = 0.0
    s_late: float = 0.0

    @property
    def by_pairs(self) -> bool:
        """Whether the likelihood is one of pairs of picks."""
        return self.kind in ("edt", "edt_ot_wt")


class Correlation(NamedTuple):
    """Correlations between picks: of their residuals, as what undoes them, and of their model errors.

    `whiten` is the inverse of the symmetric root of the residuals' correlation matrix: every uncorrelated residual is
    about that of one pick. `log_volume` is half the logarithm of its determinant. Absent picks have those of no other.
    `shared_s2` is the variance of errors that all arrivals of the event share; None: there are none.
    """

    whiten: Float[Array, "pick pick"]
    log_volume: Float[Array, ""]
    of_model: Float[Array, "pick pick"]
    shared_s2: Float[Array, " pick"] | None = None


class Residuals(NamedTuple):
    """Picks less travel times from each point, their standard deviations, and which picks there are."""

    value_s: Float[Array, "point pick"]
    sd_s: Float[Array, "point pick"]
    mask: Bool[Array, " pick"]
    correlation: Correlation | None = None


def check(errors: PickErrors) -> None:
    """Refuse what is no likelihood.

    Raises:
        ValueError: for an unknown kind, a negative error, limits in the wrong order, a share outside 0-1, outliers with
            equal differential time, or Student's t without a variance; names it.
    """
    if errors.kind not in KINDS:
        raise ValueError(f"kind of pick errors must be one of {', '.join(KINDS)}, got {errors.kind!r}")
    if min(errors.model_sd_s, errors.model_share) < 0:
        raise ValueError(
            f"model_sd_s and model_share must not be negative, got {errors.model_sd_s} and {errors.model_share}"
        )
    if not 0 <= errors.model_least_s <= errors.model_most_s:
        raise ValueError(
            "model_least_s must not be negative nor above model_most_s, got "
            f"{errors.model_least_s} and {errors.model_most_s}"
        )
    if not 0 <= errors.outlier < 1 or errors.outlier_range_s <= 0:
        raise ValueError(
            f"outlier must be a share within 0-1 and outlier_range_s positive, got {errors.outlier} and "
            f"{errors.outlier_range_s}"
        )
    if errors.by_pairs and errors.outlier:
        raise ValueError(f"edt bears outliers by itself: leave outlier at 0, got {errors.outlier}")
    if errors.freedom <= 2:
        raise ValueError(f"freedom of student_t must be above 2, where it has a variance, got {errors.freedom}")
    if min(errors.p_factor, errors.s_factor) <= 0:
        raise ValueError(f"p_factor and s_factor must be positive, got {errors.p_factor} and {errors.s_factor}")
    if errors.corr_km < 0 or not 0 <= errors.corr_ps < 1:
        raise ValueError(
            f"corr_km must not be negative and corr_ps within 0 to 1, got {errors.corr_km} and {errors.corr_ps}"
        )


def model_variance_s2(errors: PickErrors, travel_s: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The variance of travel times."""
    of_travel_s = jnp.clip(errors.model_share * travel_s, errors.model_least_s, errors.model_most_s)
    return errors.model_sd_s**2 + of_travel_s**2


def residuals(
    errors: PickErrors,
    pick_s: Float[Array, " pick"],
    pick_sd_s: Float[Array, " pick"],
    mask: Bool[Array, " pick"],
    travel_s: Float[Array, "point pick"],
    blur_s: Float[Array, " *point"] | float = 0.0,
    correlation: Correlation | None = None,
) -> Residuals:
    """What each pick says of the origin time at each point; `blur_s` widens errors, as a coarse grid needs."""
    blur_s2 = jnp.asarray(blur_s)[..., None] ** 2
    variance = pick_sd_s**2 + model_variance_s2(errors, travel_s) + blur_s2
    if correlation is not None and correlation.shared_s2 is not None:
        variance = variance + correlation.shared_s2
    value = jnp.where(mask, pick_s - travel_s, 0.0)
    return Residuals(value, jnp.sqrt(jnp.where(mask, variance, 1.0)), mask, correlation)


def correlation_of(
    errors: PickErrors,
    station_km: Float[Array, "pick 3"],
    phase: Int[Array, " pick"],
    pick_sd_s: Float[Array, " pick"],
    mask: Bool[Array, " pick"],
    travel_s: Float[Array, " pick"],
    shared_s: Float[Array, "pick mode"] | None = None,
) -> Correlation:
    """Correlations between picks at given stations.

    The model's part of a residual's variance, which correlations of residuals depend on, is that at one place: travel
    times from there are `travel_s`, and `shared_s` is what each mode of the errors of the velocity model adds to the
    arrivals (`jaxloc.physics.model_errors`). Standard deviations are those of each point.
    """
    apart_km = jnp.linalg.norm(station_km[:, None] - station_km, axis=-1)
    near = jnp.exp(-0.5 * (apart_km / errors.corr_km) ** 2) if errors.corr_km else (apart_km == 0).astype(float)
    of_model = jnp.where(phase[:, None] == phase, near, errors.corr_ps * near)
    model_sd_s = jnp.sqrt(model_variance_s2(errors, travel_s))
    covariance = of_model * model_sd_s[:, None] * model_sd_s
    shared_s2 = None
    if shared_s is not None:
        covariance = covariance + shared_s @ shared_s.T
        shared_s2 = jnp.where(mask, (shared_s**2).sum(-1), 0.0)
    both = mask[:, None] & mask
    total_s2 = jnp.where(mask, jnp.diagonal(covariance) + pick_sd_s**2, 1.0)
    between = jnp.where(both, covariance / jnp.sqrt(total_s2[:, None] * total_s2), 0.0)
    between = jnp.where(jnp.eye(len(mask), dtype=bool), 1.0, between)
    eigenvalue, vector = jnp.linalg.eigh(between)
    eigenvalue = jnp.maximum(eigenvalue, SMALLEST)
    whiten = (vector / jnp.sqrt(eigenvalue)) @ vector.T
    return Correlation(whiten, 0.5 * jnp.log(eigenvalue).sum(), of_model, shared_s2)
