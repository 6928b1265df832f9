"""Statistical regularisers that stand in for the marginal term of an MI bound (paper, Eq. 10 and
section 3.4).
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg

STANDARDISE_EPS = 1e-5  # batch norm's, as in Barlow Twins' reference code


def variance_hinge(z: chex.Array, *, eps: float) -> jax.Array:
    """mean_j max(0, 1 - sqrt(Var_j + eps)) of a batch (N, D), unbiased variance (VICReg, arXiv
    2105.04906, Eq. 1).
    """
    chex.assert_rank(z, 2)
    z = linalg.promote(z)
    return jnp.mean(jax.nn.relu(1 - jnp.sqrt(jnp.var(z, axis=0, ddof=1) + eps)))


def covariance_penalty(z: chex.Array) -> jax.Array:
    """sum_{i != j} Cov(z)_ij^2 / D of a batch (N, D) (VICReg, arXiv 2105.04906, Eq. 4)."""
    return linalg.off_diagonal_sum_of_squares(linalg.covariance(z)) / z.shape[1]


def variance_covariance(za: chex.Array, zb: chex.Array) -> jax.Array:
    """VICReg's regulariser of both views, variance to covariance as 25 to 1 in its reference code,
    eps 1e-4.

    The variance of the two views is averaged and their covariances are added, as there.
    """
    chex.assert_equal_shape([za, zb])
    variance = 0.5 * (variance_hinge(za, eps=1e-4) + variance_hinge(zb, eps=1e-4))
    return variance + (covariance_penalty(za) + covariance_penalty(zb)) / 25


def correlation(za: chex.Array, zb: chex.Array) -> jax.Array:
    """Cross-correlation matrix (D, D) of two views (N, D), each feature standardised over the
    batch.
    """
    chex.assert_equal_shape([za, zb])
    return linalg.cross_correlation(*(linalg.standardise(z, eps=STANDARDISE_EPS) for z in (za, zb)))


def redundancy(za: chex.Array, zb: chex.Array) -> jax.Array:
    """sum_{i != j} C_ij^2 of the cross-correlation matrix: Barlow Twins' regulariser (arXiv
    2103.03230, Eq. 1).
    """
    return linalg.off_diagonal_sum_of_squares(correlation(za, zb))


REGULARISERS = {'variance_covariance': variance_covariance, 'redundancy': redundancy}
