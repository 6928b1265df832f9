"""SimSiam (Chen & He 2021, arXiv 2011.10566): predictor and stop-gradient; the target is the
encoder itself (Eq. 8).
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, linalg
from mi_ssl_jax.methods import api, objectives, sdmi

PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'plain'}
PREDICTOR = {'hidden_bias': False, 'last_bias': True, 'last_norm': None}


def negative_cosine(p: chex.Array, z: chex.Array) -> jax.Array:
    """Compute -mean cos(p, sg z), one direction (SimSiam, arXiv 2011.10566, Eq. 1; paper, Eq. 7).

    SimSiam's loss is the mean of both directions.

    Args:
        p: (N, D) predictions of one view, one row a sample, not normalised.
        z: (N, D) embeddings of the other view, under a stop-gradient.

    Returns:
        (), in [-1, 1], to be minimised.

    >>> float(ms.losses.simsiam(jnp.eye(2), jnp.eye(2)))
    -1.0
    """
    chex.assert_equal_shape([p, z])
    chex.assert_rank(p, 2)
    return -jnp.mean(jnp.sum(linalg.unit(p) * linalg.unit(jax.lax.stop_gradient(z)), axis=-1))


def build(
    parts: api.Parts,
    *,
    predictor: bool,
    objective: str,
    temperature: float,
    block_size: int | None,
) -> api.Method:
    """predictor=False collapses; with objective='dv' it does not: SimSiam-SDMI (paper, Figure 4b).

    objective: 'cosine', or a bound by name with its `temperature`. The predictor's learning rate is
    not decayed (reference code: fix_pred_lr).
    """
    objectives.check(objective=objective, own=('cosine',))
    options = {
        'objective': objective,
        'marginal': 'bound',
        'marginal_weight': 1.0,
        'temperature': temperature,
        'block_size': block_size,
    }

    def loss(views, aux, info, **traced):
        out, z = views['online'].out, views['online'].z
        if objective == 'cosine':
            value = 0.5 * (negative_cosine(out[0], z[1]) + negative_cosine(out[1], z[0]))
            return api.mi_loss(bounds.Terms(-value, None), aux)
        return api.mi_loss(sdmi.sdmi_terms(out, z, **options | traced), aux)

    groups = (api.Group('predictor', constant_lr=True),) if predictor else ()
    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='surrogate' if objective == 'cosine' else 'explicit',
        branches={
            'online': api.Branch(
                parts.encoder(projector=PROJECTOR, predictor=PREDICTOR if predictor else None)
            )
        },
        phases=(api.Phase('e', 'online', loss, groups),),
        tracked=api.Tracked('online', 'online', lag=True),
        stop_gradient=True,
        traced=('temperature',),
    )
