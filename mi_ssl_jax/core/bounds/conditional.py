"""Bounds with a tractable conditional q(y | x), a diagonal Gaussian of mean (N, D) and log variance
(N, D).

q is fitted by maximising `log_likelihood` on its own step; the bounds say nothing about a q that
was not fitted.
"""

import math

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg


def log_density(y: chex.Array, mean: chex.Array, log_variance: chex.Array) -> jax.Array:
    """log q(y_i | x_i) (N,), nats."""
    y, mean, log_variance = _promote(y, mean, log_variance)
    squares = jnp.square(y - mean) * jnp.exp(-log_variance)
    return -0.5 * jnp.sum(squares + log_variance + math.log(2.0 * math.pi), axis=1)


def log_likelihood(y: chex.Array, mean: chex.Array, log_variance: chex.Array) -> jax.Array:
    """Compute mean log q(y_i | x_i), which is maximised to fit q.

    Args:
        y: (N, D) samples.
        mean: (N, D) of q given each x.
        log_variance: (N, D) of q given each x.

    Returns:
        (), nats.

    >>> f'{ms.bounds.log_likelihood(*jnp.zeros((3, 2, 1))):.3f}'
    '-0.919'
    """
    return jnp.mean(log_density(y, mean, log_variance))


def barber_agakov(
    y: chex.Array, mean: chex.Array, log_variance: chex.Array, *, entropy: chex.Numeric
) -> jax.Array:
    """Bound mutual information from below by E[log q(y | x)] + H(y) (Barber and Agakov 2003).

    Tight where q is the true conditional. With a constant in place of H(y) it is a training
    objective, not an estimate.

    Args:
        y: (N, D) samples.
        mean: (N, D) of q given each x.
        log_variance: (N, D) of q given each x.
        entropy: () H(y) in nats, which must be known.

    Returns:
        (), nats.
    """
    return log_likelihood(y, mean, log_variance) + entropy


def club(y: chex.Array, mean: chex.Array, log_variance: chex.Array) -> jax.Array:
    """Bound mutual information from above by CLUB (Cheng et al. 2020, arXiv 2006.12013).

    mean_i log q(y_i | x_i) - mean_ij log q(y_j | x_i), j = i included. An upper bound only where q
    is close to p(y | x). The normalising terms cancel, and the N^2 squares of the second mean
    follow from the first two moments of y, in O(N D).

    Args:
        y: (N, D) samples.
        mean: (N, D) of q given each x.
        log_variance: (N, D) of q given each x.

    Returns:
        (), nats.

    >>> y = jnp.array([[-1.0], [1.0]])
    >>> float(ms.bounds.club(y, y, jnp.zeros((2, 1))))
    1.0
    """
    y, mean, log_variance = _promote(y, mean, log_variance)
    centre = jnp.mean(y, axis=0)
    spread = jnp.mean(jnp.square(y - centre), axis=0)
    difference = jnp.square(y - mean) - jnp.square(centre - mean) - spread
    return -0.5 * jnp.mean(jnp.sum(difference * jnp.exp(-log_variance), axis=1))


def _promote(*arrays: chex.Array) -> tuple[jax.Array, ...]:
    chex.assert_rank(arrays, 2)
    chex.assert_equal_shape(arrays)
    chex.assert_type(arrays, float)
    return tuple(linalg.promote(array) for array in arrays)
