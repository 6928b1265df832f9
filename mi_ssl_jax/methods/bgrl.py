"""BGRL (Thakoor et al. 2022, arXiv 2102.06514): BYOL on the nodes of a graph, and Table 7's label
for it.

The paper's Table 7 lists it as Joint and JMI. Its structure is BYOL's: an EMA target, a predictor,
a stop-gradient and one phase 'e'. `main --list` shows both.
"""

import chex
import jax
from flax import linen as nn

from mi_ssl_jax.methods import api, byol

PROJECTOR = {'hidden_bias': False, 'last_bias': True, 'last_norm': None}  # BGRL has none
PREDICTOR = {
    'hidden_bias': True,
    'last_bias': True,
    'last_norm': None,
    'hidden_norm': False,
    'activation': nn.PReLU(negative_slope_init=0.25),
}


def bgrl_loss(p: chex.Array, z: chex.Array) -> jax.Array:
    """Compute mean 1 - cos(p, sg z), one direction (BGRL, arXiv 2102.06514).

    Half of BYOL's loss; Eq. 5 of BGRL up to a constant.

    Args:
        p: (N, D) predictions of one view, one row a node, not normalised.
        z: (N, D) embeddings of the other view, under a stop-gradient.

    Returns:
        (), in [0, 2], to be minimised.

    >>> float(ms.losses.bgrl(jnp.eye(2), -jnp.eye(2)))
    2.0
    """
    return byol.byol_loss(p, z) / 2


def build(
    parts: api.Parts,
    *,
    momentum: float,
    momentum_schedule: api.MomentumSchedule,
    momentum_end: float,
) -> api.Method:
    """momentum: EMA coefficient at the start (0.99 in the source). momentum_schedule: 'cosine' (to
    momentum_end, 1 in the source) or 'constant'.

    The loss is the sum of both directions.
    """
    method = byol.bootstrapped(
        parts,
        bgrl_loss,
        projector=PROJECTOR,
        predictor=PREDICTOR,
        momentum=api.momentum(momentum, momentum_schedule, momentum_end),
    )
    return method._replace(paradigm='jmi', update='joint')
