"""Normalisation and second-order statistics of embeddings (N, D), rows = samples."""

import chex
import jax
import jax.numpy as jnp


def promote(x: chex.Array) -> jax.Array:
    """Half types and integers to float32; float32 and float64 unchanged."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def matmul(a: chex.Array, b: chex.Array) -> jax.Array:
    """a @ b in full precision (accelerators round float32 products to fewer bits by default)."""
    return jnp.matmul(promote(a), promote(b), precision='highest')


def unit(x: chex.Array, *, eps: float = 1e-12) -> jax.Array:
    """Rows of unit length: x / max(||x||, eps) along the last axis.

    A zero row stays zero and its gradient is finite (1 / eps times the cotangent).
    """
    x = promote(x)
    squares = jnp.sum(x * x, axis=-1, keepdims=True)
    tiny = squares <= eps * eps
    # The inner where keeps the square root away from 0, whose derivative is infinite even where it
    # is not selected.
    norm = jnp.where(tiny, eps, jnp.sqrt(jnp.where(tiny, 1.0, squares)))
    return x / norm


def standardise(x: chex.Array, *, eps: float) -> jax.Array:
    """Zero mean and unit variance of each feature over the batch (N, D); the variance is biased."""
    chex.assert_rank(x, 2)
    x = promote(x)
    centred = x - jnp.mean(x, axis=0)
    return centred / jnp.sqrt(jnp.mean(centred * centred, axis=0) + eps)


def cross_correlation(za: chex.Array, zb: chex.Array) -> jax.Array:
    """za^T zb / N of two batches (N, Da), (N, Db), as given: standardise them first for
    correlations.
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape_prefix([za, zb], 1)
    return matmul(za.T, zb) / len(za)


def cross_covariance(za: chex.Array, zb: chex.Array) -> jax.Array:
    """Unbiased (N - 1) covariance (Da, Db) between two batches (N, Da), (N, Db).

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
    """Unbiased (N - 1) covariance (D, D) of a batch (N, D)."""
    return cross_covariance(x, x)


def off_diagonal_sum_of_squares(matrix: chex.Array) -> jax.Array:
    """sum_{i != j} M_ij^2 of a square matrix."""
    chex.assert_rank(matrix, 2)
    chex.assert_equal(*matrix.shape)
    return jnp.sum(jnp.square(matrix - jnp.diag(jnp.diag(matrix))))


def whiten(x: chex.Array, *, eps: float) -> jax.Array:
    """x (N, D) centred and whitened by Cholesky: rows L^{-1} (x - mean) with L L^T = Sigma.

    Sigma = (1 - eps) covariance + eps I (W-MSE, Ermolov et al. 2021). The result has covariance I
    for eps =
    0. NaN where Sigma is not positive definite.

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
