"""Mutual information and entropy from second moments, and what makes them trainable (arXiv
2409.04747).

For jointly Gaussian embeddings I(Z; Z') = H(Z) + H(Z') - H(Z, Z'), each entropy a log determinant.
The exact form takes a Cholesky factor; the trainable form divides by a tracked largest eigenvalue
and truncates the Taylor series of the log determinant, which bounds the gradient where the exact
one grows as 1 / smallest eigenvalue.
"""

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg

__all__ = [
    'Entropies',
    'SecondMoment',
    'gaussian_entropies',
    'gaussian_entropy',
    'gaussian_mi',
    'log_det',
    'second_moment',
    'taylor_log_det',
]


class Entropies(NamedTuple):
    """Gaussian entropies in nats; mutual information = a + b - joint."""

    a: chex.Array  # ()
    b: chex.Array  # ()
    joint: chex.Array  # ()


class SecondMoment(NamedTuple):
    """A matrix with log det(C + eps I) = log det(matrix) + rest, for the covariance C (D, D) of N
    samples.
    """

    matrix: chex.Array  # (m, m), m = min(N, D)
    rest: chex.Array  # (): (D - m) log eps, the directions that the samples do not reach


def second_moment(x: chex.Array, *, eps: float) -> SecondMoment:
    """Compute the covariance (1 / N) of a batch, or the smaller Gram matrix, plus eps I.

    Args:
        x: (N, D), one row a sample.
        eps: added to every eigenvalue.

    Returns:
        SecondMoment of a matrix (m, m), m = min(N, D).

    Raises:
        ValueError: N < 2, or N <= D with eps = 0, where the covariance is singular.
    """
    chex.assert_rank(x, 2)
    chex.assert_type(x, float)
    n, d = x.shape
    if n < 2:
        raise ValueError(f'a covariance needs at least 2 samples, got {n}: use a larger batch')
    if n <= d and eps <= 0:
        raise ValueError(
            f'{n} samples in {d} dimensions have a singular covariance: '
            'set eps > 0 or use a larger batch'
        )
    centred = linalg.promote(x)
    centred = centred - jnp.mean(centred, axis=0)
    rows = centred.T if d <= n else centred
    matrix = linalg.matmul(rows, rows.T) / n
    rest = jnp.asarray((d - len(rows)) * math.log(eps) if d > n else 0.0, matrix.dtype)
    return SecondMoment(matrix + eps * jnp.eye(len(rows), dtype=matrix.dtype), rest)


def log_det(matrix: chex.Array) -> jax.Array:
    """Compute log det of a symmetric positive definite matrix by Cholesky.

    Args:
        matrix: (d, d).

    Returns:
        (); NaN if the matrix is not positive definite.

    >>> f'{ms.gaussian_entropy.log_det(2 * jnp.eye(2)):.3f}'
    '1.386'
    """
    chex.assert_rank(matrix, 2)
    chex.assert_equal(*matrix.shape)
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(linalg.promote(matrix)))))


def taylor_log_det(matrix: chex.Array, scale: chex.Numeric, *, order: int) -> jax.Array:
    """Compute d log scale - sum_{k=1}^{order} tr((I - M / scale)^k) / k of a symmetric M.

    Converges to log det M for eigenvalues in (0, 2 scale), from above where none exceeds the scale.
    The scale is a constant for the gradient, whose norm is then at most order / scale.

    Args:
        matrix: (d, d) M.
        scale: () near the largest eigenvalue.
        order: terms of the series.

    Returns:
        ().

    Raises:
        ValueError: order < 1.

    >>> f'{ms.gaussian_entropy.taylor_log_det(2 * jnp.eye(2), 2.0, order=4):.3f}'
    '1.386'
    """
    chex.assert_rank(matrix, 2)
    chex.assert_equal(*matrix.shape)
    if order < 1:
        raise ValueError(f'the Taylor order must be at least 1, got {order}')
    scale = jax.lax.stop_gradient(jnp.asarray(scale))
    matrix = linalg.promote(matrix)
    powers = [jnp.eye(len(matrix), dtype=matrix.dtype) - matrix / scale]
    while len(powers) < (order + 1) // 2:
        powers.append(linalg.matmul(powers[-1], powers[0]))
    # tr(A^{i + j}) = <A^i, A^j> for symmetric A: half the products.
    traces = [jnp.trace(powers[0])] + [
        jnp.sum(powers[(k + 1) // 2 - 1] * powers[k // 2 - 1]) for k in range(2, order + 1)
    ]
    return len(matrix) * jnp.log(scale) - sum(trace / k for k, trace in enumerate(traces, start=1))


def gaussian_entropy(dimension: int, log_determinant: chex.Numeric) -> jax.Array:
    """Compute the entropy of a Gaussian from the log determinant of its covariance.

    Args:
        dimension: of the Gaussian.
        log_determinant: () of the covariance.

    Returns:
        (), nats.

    >>> f'{ms.gaussian_entropy.gaussian_entropy(1, 0.0):.3f}'
    '1.419'
    """
    return 0.5 * (dimension * math.log(2.0 * math.pi * math.e) + jnp.asarray(log_determinant))


def gaussian_entropies(za: chex.Array, zb: chex.Array, *, eps: float) -> Entropies:
    """Compute the exact entropies of Gaussians with the covariances of two batches and of both.

    Args:
        za: (N, Da), one row a sample.
        zb: (N, Db); its row i belongs to row i of `za`.
        eps: added to every eigenvalue of the covariances.

    Returns:
        Entropies, nats; H(Z_A) + H(Z_B) - H(Z_A, Z_B) is their mutual information.

    Raises:
        ValueError: as of `second_moment`.
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape_prefix([za, zb], 1)
    return Entropies(
        *(
            gaussian_entropy(z.shape[1], log_det(moment.matrix) + moment.rest)
            for z in (za, zb, jnp.concatenate([za, zb], axis=1))
            for moment in [second_moment(z, eps=eps)]
        )
    )


def gaussian_mi(za: chex.Array, zb: chex.Array, *, eps: float) -> jax.Array:
    """Compute the mutual information of jointly Gaussian samples by log determinants.

    eps = 0 is exact under invertible linear maps of either side and needs N > Da + Db; identical
    views are then infinitely informative (inf or NaN). The plug-in of N samples is biased upwards
    by about Da Db / (2 N).

    Args:
        za: (N, Da), one row a sample.
        zb: (N, Db); its row i belongs to row i of `za`.
        eps: added to every eigenvalue of the covariances.

    Returns:
        (), nats.

    Raises:
        ValueError: as of `second_moment`.

    >>> x, noise = jax.random.normal(jax.random.PRNGKey(0), (2, 1000, 1))
    >>> f'{ms.gaussian_entropy.gaussian_mi(x, x + noise, eps=0.0):.1f}'  # log(2) / 2
    '0.3'
    """
    entropies = gaussian_entropies(za, zb, eps=eps)
    return entropies.a + entropies.b - entropies.joint
