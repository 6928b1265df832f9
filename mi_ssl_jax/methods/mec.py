"""MEC (Liu et al. 2022, arXiv 2210.11464) maximises the coding length of the embeddings, a log
determinant.

log det(I + C) of the scaled similarities C between views is expanded in a Taylor series. Its first
term draws the views together (SimSiam's loss), the others keep the embeddings apart.
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, linalg
from mi_ssl_jax.methods import api

PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'plain'}
PREDICTOR = {'hidden_bias': False, 'last_bias': True, 'last_norm': None}


def check_order(order: int) -> None:
    """ValueError unless the order of a Taylor series is at least 1."""
    if order < 1:
        raise ValueError(f'order={order}: the Taylor order must be at least 1')


def similarity_powers(za: chex.Array, zb: chex.Array, order: int) -> list[jax.Array]:
    """tr(C^k), k = 1 ... order, of C = cosines (N, N) of za, zb (N, D), from C or a smaller D x D
    matrix.
    """
    za, zb = linalg.unit(za), linalg.unit(zb)
    # tr((A B^T)^k) = tr((B^T A)^k).
    first = linalg.matmul(za, zb.T) if len(za) <= za.shape[1] else linalg.matmul(zb.T, za)
    powers = [first]
    while len(powers) < (order + 1) // 2:
        powers.append(linalg.matmul(powers[-1], first))
    # tr(C^{i + j}) = <C^i, (C^j)^T>: half the products. C is not symmetric.
    return [jnp.trace(first)] + [
        jnp.sum(powers[(k + 1) // 2 - 1] * powers[k // 2 - 1].T) for k in range(2, order + 1)
    ]


def mec_terms(za: chex.Array, zb: chex.Array, *, scale: chex.Numeric, order: int) -> bounds.Terms:
    """Joint: the first order, mean cos(za, zb). Marginal: minus the orders 2 to `order`. za, zb:
    (N, D).

    Raises:
        ValueError: order < 1.
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape([za, zb])
    check_order(order)
    traces = similarity_powers(za, zb, order)
    n = len(za)
    rest = sum(
        (-1) ** k * trace / (k * scale ** (k - 1)) for k, trace in enumerate(traces[1:], start=2)
    )
    return bounds.Terms(traces[0] / n, jnp.asarray(rest, traces[0].dtype) / n)


def mec_loss(za: chex.Array, zb: chex.Array, *, scale: chex.Numeric, order: int) -> jax.Array:
    """Compute minus MEC's expanded coding length, one direction (arXiv 2210.11464, Eq. 2).

    -scale / N sum_{k=1}^{order} (-1)^{k+1} tr(C^k) / k, C = cosines / scale: the series approaches
    log det(I + C) where no eigenvalue of C is larger than 1. The factor keeps the gradient's size
    during the warm-up. MEC's loss is the mean of both directions.

    Args:
        za: (N, D) predictions of one view, one row a sample, not normalised.
        zb: (N, D) embeddings of the other view; nothing is under a stop-gradient here.
        scale: 1 / lambda, N * distortion / D at the end of the warm-up.
        order: terms of the series; 4 in the source.

    Returns:
        (), to be minimised.

    Raises:
        ValueError: order < 1.

    >>> f'{ms.losses.mec(jnp.eye(2), jnp.eye(2), scale=1.0, order=2):.3f}'
    '-0.500'
    """
    terms = mec_terms(za, zb, scale=scale, order=order)
    return terms.marginal - terms.joint


def warmup(epoch: chex.Numeric, *, warmup_epochs: float) -> jax.Array:
    """Factor of the scale, from 8 linearly to 1 over the warm-up (reference code), for the series
    to converge.
    """
    return 1.0 + 7.0 * jnp.clip((warmup_epochs - epoch) / max(warmup_epochs, 1e-6), 0.0, 1.0)


def build(
    parts: api.Parts,
    *,
    momentum: float,
    momentum_schedule: api.MomentumSchedule,
    momentum_end: float,
    distortion: float,
    order: int,
    warmup_epochs: float,
) -> api.Method:
    """distortion: the squared distortion eps^2, lambda = D / (N eps^2). warmup_epochs: of the
    scale.

    The values are the reference code's, whose momentum starts at 0.996. The loss is the mean of
    both ways.
    """
    check_order(order)
    target = api.Branch(
        parts.encoder(projector=PROJECTOR),
        follows='online',
        momentum=api.momentum(momentum, momentum_schedule, momentum_end),
    )
    online = parts.encoder(projector=PROJECTOR, predictor=PREDICTOR)

    def loss(views, aux, info):
        p, z = views['online'].p, views['target'].z
        scale = (
            warmup(info.epoch, warmup_epochs=warmup_epochs) * len(p[0]) * distortion / p[0].shape[1]
        )
        first, second = (mec_terms(p[i], z[1 - i], scale=scale, order=order) for i in (0, 1))
        return api.mi_loss(jax.tree.map(lambda a, b: 0.5 * (a + b), first, second), aux)

    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='surrogate',
        branches={'online': api.Branch(online), 'target': target},
        phases=(api.Phase('e', 'online', loss),),
        tracked=api.Tracked('online', 'target'),
        stop_gradient=True,
    )
