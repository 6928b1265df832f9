"""W-MSE (Ermolov et al. 2021, arXiv 2007.06346): both views are whitened, then drawn together.

Whitening takes the marginal term's place: embeddings of covariance I cannot collapse.
"""

import functools

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, linalg
from mi_ssl_jax.methods import api

# The reference code's linear layers have biases, which batch norm and whitening subtract again.
PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': None}


def check_slice(slice_size: int, dimension: int) -> None:
    """ValueError unless a slice has more samples than the embedding has dimensions."""
    if slice_size <= dimension:
        raise ValueError(
            f'slice_size={slice_size} embeddings of dimension {dimension} have a singular'
            f' covariance: set method.slice_size to {2 * dimension} or more, or make the embeddings'
            ' smaller'
        )


def pair_loss(za: chex.Array, zb: chex.Array) -> jax.Array:
    """mean of 2 - 2 cos over all but the last axis; the gradient flows into both arguments."""
    return jnp.mean(2 - 2 * jnp.sum(linalg.unit(za) * linalg.unit(zb), axis=-1))


def wmse_loss(
    za: chex.Array, zb: chex.Array, permutations: chex.Array, *, slice_size: int, eps: float
) -> jax.Array:
    """Compute mean 2 - 2 cos of the whitened views (W-MSE, Ermolov et al. 2021, arXiv 2007.06346).

    The gradient flows through both whitenings.

    Args:
        za: (N, D) embeddings of view 1, one row a sample, not normalised.
        zb: (N, D) embeddings of view 2; its row i belongs to row i of `za`.
        permutations: (R, N) int. Each cuts the batch, in its order, into slices that are whitened
            apart, both views alike; the loss is the mean over all R.
        slice_size: embeddings whitened together.
        eps: share of the identity in the covariance, see `mi_ssl_jax.linalg.whiten`.

    Returns:
        (), in [0, 4], to be minimised; NaN where a slice's covariance is nearly singular.

    Raises:
        ValueError: slice_size <= D, or N not a multiple of slice_size.

    >>> z = jax.random.normal(jax.random.PRNGKey(0), (8, 2))
    >>> f'{ms.losses.wmse(z, z, jnp.arange(8)[None], slice_size=8, eps=0.0):.3f}'
    '0.000'
    """
    chex.assert_rank([za, zb, permutations], 2)
    chex.assert_equal_shape([za, zb])
    n, d = za.shape
    check_slice(slice_size, d)
    if n % slice_size:
        raise ValueError(
            f'a batch of {n} cannot be cut into slices of {slice_size}: '
            'make batch_size a multiple of method.slice_size'
        )
    whiten = jax.vmap(functools.partial(linalg.whiten, eps=eps))
    return pair_loss(*(whiten(z[permutations].reshape(-1, slice_size, d)) for z in (za, zb)))


def build(parts: api.Parts, *, slice_size: int, iterations: int, eps: float) -> api.Method:
    """slice_size: embeddings whitened together, at least twice their dimension (source: 128 of 64
    on CIFAR).

    iterations: random partitions of a batch (1 on CIFAR). eps: share of the identity in the
    covariance (0 in the reference code); larger where the Cholesky factor fails, which shows as a
    loss that is not finite.
    """
    check_slice(slice_size, parts.embedding)
    if iterations < 1:
        raise ValueError(
            f'iterations={iterations}: W-MSE needs at least one partition of the batch'
        )

    def loss(views, aux, info):
        za, zb = views['theta'].z
        keys = jax.random.split(info.key, iterations)
        permutations = jax.vmap(lambda key: jax.random.permutation(key, len(za)))(keys)
        value = wmse_loss(za, zb, permutations, slice_size=slice_size, eps=eps)
        return api.mi_loss(bounds.Terms(-value, None), aux)

    return api.joint(
        parts.encoder(projector=PROJECTOR),
        loss,
        objective='surrogate',
        remedy=(
            'the Cholesky factor of a slice has failed, its covariance is nearly singular: '
            'raise method.eps or method.slice_size, or lower lr'
        ),
    )
