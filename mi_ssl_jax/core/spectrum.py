"""Spectra of features: how many directions carry them, and how fast the rest decays.

Figures that rank encoders without labels: RankMe (`sphere.effective_rank`), LiDAR and α-ReQ.
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg

__all__ = ['alpha_req', 'effective_number', 'lidar', 'singular_values']

# Ranks of the eigenvalues that α-ReQ's code fits, counted from 1.
FIRST_RANK, LAST_RANK = 4, 100
# Singular values below this share of the largest are rounding errors of float32, not directions.
EMPTY = 1e-6


def singular_values(x: chex.Array) -> jax.Array:
    """Compute the singular values of a matrix, largest first.

    Args:
        x: (N, D).

    Returns:
        (min(N, D),), of float32 or float64.

    >>> ms.spectrum.singular_values(jnp.array([[0.0, 2.0], [1.0, 0.0]])).tolist()
    [2.0, 1.0]
    """
    chex.assert_rank(x, 2)
    chex.assert_type(x, float)
    x = linalg.promote(x)
    # The triangular factor of the longer side has the same singular values: an SVD of (D, D)
    # instead of (N, D), which GPUs take seconds for. The Gram matrix would square the spread.
    factor = jnp.linalg.qr(x if len(x) >= x.shape[1] else x.T, mode='r')
    return jnp.linalg.svd(factor, compute_uv=False)


def effective_number(weights: chex.Array) -> jax.Array:
    """Compute exp of the entropy of weights divided by their sum.

    Args:
        weights: (K,), none below 0.

    Returns:
        (), between 1 (one weight, or none above 0) and K (equal weights).

    >>> f'{ms.spectrum.effective_number(jnp.ones(4)):.3f}'
    '4.000'
    """
    chex.assert_rank(weights, 1)
    total = jnp.sum(weights)
    return jnp.exp(jnp.sum(jax.scipy.special.entr(weights / jnp.where(total > 0, total, 1.0))))


def lidar(z: chex.Array, *, delta: float = 1e-4) -> jax.Array:
    """Compute LiDAR, the rank of linear discriminants (Thilak et al. 2024, arXiv 2312.04000).

    Each sample is a class of its own and its views are the class's members. The figure is the
    effective number of the eigenvalues of S_w^(-1/2) S_b S_w^(-1/2): S_b the covariance of the
    samples' means, 1 / (n - 1), S_w that of views about their sample's mean, 1 / (n (q - 1)), plus
    delta I.

    Args:
        z: (n, q, D) features of q views of n samples.
        delta: added to the diagonal of S_w.

    Returns:
        (), between 1 and min(n - 1, D).

    Raises:
        ValueError: fewer than two samples or views.

    >>> views = jnp.stack([jnp.eye(3), jnp.eye(3)], axis=1)  # of no spread
    >>> f'{ms.spectrum.lidar(views):.3f}'
    '2.000'
    """
    chex.assert_rank(z, 3)
    chex.assert_type(z, float)
    n, q, width = z.shape
    if n < 2 or q < 2:
        raise ValueError(f'LiDAR needs at least 2 views of 2 samples, got {q} of {n}')
    z = linalg.promote(z)
    means = jnp.mean(z, axis=1)
    between = (means - jnp.mean(means, axis=0)) / (n - 1) ** 0.5
    within = (z - means[:, None]).reshape(n * q, width) / (n * (q - 1)) ** 0.5
    # U^T U = S_w without the product, which would square the spread; the eigenvalues are then the
    # squared singular values of `between` U^-1.
    ridge = delta**0.5 * jnp.eye(width, dtype=z.dtype)
    factor = jnp.linalg.qr(jnp.concatenate([within, ridge]), mode='r')
    whitened = jax.scipy.linalg.solve_triangular(factor.T, between.T, lower=True)
    return effective_number(jnp.square(singular_values(whitened)))


def alpha_req(z: chex.Array, *, first: int = FIRST_RANK, last: int = LAST_RANK) -> jax.Array:
    """Compute α-ReQ, the decay of the eigenspectrum (Agrawal et al. 2022, NeurIPS).

    The covariance's eigenvalues are fitted by rank^-α: least squares of log eigenvalue on log rank,
    weighted by 1 / rank as in the authors' code. Eigenvalues that rounding alone made are left out.

    Args:
        z: (N, D) features, one row a sample.
        first: the first rank that is fitted, counted from 1.
        last: the last one, where there are so many.

    Returns:
        (), α, best near 1; NaN where fewer than two eigenvalues are left.

    Raises:
        ValueError: fewer than two ranks to fit.

    >>> z = jnp.diag(jnp.arange(1.0, 9.0) ** -0.5)
    >>> f'{ms.spectrum.alpha_req(jnp.concatenate([z, -z])):.3f}'
    '1.000'
    """
    chex.assert_rank(z, 2)
    chex.assert_type(z, float)
    if min(last, *z.shape) < first + 1:
        raise ValueError(
            f'α-ReQ fits ranks {first} to {last}: {len(z)} examples of {z.shape[1]} features have'
            f' {min(z.shape)}'
        )
    z = linalg.promote(z)
    singular = singular_values(z - jnp.mean(z, axis=0))
    ranks = jnp.arange(first, min(last, len(singular)) + 1)
    own = singular[ranks - 1]
    real = own > EMPTY * singular[0]
    x = jnp.log(ranks.astype(z.dtype))
    y = 2 * jnp.log(jnp.where(real, own, 1.0))  # of the eigenvalue, up to a factor
    weights = real / ranks

    def mean(values: jax.Array) -> jax.Array:
        return jnp.sum(weights * values) / jnp.sum(weights)

    x = x - mean(x)
    return jnp.where(jnp.sum(real) > 1, -mean(x * y) / mean(x * x), jnp.nan)
