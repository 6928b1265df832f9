"""TiCo (Zhu et al. 2022, arXiv 2206.10698): views agree, and embeddings avoid the directions used
so far.
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, linalg
from mi_ssl_jax.methods import api, objectives

PROJECTOR = {'hidden_bias': False, 'last_bias': True, 'last_norm': None}


def tico_terms(
    za: chex.Array, zb: chex.Array, second_moment: chex.Array, *, decay: float, weight: float
) -> tuple[bounds.Terms, jax.Array]:
    """Joint: mean cos(za, zb) - 1. Marginal: weight * mean z^T C z of z = za / |za|. Last: C, for
    the next call.

    za, zb: (N, D). second_moment: (D, D), the average so far; C is decay * it + (1 - decay) z^T z /
    N, which is constant for the gradient.
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape([za, zb])
    za, zb = linalg.unit(za), linalg.unit(zb)
    moved = jax.lax.stop_gradient(
        decay * second_moment + (1 - decay) * linalg.cross_correlation(za, za)
    )
    penalty = jnp.mean(jnp.sum(linalg.matmul(za, moved) * za, axis=-1))
    return bounds.Terms(jnp.mean(jnp.sum(za * zb, axis=-1)) - 1, weight * penalty), moved


def tico_loss(
    za: chex.Array, zb: chex.Array, second_moment: chex.Array, *, decay: float, weight: float
) -> tuple[jax.Array, jax.Array]:
    """Compute TiCo's loss, one direction (Zhu et al. 2022, arXiv 2206.10698, Algorithm 1).

    1 - mean cos(za, zb) + weight * mean u^T C u, u = za of unit length, with the moving average C
    of u^T u / N, which includes this batch and is a constant for the gradient.

    Args:
        za: (N, D) embeddings of one view, one row a sample, not normalised.
        zb: (N, D) embeddings of the other view; nothing is under a stop-gradient here.
        second_moment: (D, D) C before this batch, 0 at the start.
        decay: of the moving average; 0.9 in the source.
        weight: of the second term; 8 in the source.

    Returns:
        The loss (), to be minimised, and C after this batch.

    >>> loss, moment = ms.losses.tico(
    ...     jnp.eye(2), jnp.eye(2), jnp.zeros((2, 2)), decay=0.9, weight=8.0
    ... )
    >>> f'{loss:.3f}'
    '0.400'
    """
    terms, moved = tico_terms(za, zb, second_moment, decay=decay, weight=weight)
    return objectives.loss(terms), moved


def build(
    parts: api.Parts,
    *,
    momentum: float,
    momentum_schedule: api.MomentumSchedule,
    momentum_end: float,
    decay: float,
    weight: float,
) -> api.Method:
    """decay: of the average second moment. weight: of the covariance term. The second view's
    embedding is an EMA encoder's; the loss is the mean of both ways, the second of which sees the
    average that the first has moved.
    """
    target = api.Branch(
        parts.encoder(projector=PROJECTOR),
        follows='online',
        momentum=api.momentum(momentum, momentum_schedule, momentum_end),
    )

    def loss(views, aux, info):
        z, keys = views['online'].z, views['target'].z
        first, aux = tico_terms(z[0], keys[1], aux, decay=decay, weight=weight)
        second, aux = tico_terms(z[1], keys[0], aux, decay=decay, weight=weight)
        return api.mi_loss(jax.tree.map(lambda a, b: 0.5 * (a + b), first, second), aux)

    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='surrogate',
        branches={'online': api.Branch(parts.encoder(projector=PROJECTOR)), 'target': target},
        phases=(api.Phase('e', 'online', loss),),
        tracked=api.Tracked('online', 'target'),
        stop_gradient=True,
        init_aux=lambda key: jnp.zeros((parts.embedding, parts.embedding)),
    )
