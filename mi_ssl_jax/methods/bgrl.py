"""BGRL (Thakoor et al. 2022, arXiv 2102.06514): BYOL on the nodes of a graph, and Table 7's label for it.

The paper's Table 7 lists it as Joint and JMI. Its structure is BYOL's: an EMA target, a predictor, a stop-gradient and
one phase 'e'. `main --list` shows both.
"""

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from mi_ssl_jax.core import bounds, linalg
from mi_ssl_jax.methods import api

PROJECTOR = {'hidden_bias': False, 'last_bias': True, 'last_norm': None}  # BGRL has none
PREDICTOR = {'hidden_bias': True, 'last_bias': True, 'last_norm': None, 'hidden_norm': False,
             'activation': nn.PReLU(negative_slope_init=0.25)}


def bgrl_loss(p: chex.Array, z: chex.Array) -> jax.Array:
    """mean of 1 - cos(p, sg z), one direction: half of BYOL's (Eq. 5 of BGRL up to a constant). p, z: (nodes, D)."""
    chex.assert_equal_shape([p, z])
    chex.assert_rank(p, 2)
    return jnp.mean(1 - jnp.sum(linalg.unit(p) * linalg.unit(jax.lax.stop_gradient(z)), axis=-1))


def build(parts: api.Parts, *, momentum: float, momentum_schedule: str = 'cosine') -> api.Method:
    """momentum: EMA coefficient at the start (0.99 in the source). momentum_schedule: 'cosine' (to 1) or 'constant'.

    The loss is the sum of both directions. The target starts from its own random weights, as in the reference code.
    """
    target = api.Branch(parts.encoder(projector=PROJECTOR), follows='online', independent=True,
                        momentum=api.momentum(momentum, momentum_schedule))

    def loss(views, aux, info):
        p, z = views['online'].p, views['target'].z
        value = bgrl_loss(p[0], z[1]) + bgrl_loss(p[1], z[0])
        return api.mi_loss(bounds.Terms(-value, None), aux)

    return api.Method(
        paradigm='jmi', update='joint', objective='surrogate',
        branches={'online': api.Branch(parts.encoder(projector=PROJECTOR, predictor=PREDICTOR)), 'target': target},
        phases=(api.Phase('e', 'online', loss),),
        tracked=api.Tracked('online', 'target'), stop_gradient=True)
