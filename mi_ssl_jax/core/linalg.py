"""Normalisation and second-order statistics of embeddings (N, D), rows = samples."""

import chex
import jax
import jax.numpy as jnp

__all__ = [
    'covariance',
    'cross_correlation',
    'cross_covariance',
    'matmul',
    'off_diagonal_sum_of_squares',
    'promote',
    'standardise',
    'unit',
    'whiten',
]


def promote(x: chex.Array) -> jax.Array:
    """Convert half types and integers to float32; float32 and float64 stay as they are.

    Args:
        x: an array of any shape.

    Returns:
        The array, of float32 or float64.

    >>> str(ms.linalg.promote(jnp.ones(2, jnp.bfloat16)).dtype)
    'float32'
    """
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def matmul(a: chex.Array, b: chex.Array) -> jax.Array:
    """Multiply a @ b in full precision (accelerators round float32 products to fewer bits).

    Args:
        a: (..., N, K).
        b: (..., K, M).

    Returns:
        (..., N, M), of float32 or float64.
    """
    return jnp.matmul(promote(a), promote(b), precision='highest')


def unit(x: chex.Array, *, eps: float = 1e-12) -> jax.Array:
    """Scale rows to unit length: x / max(||x||, eps) along the last axis.

    A zero row stays zero and its gradient is finite (1 / eps times the cotangent).

    Args:
        x: (..., D).
        eps: the least length that is divided by.

    Returns:
        (..., D), of float32 or float64.

    >>> ms.linalg.unit(jnp.array([[0.0, 2.0], [0.0, 0.0]])).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    x = promote(x)
    squares = jnp.sum(x * x, axis=-1, keepdims=True)
    tiny = squares <= eps * eps
    # The inner where keeps the square root away from 0, whose derivative is infinite even where it
    # is not selected.
    norm = jnp.where(tiny, eps, jnp.sqrt(jnp.where(tiny, 1.0, squares)))
    return x / norm


def standardise(x: chex.Array, *, eps: float) -> jax.Array:
    """Shift and scale each feature to mean 0 and variance 1 over the batch.

    Args:
        x: (N, D), one row a sample.
        eps: added to the variance, which is the biased one (1 / N).

    Returns:
        (N, D), of float32 or float64.

    >>> ms.linalg.standardise(jnp.array([[1.0], [3.0]]), eps=0.0).tolist()
    [[-1.0], [1.0]]
    """
    chex.assert_rank(x, 2)
    x = promote(x)
    centred = x - jnp.mean(x, axis=0)
    return centred / jnp.sqrt(jnp.mean(centred * centred, axis=0) + eps)


def cross_correlation(za: chex.Array, zb: chex.Array) -> jax.Array:
    """Compute za^T zb / N of two batches as given; standardise them first for correlations.

    Args:
        za: (N, Da), one row a sample.
        zb: (N, Db).

    Returns:
        (Da, Db), of float32 or float64.

    >>> ms.linalg.cross_correlation(jnp.eye(2), 2 * jnp.eye(2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape_prefix([za, zb], 1)
    return matmul(za.T, zb) / len(za)


def cross_covariance(za: chex.Array, zb: chex.Array) -> jax.Array:
    """Compute the unbiased (N - 1) covariance between the features of two batches.

    Args:
        za: (N, Da), one row a sample.
        zb: (N, Db).

    Returns:
        (Da, Db), of float32 or float64.

    Raises:
        ValueError: fewer than two samples.
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape_prefix([za, zb], 1)
    if len(za) < 2:
        raise ValueError(
            f'a covariance needs at least 2 samples, got {len(za)}: use a larger batch'
        )
    za, zb = promote(za), promote(zb)
    return matmul((za - jnp.mean(za, axis=0)).T, zb - jnp.mean(zb, axis=0)) / (len(za) - 1)


def covariance(x: chex.Array) -> jax.Array:
    """Compute the unbiased (N - 1) covariance of the features of a batch.

    Args:
        x: (N, D), one row a sample.

    Returns:
        (D, D), of float32 or float64.

    Raises:
        ValueError: fewer than two samples.

    >>> ms.linalg.covariance(jnp.array([[1.0], [3.0]])).tolist()
    [[2.0]]
    """
    return cross_covariance(x, x)


def off_diagonal_sum_of_squares(matrix: chex.Array) -> jax.Array:
    """Compute sum_{i != j} M_ij^2.

    Args:
        matrix: (D, D).

    Returns:
        (), of the matrix's type.

    >>> float(ms.linalg.off_diagonal_sum_of_squares(jnp.ones((3, 3))))
    6.0
    """
    chex.assert_rank(matrix, 2)
    chex.assert_equal(*matrix.shape)
    return jnp.sum(jnp.square(matrix - jnp.diag(jnp.diag(matrix))))


def whiten(x: chex.Array, *, eps: float) -> jax.Array:
    """Centre and whiten a batch by Cholesky: rows L^{-1} (x - mean) with L L^T = Sigma.

    Sigma = (1 - eps) covariance + eps I (W-MSE, Ermolov et al. 2021, arXiv 2007.06346).

    Args:
        x: (N, D), one row a sample.
        eps: share of the identity in Sigma.

    Returns:
        (N, D), of covariance I for eps = 0; NaN where Sigma is not positive definite.

    Raises:
        ValueError: N <= D with eps = 0, where the covariance is singular.
    """
    chex.assert_rank(x, 2)
    chex.assert_type(x, float)
    n, d = x.shape
    if n <= d and eps <= 0:
        raise ValueError(
            f'{n} samples in {d} dimensions have a singular covariance: '
            'use more samples a slice, fewer dimensions or eps > 0'
        )
    x = promote(x)
    sigma = (1.0 - eps) * covariance(x) + eps * jnp.eye(d, dtype=x.dtype)
    factor = jnp.linalg.cholesky(sigma)
    return jax.scipy.linalg.solve_triangular(factor, (x - jnp.mean(x, axis=0)).T, lower=True).T
