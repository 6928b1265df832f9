"""Critics without parameters of their own: (Na, D), (Nb, D) -> scores (Na, Nb), row = a, column =
b.

The score of a pair depends on that pair alone. The temperature divides the score, so cosine scores
at different temperatures are different critics, hence different bounds.
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg

__all__ = ['bilinear', 'cosine', 'dot', 'negative_squared_distance']


def cosine(za: chex.Array, zb: chex.Array, *, temperature: chex.Numeric) -> jax.Array:
    """Score pairs by cos(a, b) / temperature (arXiv 2510.01345, Eqs. 14 and 15).

    Args:
        za: (Na, D) embeddings, one row a sample.
        zb: (Nb, D) embeddings.
        temperature: by which the score is divided.

    Returns:
        (Na, Nb) scores in [-1, 1] / temperature; 0 for a zero row.

    >>> ms.critics.cosine(jnp.eye(2), jnp.eye(2), temperature=0.5).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    _assert_embeddings(za, zb)
    # Dividing the rows, not the (Na, Nb) scores, leaves one pass less over the larger array.
    return linalg.matmul(linalg.unit(za) / temperature, linalg.unit(zb).T)


def dot(za: chex.Array, zb: chex.Array, *, temperature: chex.Numeric) -> jax.Array:
    """Score pairs by <a, b> / temperature.

    Args:
        za: (Na, D) embeddings, one row a sample.
        zb: (Nb, D) embeddings.
        temperature: by which the score is divided.

    Returns:
        (Na, Nb) scores, unbounded.

    >>> ms.critics.dot(3 * jnp.eye(2), jnp.eye(2), temperature=1.0).tolist()
    [[3.0, 0.0], [0.0, 3.0]]
    """
    _assert_embeddings(za, zb)
    return linalg.matmul(linalg.promote(za) / temperature, zb.T)


def negative_squared_distance(
    za: chex.Array, zb: chex.Array, *, temperature: chex.Numeric
) -> jax.Array:
    """Score pairs by -||a - b||^2 / temperature.

    Args:
        za: (Na, D) embeddings, one row a sample.
        zb: (Nb, D) embeddings.
        temperature: by which the score is divided.

    Returns:
        (Na, Nb) scores, at most 0 up to rounding.

    >>> ms.critics.negative_squared_distance(jnp.eye(2), jnp.eye(2), temperature=1.0).tolist()
    [[0.0, -2.0], [-2.0, 0.0]]
    """
    _assert_embeddings(za, zb)
    za, zb = linalg.promote(za), linalg.promote(zb)
    # Distances do not change with the origin; one near the data keeps the three terms small against
    # rounding.
    origin = jax.lax.stop_gradient(jnp.mean(zb, axis=0))
    za, zb = za - origin, zb - origin
    squares = jnp.sum(za * za, axis=1)[:, None] + jnp.sum(zb * zb, axis=1)[None, :]
    return (2.0 * linalg.matmul(za, zb.T) - squares) / temperature


def bilinear(za: chex.Array, zb: chex.Array, weight: chex.Array) -> jax.Array:
    """Score pairs by a^T W b.

    Args:
        za: (Na, Da) embeddings, one row a sample.
        zb: (Nb, Db) embeddings.
        weight: (Da, Db) the matrix W.

    Returns:
        (Na, Nb) scores, unbounded.

    >>> ms.critics.bilinear(jnp.eye(2), jnp.eye(2), jnp.array([[0.0, 1.0], [2.0, 0.0]])).tolist()
    [[0.0, 1.0], [2.0, 0.0]]
    """
    chex.assert_rank([za, zb, weight], 2)
    chex.assert_shape(weight, (za.shape[1], zb.shape[1]))
    return linalg.matmul(linalg.matmul(za, weight), zb.T)


def _assert_embeddings(za: chex.Array, zb: chex.Array) -> None:
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape_suffix([za, zb], 1)
    chex.assert_type([za, zb], float)
