"""The No-U-Turn sampler by NumPyro: asymptotically exact, for small networks or inside `subspace`."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
from numpyro.infer.hmc import hmc

from jaxloc.inference.mixing import diagnosis_of
from jaxloc.inference.sample_buffer import Kept, keep_if, nothing, sample_kept
from jaxloc.inference.whitening import displacement
from jaxloc.prng import key_shape
from jaxloc.types import Batch, Info, Method, Params, Target, Weights

MAX_WEIGHTS = 20_000  # largest number of weights whose chains mix within the gradients of a training stage


class NutsState(NamedTuple):
    """NumPyro's state of the chain without its keys (`HMCState`), and the stored draws."""

    chain: Any
    step: Int[Array, ""]
    kept: Kept


def nuts(
    target: Target,
    *,
    start: int,
    keep: int = 100,
    every: int = 1,
    max_tree_depth: int = 10,
    step_size: float = 0.1,
    temperature: float = 1.0,
) -> Method:
    """The No-U-Turn sampler (Hoffman and Gelman 2014): each update is one transition of the chain, on all events.

    Mass matrix and step size adapt up to step `start`; draws are stored after it. A transition takes up to
    2^`max_tree_depth` gradients.

    Args:
        target: likelihood and prior.
        start: steps of adaptation.
        keep: number of stored draws, the last ones. Before the first, draws are the chain's current point.
        every: thinning, in steps.
        max_tree_depth: doublings of a trajectory.
        step_size: initial step size of the integrator, in standard deviations of the prior.
        temperature: of the posterior: the likelihood is divided by it. One is Bayes' rule.

    Raises:
        ValueError: where there are more than `MAX_WEIGHTS` weights, or a batch does not hold all training events.
    """
    units = displacement(target, temperature)
    if units.size > MAX_WEIGHTS:
        raise ValueError(
            f"NUTS over {units.size:,} weights, at most {MAX_WEIGHTS:,} are possible; choose a part of them by "
            "posterior.subspace, or use sghmc"
        )
    if start < 0 or every < 1:
        raise ValueError(f"start must be at least 0 and every at least 1, got {start} and {every}")
    begin, transition = hmc(potential_fn_gen=lambda batch: lambda z: units.potential(z, batch))

    def chain_at(key: Key[Array, ""], z: Float[Array, " weight"]) -> Any:
        settings = {"step_size": step_size, "max_tree_depth": max_tree_depth, "trajectory_length": None}
        return _keyless(begin(z, start, **settings, model_args=(None,), rng_key=key))

    # NumPyro stores the length of the adaptation with the functions: set up once from shapes, without computation.
    jax.eval_shape(chain_at, key_shape(), jax.ShapeDtypeStruct((units.size,), jnp.zeros(()).dtype))

    def init(key: Key[Array, ""], params: Params) -> NutsState:
        zero = jnp.zeros((), jnp.int32)
        return NutsState(chain_at(key, units.of_params(params)), zero, nothing(keep, units.size))

    def update(key: Key[Array, ""], state: NutsState, batch: Batch) -> tuple[NutsState, Info]:
        _check_is_whole(batch, target.num_data)
        # Recomputed for this batch: augmentation may have changed its events since the last step.
        potential, gradient = jax.value_and_grad(units.potential)(state.chain.z, batch)
        chain = state.chain._replace(potential_energy=potential, z_grad=gradient, rng_key=key)
        chain = _keyless(transition(chain, (batch,), {}))
        due = (state.step >= start) & ((state.step - start) % every == 0)
        new = NutsState(chain, state.step + 1, keep_if(due, chain.z, state.kept))
        return new, _info(target, temperature, units.to_params(chain.z), chain.potential_energy)

    def sample(key: Key[Array, ""], state: NutsState, n: int) -> Weights:
        return Weights(jax.vmap(units.to_params)(sample_kept(key, state.kept, state.chain.z, n)))

    return Method(init, update, sample, diagnose=lambda state: diagnosis_of(state.kept))


def _keyless(chain: Any) -> Any:
    return chain._replace(rng_key=None, adapt_state=chain.adapt_state._replace(rng_key=None))


def _check_is_whole(batch: Batch, num_data: int) -> None:
    number = jax.tree.leaves(batch)[0].shape[0]
    if number != num_data:
        raise ValueError(
            f"NUTS needs all {num_data} training events in every batch, got {number}; set batch_size={num_data}, "
            "or use sghmc, which takes batches"
        )


def _info(target: Target, temperature: float, params: Params, potential: Float[Array, ""]) -> Info:
    """From the potential energy of the transition."""
    loss = potential * temperature / target.num_data
    prior = -target.log_prior(params) * temperature / target.num_data
    return Info(loss, loss - prior, prior)
