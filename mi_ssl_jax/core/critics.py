"""Critics without parameters of their own: (Na, D), (Nb, D) -> scores (Na, Nb), row = a, column =
b.

The score of a pair depends on that pair alone. The temperature divides the score, so cosine scores
at different temperatures are different critics, hence different bounds.
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg


def cosine(za: chex.Array, zb: chex.Array, *, temperature: chex.Numeric) -> jax.Array:
    """cos(a, b) / temperature, in [-1, 1] / temperature (arXiv 2510.01345, Eqs. 14-15); 0 for a
    zero row.
    """
    _assert_embeddings(za, zb)
    # Dividing the rows, not the (Na, Nb) scores, leaves one pass less over the larger array.
    return linalg.matmul(linalg.unit(za) / temperature, linalg.unit(zb).T)


def dot(za: chex.Array, zb: chex.Array, *, temperature: chex.Numeric) -> jax.Array:
    """<a, b> / temperature; unbounded."""
    _assert_embeddings(za, zb)
    return linalg.matmul(linalg.promote(za) / temperature, zb.T)


def negative_squared_distance(
    za: chex.Array, zb: chex.Array, *, temperature: chex.Numeric
) -> jax.Array:
    """-||a - b||^2 / temperature, at most 0 up to rounding."""
    _assert_embeddings(za, zb)
    za, zb = linalg.promote(za), linalg.promote(zb)
    # Distances do not change with the origin; one near the data keeps the three terms small against
    # rounding.
    origin = jax.lax.stop_gradient(jnp.mean(zb, axis=0))
    za, zb = za - origin, zb - origin
    squares = jnp.sum(za * za, axis=1)[:, None] + jnp.sum(zb * zb, axis=1)[None, :]
    return (2.0 * linalg.matmul(za, zb.T) - squares) / temperature


def bilinear(za: chex.Array, zb: chex.Array, weight: chex.Array) -> jax.Array:
    """a^T W b for embeddings (Na, Da), (Nb, Db) and a weight (Da, Db)."""
    chex.assert_rank([za, zb, weight], 2)
    chex.assert_shape(weight, (za.shape[1], zb.shape[1]))
    return linalg.matmul(linalg.matmul(za, weight), zb.T)


def _assert_embeddings(za: chex.Array, zb: chex.Array) -> None:
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape_suffix([za, zb], 1)
    chex.assert_type([za, zb], float)
