"""Balanced assignment of samples to prototypes."""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg

__all__ = ['sinkhorn', 'swapped_cross_entropy']


def sinkhorn(scores: chex.Array, *, epsilon: chex.Numeric, iterations: int) -> jax.Array:
    """Balance scores to codes by Sinkhorn-Knopp (SwAV, Caron et al. 2020, arXiv 2006.09882).

    Each iteration gives every prototype the same total, then every sample the total 1; prototypes
    are therefore only nearly balanced. In the log domain, where scores / epsilon of any size stay
    finite. Differentiable; SwAV takes the codes as constants.

    Args:
        scores: (B, K) of B samples against K prototypes.
        epsilon: temperature of the assignment; smaller makes it sharper.
        iterations: 0 gives B softmax over all B K scores together.

    Returns:
        (B, K) codes, each row summing to 1.

    >>> codes = ms.assignment.sinkhorn(jnp.zeros((2, 2)), epsilon=0.05, iterations=3)
    >>> codes.round(3).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
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
    """Compute the mean cross-entropy of targets and softmax(logits) over pairs of different views.

    The mean over n and over pairs of views q != v of -sum_k targets[q, n, k] log softmax(logits[v,
    n])_k, as in SwAV (arXiv 2006.09882) and DINO (arXiv 2104.14294).

    Args:
        targets: (Q, N, K), a distribution over prototypes for each of the first Q views.
        logits: (V, N, K) of all V views.

    Returns:
        (), nats.

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
