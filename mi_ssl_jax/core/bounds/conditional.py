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
    """mean log q(y_i | x_i): what fits q."""
    return jnp.mean(log_density(y, mean, log_variance))


def barber_agakov(
    y: chex.Array, mean: chex.Array, log_variance: chex.Array, *, entropy: chex.Numeric
) -> jax.Array:
    """Lower bound E[log q(y | x)] + H(y) (Barber and Agakov 2003); entropy = H(y) in nats must be
    known.

    Tight where q is the true conditional. With a constant in its place it is a training objective,
    not an estimate.
    """
    return log_likelihood(y, mean, log_variance) + entropy


def club(y: chex.Array, mean: chex.Array, log_variance: chex.Array) -> jax.Array:
    """Upper bound mean_i log q(y_i | x_i) - mean_ij log q(y_j | x_i), j = i included (Cheng et al.
    2020).

    An upper bound only where q is close to p(y | x). The normalising terms cancel, and the N^2
    squares of the second mean follow from the first two moments of y, in O(N D).
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
