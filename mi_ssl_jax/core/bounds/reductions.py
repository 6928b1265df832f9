"""Means and log-mean-exps over the marginal samples of a score matrix (N, K) with its mask."""

import chex
import jax
import jax.numpy as jnp


def count(mask: chex.Array, dtype: jnp.dtype) -> jax.Array:
    """Number of marginal samples, as a float (N^2 passes the range of int32 at N = 46341; rows do
    not).
    """
    return jnp.sum(jnp.sum(mask, axis=1).astype(dtype))


def masked_mean(values: chex.Array, mask: chex.Array) -> jax.Array:
    """Mean over the marginal samples; rows are divided before they are summed, so it is finite up
    to 1e30.
    """
    rows = jnp.sum(jnp.where(mask, values, 0.0), axis=1)
    return jnp.sum(rows / count(mask, rows.dtype))


def logsumexp(scores: chex.Array, mask: chex.Array, axis: int | None = None) -> jax.Array:
    """log sum e^S over the marginal samples, shifted by the maximum; -inf where the mask leaves
    none.

    The mask comes before the exponential: a masked score that would overflow must not reach the
    gradient.
    """
    scores = jnp.where(mask, scores, -jnp.inf)
    top = jax.lax.stop_gradient(jnp.max(scores, axis=axis, keepdims=True))
    shifted = scores - jnp.where(jnp.isfinite(top), top, 0.0)
    # The maximum shifts itself to 0 and the sum is at least 1, unless a compiler fuses the product
    # that made the score, unrounded, into the subtraction: an error of 1e22 at scores of 1e30, and
    # nothing below 1e6.
    shifted = shifted - jax.lax.stop_gradient(jnp.maximum(shifted, 0.0))
    sums = jnp.sum(jnp.exp(shifted), axis=axis)
    sums = jnp.where(sums < 0.5, 1.0, sums)
    return jnp.log(sums) + jnp.reshape(top, sums.shape)


def cross_entropy(joint: chex.Array, marginal: chex.Array, mask: chex.Array) -> jax.Array:
    """log(e^S + sum e^S') - S of each row (N,), S of the joint pair and S' of its marginal samples.

    Never negative, and as exact as its own size allows: the difference of a row's logarithm and its
    joint score, or of the means of both, has the rounding error of the scores instead.
    """
    return jax.nn.softplus(logsumexp(marginal - joint[:, None], mask, axis=1))


def log_mean_exp(scores: chex.Array, mask: chex.Array) -> jax.Array:
    """log mean e^S over all marginal samples pooled."""
    return logsumexp(scores, mask) - jnp.log(count(mask, scores.dtype))
