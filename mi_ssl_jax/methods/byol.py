"""BYOL (Grill et al. 2020, arXiv 2006.07733): a predictor learns to hit the EMA target's embedding
(Eq. 9).
"""

from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, linalg
from mi_ssl_jax.methods import api

PROJECTOR = PREDICTOR = {'hidden_bias': True, 'last_bias': False, 'last_norm': None}


def byol_loss(p: chex.Array, z: chex.Array) -> jax.Array:
    """Compute mean ||p / |p| - sg(z / |z|)||^2, one direction (BYOL, arXiv 2006.07733, Eq. 2).

    Equal to the mean of 2 - 2 cos. BYOL's loss is the sum of both directions.

    Args:
        p: (N, D) predictions of one view, one row a sample, not normalised.
        z: (N, D) embeddings of the other view, under a stop-gradient.

    Returns:
        (), in [0, 4], to be minimised.

    >>> float(ms.losses.byol(jnp.eye(2), -jnp.eye(2)))
    4.0
    """
    chex.assert_equal_shape([p, z])
    chex.assert_rank(p, 2)
    return jnp.mean(
        2 - 2 * jnp.sum(linalg.unit(p) * linalg.unit(jax.lax.stop_gradient(z)), axis=-1)
    )


def build(
    parts: api.Parts,
    *,
    momentum: float,
    momentum_schedule: api.MomentumSchedule,
    momentum_end: float,
) -> api.Method:
    """momentum: EMA coefficient at the start. momentum_schedule: 'cosine' (to
    momentum_end, 1 in the source) or 'constant' (the paper's Table 3).

    The loss is the sum of both directions, as in BYOL's Eq. 2.
    """
    return bootstrapped(
        parts,
        byol_loss,
        projector=PROJECTOR,
        predictor=PREDICTOR,
        momentum=api.momentum(momentum, momentum_schedule, momentum_end),
    )


def bootstrapped(
    parts: api.Parts,
    direction: Callable[[chex.Array, chex.Array], jax.Array],
    *,
    projector: Mapping[str, Any],
    predictor: Mapping[str, Any],
    momentum: api.Schedule,
) -> api.Method:
    """BYOL's structure with another loss of one direction or other heads (BGRL's).

    The target starts from its own random weights, as in the reference code.
    """
    target = api.Branch(
        parts.encoder(projector=projector), follows='online', independent=True, momentum=momentum
    )

    def loss(views, aux, info):
        p, z = views['online'].p, views['target'].z
        value = direction(p[0], z[1]) + direction(p[1], z[0])
        return api.mi_loss(bounds.Terms(-value, None), aux)

    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='surrogate',
        branches={
            'online': api.Branch(parts.encoder(projector=projector, predictor=predictor)),
            'target': target,
        },
        phases=(api.Phase('e', 'online', loss),),
        tracked=api.Tracked('online', 'target'),
        stop_gradient=True,
    )
