"""Scores of joint and of marginal pairs: what every bound takes."""

from typing import NamedTuple

import chex
import jax.numpy as jnp

from mi_ssl_jax.core import linalg

__all__ = ['Pairs', 'in_batch', 'with_negatives']


class Pairs(NamedTuple):
    """Scores T(x, y) of joint samples and of samples of the product of the marginals.

    Row i of `marginal` belongs to the same x as `joint[i]`. In a batch the rows and columns are
    kept and the mask leaves out the diagonal, so that bounds that need rows (InfoNCE) or columns
    (I_alpha) find them.
    """

    joint: chex.Array  # (N,)
    marginal: chex.Array  # (N, K)
    mask: chex.Array  # (N, K) bool: True where the pair is a marginal sample


def in_batch(scores: chex.Array) -> Pairs:
    """Take the scores of a batch apart: the diagonal is joint, the rest marginal samples.

    Args:
        scores: (N, N) scores of all pairs of a batch, for example of `critics.cosine`.

    Returns:
        Pairs of joint scores (N,) and marginal scores (N, N), the diagonal masked.

    Raises:
        ValueError: the scores are not a square matrix, or N < 2 (no marginal samples).

    >>> ms.pairs.in_batch(2 * jnp.eye(2)).mask.tolist()
    [[False, True], [True, False]]
    """
    chex.assert_rank(scores, 2)
    chex.assert_type(scores, float)
    n = len(scores)
    if scores.shape != (n, n):
        raise ValueError(
            f'in-batch scores must be square, got {scores.shape}: '
            'score the same N pairs on both sides'
        )
    if n < 2:
        raise ValueError('a batch of one has no marginal samples: use a batch of at least 2')
    scores = linalg.promote(scores)
    return Pairs(jnp.diagonal(scores), scores, ~jnp.eye(n, dtype=bool))


def with_negatives(positives: chex.Array, negatives: chex.Array) -> Pairs:
    """Join scores of positive pairs and of each row's own negatives, for example from a queue.

    Args:
        positives: (N,) scores of joint samples.
        negatives: (N, K) scores of row i with its K negatives.

    Returns:
        Pairs of joint scores (N,) and marginal scores (N, K), nothing masked.

    Raises:
        ValueError: K = 0 (no marginal samples).

    >>> ms.pairs.with_negatives(jnp.ones(2), jnp.zeros((2, 3))).marginal.shape
    (2, 3)
    """
    chex.assert_rank([positives, negatives], [1, 2])
    chex.assert_equal_shape_prefix([positives, negatives], 1)
    chex.assert_type([positives, negatives], float)
    if negatives.shape[1] < 1:
        raise ValueError('no negatives, so no marginal samples: give at least one negative a row')
    positives, negatives = linalg.promote(positives), linalg.promote(negatives)
    return Pairs(positives, negatives, jnp.ones(negatives.shape, dtype=bool))
