"""Balanced assignment of samples to prototypes."""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg


def sinkhorn(scores: chex.Array, *, epsilon: chex.Numeric, iterations: int) -> jax.Array:
    """Codes (B, K), rows summing to 1, of scores (B, K) by Sinkhorn-Knopp (SwAV, Caron et al.
    2020).

    Each iteration gives every prototype the same total, then every sample the total 1; prototypes
    are therefore only nearly balanced. In the log domain, where scores / epsilon of any size stay
    finite. 0
    iterations: B softmax over all B K scores together. Differentiable; SwAV takes the codes as
    constants.
    """
    chex.assert_rank(scores, 2)
    chex.assert_type(scores, float)
    samples, prototypes = scores.shape
    logits = linalg.promote(scores) / epsilon
    logits = logits - jax.nn.logsumexp(logits)

    def balance(_, logits):
        logits = (
            logits - jax.nn.logsumexp(logits, axis=0, keepdims=True) - jnp.log(float(prototypes))
        )
        return logits - jax.nn.logsumexp(logits, axis=1, keepdims=True) - jnp.log(float(samples))

    return samples * jnp.exp(jax.lax.fori_loop(0, iterations, balance, logits))


def swapped_cross_entropy(targets: chex.Array, logits: chex.Array) -> jax.Array:
    """Mean over n and over pairs of views q != v of -sum_k targets[q, n, k] log softmax(logits[v,
    n])_k.

    targets: (Q, N, K), a distribution over prototypes for each of the first Q views. logits: (V, N,
    K).

    Raises:
        ValueError: V < 2 or V < Q.
    """
    chex.assert_rank([targets, logits], 3)
    chex.assert_equal_shape_suffix([targets, logits], 2)
    if not 2 <= len(logits) >= len(targets):
        raise ValueError(
            f'{len(logits)} view(s) for targets of {len(targets)}: a view is compared with the '
            'targets of others, use at least 2 views'
        )
    log_p = jax.nn.log_softmax(linalg.promote(logits))
    sums = -jnp.einsum('qnk,vnk->qv', linalg.promote(targets), log_p, precision='highest')
    entropies = sums / logits.shape[1]
    others = ~jnp.eye(len(targets), len(logits), dtype=bool)
    return jnp.sum(entropies, where=others) / (len(targets) * (len(logits) - 1))
