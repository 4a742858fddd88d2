"""Masked attention over a set and its pooling, invariant to order and applicable to any number of members.

After J. Lee and others (2019), Set Transformer, ICML. A member is a pick or a station; masked ones have no influence.
Pre-layer normalisation, no inducing points (sets are small). Pooling is by scores that are linear in the tokens (the
product with the seed vectors written out), concatenated with a mean. The number of members is lost in pooling: models
that need it add it as a feature.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.networks.layers import Dropout, Norm


class Attention(nn.Module):
    """Multi-head scaled dot-product attention over the unmasked tokens."""

    heads: int

    @nn.compact
    def __call__(self, tokens: Float[Array, "token width"], mask: Bool[Array, " token"]) -> Float[Array, "token width"]:
        """Attended values of each token; the width must be a multiple of the number of heads."""
        width = tokens.shape[-1]
        split = lambda x: x.reshape(len(x), self.heads, width // self.heads)
        ask, answer, tell = (split(nn.Dense(width, name=name)(tokens)) for name in ("ask", "answer", "tell"))
        score = jnp.einsum("phc,qhc->hpq", ask, answer) / math.sqrt(width // self.heads)
        share = jax.nn.softmax(jnp.where(mask, score, -1e9), -1) * mask
        return nn.Dense(width, name="out")(jnp.einsum("hpq,qhc->phc", share, tell).reshape(len(tokens), width))


class Block(nn.Module):
    """Attention and two dense layers, with residual connections."""

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
