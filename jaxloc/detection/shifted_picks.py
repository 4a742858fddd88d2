"""Picks shifted in time, each station by an amount of its own: what is associated of them is a false event."""

import numpy as np
from jax import random
from jaxtyping import Array, Key

from jaxloc.data.pick_list import PickList

SHIFT_S = (60.0, 600.0)


def shifted_picks(
    key: Key[Array, ""], picks: PickList, span_s: tuple[float, float], shift_s: tuple[float, float] = SHIFT_S
) -> PickList:
    """Picks with all those of a station later or earlier by one random time, round the ends of the period.

    Moveouts across the network are lost; rates, bursts and the gap between P and S at each station stay.

    Args:
        key: of the shifts.
        picks: in the order of their times.
        span_s: beginning and end of the period on the clock of the picks.
        shift_s: smallest and largest shift.

    Raises:
        ValueError: where the period is not longer than twice the largest shift, or a pick lies outside it.
    """
    first_s, last_s = span_s
    if last_s - first_s <= 2 * shift_s[1] or not 0 <= shift_s[0] <= shift_s[1]:
        raise ValueError(
            f"the period must be longer than twice the largest shift, got {last_s - first_s:g} s and {shift_s} s"
        )
    if len(picks.time_s) and not first_s <= picks.time_s.min() <= picks.time_s.max() <= last_s:
        raise ValueError(
            f"span_s must have all picks, got {span_s} and picks of {picks.time_s.min():g} to {picks.time_s.max():g} s"
        )
    rng = np.random.default_rng(np.asarray(random.key_data(key)))
    number = int(picks.station.max(initial=-1)) + 1
    shift = rng.uniform(*shift_s, number) * rng.choice([-1, 1], number)
    time_s = first_s + (picks.time_s - first_s + shift[picks.station]) % (last_s - first_s)
    order = np.argsort(time_s, kind="stable")
    return PickList(*(each[order] for each in picks._replace(time_s=time_s)))
