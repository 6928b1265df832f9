"""Statistical regularisers that stand in for the marginal term of an MI bound (paper, Eq. 10 and
section 3.4).
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg

__all__ = [
    'REGULARISERS',
    'correlation',
    'covariance_penalty',
    'redundancy',
    'variance_covariance',
    'variance_hinge',
]

STANDARDISE_EPS = 1e-5  # batch norm's, as in Barlow Twins' reference code


def variance_hinge(z: chex.Array, *, eps: float) -> jax.Array:
    """Compute mean_j max(0, 1 - sqrt(Var_j + eps)) (VICReg, arXiv 2105.04906, Eq. 1).

    Args:
        z: (N, D) embeddings, one row a sample.
        eps: added to the unbiased variance.

    Returns:
        (), 0 where every feature has a standard deviation of at least 1.

    >>> float(ms.surrogates.variance_hinge(jnp.ones((4, 2)), eps=0.0))
    1.0
    """
    chex.assert_rank(z, 2)
    z = linalg.promote(z)
    return jnp.mean(jax.nn.relu(1 - jnp.sqrt(jnp.var(z, axis=0, ddof=1) + eps)))


def covariance_penalty(z: chex.Array) -> jax.Array:
    """Compute sum_{i != j} Cov(z)_ij^2 / D (VICReg, arXiv 2105.04906, Eq. 4).

    Args:
        z: (N, D) embeddings, one row a sample.

    Returns:
        (), 0 where the features are uncorrelated.

    Raises:
        ValueError: fewer than two samples.
    """
    return linalg.off_diagonal_sum_of_squares(linalg.covariance(z)) / z.shape[1]


def variance_covariance(za: chex.Array, zb: chex.Array) -> jax.Array:
    """Compute VICReg's regulariser of both views, variance to covariance as 25 to 1, eps 1e-4.

    The variance of the two views is averaged and their covariances are added, as in its reference
    code.

    Args:
        za: (N, D) embeddings of one view, one row a sample.
        zb: (N, D) embeddings of the other view; its row i belongs to row i of `za`.

    Returns:
        ().
    """
    chex.assert_equal_shape([za, zb])
    variance = 0.5 * (variance_hinge(za, eps=1e-4) + variance_hinge(zb, eps=1e-4))
    return variance + (covariance_penalty(za) + covariance_penalty(zb)) / 25


def correlation(za: chex.Array, zb: chex.Array) -> jax.Array:
    """Compute the cross-correlation matrix of two views, each feature standardised over the batch.

    Args:
        za: (N, D) embeddings of one view, one row a sample.
        zb: (N, D) embeddings of the other view; its row i belongs to row i of `za`.

    Returns:
        (D, D), entries in [-1, 1].
    """
    chex.assert_equal_shape([za, zb])
    return linalg.cross_correlation(*(linalg.standardise(z, eps=STANDARDISE_EPS) for z in (za, zb)))


def redundancy(za: chex.Array, zb: chex.Array) -> jax.Array:
    """Compute sum_{i != j} C_ij^2 of the cross-correlation (Barlow Twins, arXiv 2103.03230, Eq. 1).

    Args:
        za: (N, D) embeddings of one view, one row a sample.
        zb: (N, D) embeddings of the other view; its row i belongs to row i of `za`.

    Returns:
        (), 0 where no feature of one view predicts another of the other view.
    """
    return linalg.off_diagonal_sum_of_squares(correlation(za, zb))


REGULARISERS = {'variance_covariance': variance_covariance, 'redundancy': redundancy}
