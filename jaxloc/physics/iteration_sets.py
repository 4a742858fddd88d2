"""Iteration sets for double differences where nobody gives them: from catalogue to cross-correlation times.

With both kinds of times, those of the distribution of hypoDD 2.1 (example 1): the first sets place events by catalogue
times, with cross-correlations at a hundredth of their weight; then both have full weight; the last sets place near
events by cross-correlations alone, with catalogue times at a tenth and at a hundredth, which keep distant events in
place (Waldhauser & Ellsworth 2000, BSSA 90). Cutoffs of residuals become narrower from set to set. Those of distance
are the paper's, 10 km for catalogue times and 2 km for cross-correlations; the example's, 4 to 1 km, are for a cluster
of 16 events within 1 km. With catalogue times alone the cutoffs of residuals are jaxloc's choice, the last set has half
the distance, and the damping is 40.
"""

from collections.abc import Sequence

from jaxloc.physics.double_differences import KINDS, IterationSet, Links

FULL, TENTH, HUNDREDTH = (1.0, 0.5), (0.1, 0.05), (0.01, 0.005)
CATALOGUE_KM, CROSS_KM = 10.0, 2.0


def default_sets(
    links: Sequence[Links],
    catalogue_km: float = CATALOGUE_KM,
    cross_km: float = CROSS_KM,
    damping: float | None = None,
) -> tuple[IterationSet, ...]:
    """Sets for the kinds of links that there are.

    Args:
        links: differential times, by kind.
        catalogue_km: cutoff of distance of catalogue times; of the last set half of it where these are alone.
        cross_km: that of cross-correlation times in the last sets.
        damping: of LSQR; None: hypoDD's 20, or 40 where catalogue times are alone.

    Raises:
        ValueError: where a cutoff is not positive, or the damping is negative.
    """
    if not (min(catalogue_km, cross_km) > 0 and (damping is None or damping >= 0)):
        raise ValueError(
            "catalogue_km and cross_km must be positive and damping not negative, got "
            f"{catalogue_km:g}, {cross_km:g} and {damping}"
        )
    there = {each.kind for each in links if len(each.times.first)}
    if len(there) == len(KINDS):
        sets = _both(catalogue_km, cross_km)
    else:
        sets = _cross(cross_km) if KINDS[1] in there else _catalogue(catalogue_km)
    return sets if damping is None else tuple(one._replace(damping=damping) for one in sets)


def _catalogue(catalogue_km: float) -> tuple[IterationSet, ...]:
    return (
        IterationSet(2, damping=40.0),
        IterationSet(3, FULL, 8.0, catalogue_km, damping=40.0),
        IterationSet(3, FULL, 6.0, catalogue_km / 2, damping=40.0),
    )


def _cross(cross_km: float) -> tuple[IterationSet, ...]:
    return (
        IterationSet(1),
        IterationSet(3, weight_cross=FULL, residual_cross=6.0),
        IterationSet(3, weight_cross=FULL, residual_cross=4.0, distance_cross_km=cross_km),
    )


def _both(catalogue_km: float, cross_km: float) -> tuple[IterationSet, ...]:
    return (
        IterationSet(1, FULL, 20.0, None, HUNDREDTH),
        IterationSet(3, FULL, 10.0, catalogue_km, HUNDREDTH),
        IterationSet(3, FULL, 10.0, catalogue_km, FULL, 6.0, 1.5 * cross_km),
        IterationSet(3, TENTH, 9.0, catalogue_km, FULL, 5.0, cross_km),
        IterationSet(3, HUNDREDTH, 8.0, catalogue_km, FULL, 4.0, cross_km),
    )
