"""Masked attention among the members of a set, and what pools them: neither order nor number matters.

After J. Lee and others (2019), Set Transformer, ICML. A member is a pick or a station; one that is not there has no
influence. Layers are normalised before attention and not after it, and there are no inducing points: members are few.
Pooling is by scores that are linear in the tokens, the seeds of attention's pooling multiplied out; a mean stands
beside it. How many members there were is forgotten: who needs it says so besides.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.networks.layers import Dropout, Norm


class Attention(nn.Module):
    """Each token asks all tokens that are there (multi-head, scaled dot products)."""

    heads: int

    @nn.compact
    def __call__(self, tokens: Float[Array, "token width"], mask: Bool[Array, " token"]) -> Float[Array, "token width"]:
        """What each token is told; the width must be a multiple of the number of heads."""
        width = tokens.shape[-1]
        split = lambda x: x.reshape(len(x), self.heads, width // self.heads)
        ask, answer, tell = (split(nn.Dense(width, name=name)(tokens)) for name in ("ask", "answer", "tell"))
        score = jnp.einsum("phc,qhc->hpq", ask, answer) / math.sqrt(width // self.heads)
        share = jax.nn.softmax(jnp.where(mask, score, -1e9), -1) * mask
        return nn.Dense(width, name="out")(jnp.einsum("hpq,qhc->phc", share, tell).reshape(len(tokens), width))


class Block(nn.Module):
    """Attention and two dense layers, each added to what comes in."""

    heads: int
    dropout: float

    @nn.compact
    def __call__(self, tokens: Float[Array, "token width"], mask: Bool[Array, " token"]) -> Float[Array, "token width"]:
        """Tokens after a block."""
        width = tokens.shape[-1]
        tokens = tokens + Dropout(self.dropout)(Attention(self.heads)(Norm("layer")(tokens), mask))
        hidden = nn.gelu(nn.Dense(2 * width)(Norm("layer")(tokens)))
        return tokens + Dropout(self.dropout)(nn.Dense(width)(hidden))


class Pool(nn.Module):
    """All tokens as one vector: means under `seeds` attention weights, and a plain mean."""

    seeds: int

    @nn.compact
    def __call__(self, tokens: Float[Array, "token width"], mask: Bool[Array, " token"]) -> Float[Array, " feature"]:
        """The vector; zeros without any token."""
        tokens = Norm("layer")(tokens)
        share = jax.nn.softmax(jnp.where(mask[:, None], nn.Dense(self.seeds)(tokens), -1e9), 0) * mask[:, None]
        mean = (tokens * mask[:, None]).sum(0) / jnp.maximum(mask.sum(), 1)
        return jnp.concatenate([(share.T @ tokens).ravel(), mean])
