"""CorInfoMax (Ozsoy et al. 2022, arXiv 2209.07999): views agree, and the log determinants of their
running covariances are maximised.

A surrogate marginal for JMI: of the three log determinants of `mmi`, the joint one is replaced by
the mean squared difference of the views.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, gaussian_entropy, linalg
from mi_ssl_jax.methods import api, objectives

PROJECTOR = {'hidden_bias': True, 'last_bias': True, 'last_norm': None, 'hidden_norm': False}


class Moments(NamedTuple):
    """A view's running mean and covariance."""

    mean: chex.Array  # (D,)
    covariance: chex.Array  # (D, D)


def moments_init(dimension: int) -> tuple[Moments, Moments]:
    """Start the running moments of both views: mean 0, covariance I, as the source does.

    Args:
        dimension: D, of the embeddings.

    Returns:
        Moments of view 1 and of view 2, the memory of the first step.

    >>> first, second = ms.losses.corinfomax_moments(2)
    >>> first.covariance.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    one = Moments(jnp.zeros(dimension), jnp.eye(dimension))
    return one, one


def _moved(past: Moments, z: jax.Array, decay: chex.Numeric) -> Moments:
    """The moments after a batch (N, D), which is centred by the moved mean."""
    mean = decay * past.mean + (1 - decay) * jnp.mean(z, axis=0)
    centred = z - mean
    return Moments(
        mean, decay * past.covariance + (1 - decay) * linalg.matmul(centred.T, centred) / len(z)
    )


def corinfomax_terms(
    za: chex.Array,
    zb: chex.Array,
    moments: tuple[Moments, Moments],
    *,
    invariance_weight: chex.Numeric,
    decay: chex.Numeric,
    eps: float,
) -> tuple[bounds.Terms, tuple[Moments, Moments]]:
    """Joint: -invariance_weight * mean squared error. Marginal: minus the mean log eigenvalue of
    both covariances, added. Last: the moments after this batch. Arguments as of `corinfomax_loss`.
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape([za, zb])
    za, zb = linalg.unit(za), linalg.unit(zb)
    moved = _moved(moments[0], za, decay), _moved(moments[1], zb, decay)
    ridge = eps * jnp.eye(za.shape[1], dtype=za.dtype)
    volumes = [gaussian_entropy.log_det(one.covariance + ridge) for one in moved]
    terms = bounds.Terms(
        -invariance_weight * jnp.mean(jnp.square(za - zb)), -sum(volumes) / za.shape[1]
    )
    return terms, jax.lax.stop_gradient(moved)


def corinfomax_loss(
    za: chex.Array,
    zb: chex.Array,
    moments: tuple[Moments, Moments],
    *,
    invariance_weight: float,
    decay: float,
    eps: float,
) -> tuple[jax.Array, tuple[Moments, Moments]]:
    """Compute CorInfoMax's loss (Ozsoy et al. 2022, arXiv 2209.07999, Eq. 8, as its code has it).

    invariance_weight * mean (u - v)^2 - (log det(R_u + eps I) + log det(R_v + eps I)) / D, u and v
    of unit length, R the running covariances. The gradient flows through this batch's share of
    them.

    Args:
        za: (N, D) embeddings of view 1, one row a sample, not normalised.
        zb: (N, D) embeddings of view 2; its row i belongs to row i of `za`.
        moments: the memory, from `corinfomax_moments` or from the step before.
        invariance_weight: alpha, 250 on CIFAR-10 and 1000 on CIFAR-100 in the source.
        decay: weight of the past in the running moments; 0.01 in the source.
        eps: added to every eigenvalue; 1e-8 in the source.

    Returns:
        The loss (), to be minimised, and the memory for the next step.

    >>> memory = ms.losses.corinfomax_moments(2)
    >>> options = {'invariance_weight': 250.0, 'decay': 0.01, 'eps': 1e-8}
    >>> loss, memory = ms.losses.corinfomax(jnp.eye(2), -jnp.eye(2), memory, **options)
    >>> loss.shape
    ()
    """
    terms, moved = corinfomax_terms(
        za, zb, moments, invariance_weight=invariance_weight, decay=decay, eps=eps
    )
    return objectives.loss(terms), moved


def build(parts: api.Parts, *, invariance_weight: float, decay: float, eps: float) -> api.Method:
    """invariance_weight, decay, eps: see corinfomax_loss."""

    def loss(views, aux, info):
        terms, moved = corinfomax_terms(
            *views['theta'].z, aux, invariance_weight=invariance_weight, decay=decay, eps=eps
        )
        return api.mi_loss(terms, moved)

    return api.joint(
        parts.encoder(projector=PROJECTOR),
        loss,
        objective='surrogate',
        init_aux=lambda key: moments_init(parts.embedding),
        remedy='a running covariance is singular: raise method.eps or batch_size, or lower lr',
    )
