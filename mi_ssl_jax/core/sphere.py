"""Geometry of embeddings on the unit sphere: separation, collapse, alignment and uniformity."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg, pairs, spectrum
from mi_ssl_jax.core.bounds import reductions

__all__ = ['AngleGaps', 'alignment', 'effective_rank', 'feature_std', 'nn_angle_gaps', 'uniformity']


class AngleGaps(NamedTuple):
    """Statistics of the angle from each point to its nearest other point, in degrees."""

    mean: chex.Array  # ()
    min: chex.Array  # ()
    max: chex.Array  # ()
    sd: chex.Array  # () population standard deviation


def nn_angle_gaps(points: chex.Array) -> AngleGaps:
    """Measure the angle from each point to its nearest other point (paper, Table 2: class centres).

    Five points on S^2: 72 degrees for the regular pentagon, 90 at the Thomson optimum.

    Args:
        points: (K, D), normalised here.

    Returns:
        AngleGaps, in degrees.

    Raises:
        ValueError: fewer than two points.

    >>> float(ms.sphere.nn_angle_gaps(jnp.eye(3)).mean)
    90.0
    """
    chex.assert_rank(points, 2)
    chex.assert_type(points, float)
    if len(points) < 2:
        raise ValueError(f'a nearest neighbour needs at least 2 points, got {len(points)}')
    z = linalg.unit(points)
    cosines = jnp.where(jnp.eye(len(z), dtype=bool), -jnp.inf, linalg.matmul(z, z.T))
    # Rounding takes cosines of equal points past 1, where the arccos is NaN.
    gaps = jnp.degrees(jnp.arccos(jnp.clip(jnp.max(cosines, axis=1), -1.0, 1.0)))
    return AngleGaps(jnp.mean(gaps), jnp.min(gaps), jnp.max(gaps), jnp.std(gaps))


def effective_rank(z: chex.Array) -> jax.Array:
    """Compute RankMe: exp of the entropy of the normalised singular values (Garrido et al. 2023).

    Args:
        z: (N, D) embeddings, one row a sample.

    Returns:
        (), between 1 (all rows on one line; also for zero embeddings) and min(N, D).

    >>> f'{ms.sphere.effective_rank(jnp.eye(3)):.3f}'
    '3.000'
    """
    return spectrum.effective_number(spectrum.singular_values(z))


def alignment(za: chex.Array, zb: chex.Array, *, alpha: chex.Numeric = 2.0) -> jax.Array:
    """Compute mean ||a - b||^alpha over positive pairs (Wang and Isola 2020, arXiv 2005.10242).

    Args:
        za: (N, D) embeddings of one view, one row a sample.
        zb: (N, D) embeddings of the other view; its row i belongs to row i of `za`.
            Both are normalised here.
        alpha: the exponent.

    Returns:
        (), 0 where all pairs agree; at most 2^alpha.

    >>> float(ms.sphere.alignment(jnp.eye(2), -jnp.eye(2)))
    4.0
    """
    chex.assert_rank(za, 2)
    chex.assert_equal_shape([za, zb])
    chex.assert_type([za, zb], float)
    squares = jnp.sum(jnp.square(linalg.unit(za) - linalg.unit(zb)), axis=1)
    return jnp.mean(squares ** (alpha / 2))


def uniformity(z: chex.Array, *, t: chex.Numeric = 2.0) -> jax.Array:
    """Compute log mean e^{-t ||a - b||^2} over distinct rows (arXiv 2005.10242).

    Args:
        z: (N, D) embeddings, one row a sample, normalised here.
        t: the factor of the squared distance.

    Returns:
        (), 0 where all rows are equal; lower is more uniform.

    Raises:
        ValueError: fewer than two rows.

    >>> f'{ms.sphere.uniformity(jnp.eye(2)):.3f}'
    '-4.000'
    """
    chex.assert_rank(z, 2)
    chex.assert_type(z, float)
    z = linalg.unit(z)
    distinct = pairs.in_batch(t * (2.0 * linalg.matmul(z, z.T) - 2.0))
    return reductions.log_mean_exp(distinct.marginal, distinct.mask)


def feature_std(z: chex.Array) -> jax.Array:
    """Compute the mean over features of the standard deviation of the normalised rows.

    A sign of collapse (SimSiam, Chen and He 2021, arXiv 2011.10566).

    Args:
        z: (N, D) embeddings, one row a sample, normalised here.

    Returns:
        (), 1 / sqrt(D) for rows spread evenly over the sphere, 0 where all rows are equal.

    >>> float(ms.sphere.feature_std(jnp.ones((4, 2))))
    0.0
    """
    chex.assert_rank(z, 2)
    chex.assert_type(z, float)
    return jnp.mean(jnp.std(linalg.unit(z), axis=0))
