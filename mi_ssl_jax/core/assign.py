"""Balanced assignment of samples to prototypes."""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg


def sinkhorn(scores: chex.Array, *, epsilon: chex.Numeric, iterations: int) -> jax.Array:
    """Codes (B, K), rows summing to 1, of scores (B, K) by Sinkhorn-Knopp (SwAV, Caron et al. 2020).

    Each iteration gives every prototype the same total, then every sample the total 1; prototypes are
    therefore only nearly balanced. In the log domain, where scores / epsilon of any size stay finite. 0
    iterations: B softmax over all B K scores together. Differentiable; SwAV takes the codes as constants.
    """
    chex.assert_rank(scores, 2)
    chex.assert_type(scores, float)
    samples, prototypes = scores.shape
    logits = linalg.promote(scores) / epsilon
    logits = logits - jax.nn.logsumexp(logits)

    def balance(_, logits):
        logits = logits - jax.nn.logsumexp(logits, axis=0, keepdims=True) - jnp.log(float(prototypes))
        return logits - jax.nn.logsumexp(logits, axis=1, keepdims=True) - jnp.log(float(samples))

    return samples * jnp.exp(jax.lax.fori_loop(0, iterations, balance, logits))
