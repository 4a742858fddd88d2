"""What a locator must beat: the posterior of one who has seen the training catalogue and no waveform."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture
from jaxloc.types import Posterior


def catalogue_baseline(
    hypocentres: Float[np.ndarray, "n 4"],
    known: Bool[np.ndarray, "n 4"],
    num_events: int,
    broad_mean: tuple[float, ...] = (0.0, 0.0, 10.0, 0.0),
    broad_sd: tuple[float, ...] = (100.0, 100.0, 10.0, 60.0),
    max_components: int = 1000,
) -> Posterior:
    """The training catalogue as everyone's posterior: a Gaussian kernel on each event, the same for all.

    Bandwidths are by Silverman's rule (1986) for each coordinate, of its robust spread, no less
    than 0.05 km and 0.01 s. An event that lacks a coordinate has the catalogue's mean and spread of it; one
    that no event has is normal with `broad_mean` and `broad_sd`. What has no known coordinate, as windows of noise, is
    left out where anything else is there. Longer catalogues are thinned evenly.

    Raises:
        ValueError: where no event is given, or a known value is not finite.
    """
    hypocentres, known = np.asarray(hypocentres, float), np.asarray(known, bool)
    if len(hypocentres) == 0 or not np.isfinite(hypocentres[known]).all():
        raise ValueError(
            f"hypocentres of shape {hypocentres.shape} must hold at least one event and be finite where "
            "known; give the training split's labels"
        )
    told = known.any(-1) if known.any() else np.ones(len(known), bool)
    hypocentres, known = hypocentres[told], known[told]
    every = np.linspace(0, len(hypocentres) - 1, min(max_components, len(hypocentres))).astype(int)
    hypocentres, known = hypocentres[every], known[every]
    centre, spread = np.array(broad_mean, float), np.array(broad_sd, float)
    width = spread.copy()
    for i, floor in enumerate((0.05, 0.05, 0.05, 0.01)):
        if known[:, i].any():
            values = hypocentres[known[:, i], i]
            centre[i], spread[i] = values.mean(), max(values.std(), floor)
            robust = min(spread[i], np.subtract(*np.percentile(values, [75, 25])) / 1.34)
            width[i] = max(robust * (4 / (6 * len(values))) ** (1 / 8), floor)
    sd = np.where(known, width, spread)
    sd = sd[:1] if known.all() else sd
    one = gaussian_mixture(
        jnp.zeros(len(every)),
        jnp.asarray(np.where(known, hypocentres, centre), jnp.float32),
        jnp.asarray(sd[:, :, None] * np.eye(4), jnp.float32),
    )
    batch = jax.tree.map(lambda a: jnp.broadcast_to(a, (num_events, *a.shape)), one)
    total = covariance(batch)
    return Posterior(batch, jnp.zeros_like(total), total)
