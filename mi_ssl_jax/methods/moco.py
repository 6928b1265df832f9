"""MoCo-v3 (Chen, Xie & He 2021, arXiv 2104.02057): InfoNCE between predictions and an EMA encoder's keys, no queue."""

import chex
import jax

from mi_ssl_jax.core import bounds
from mi_ssl_jax.methods import api, objectives

VARIANTS = {'mocov3': {}}

PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'plain'}
PREDICTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': None}  # the ResNet's; the ViT's ends in batch norm


def mocov3_terms(q: chex.Array, k: chex.Array, *, temperature: float, objective: str = 'infonce',
                 block_size: int | None = None) -> bounds.Terms:
    """Joint and marginal term of 2 * temperature * bound(cos(q, sg k) / temperature), one direction. q, k: (N, D)."""
    chex.assert_equal_shape([q, k])
    terms = objectives.terms(q, jax.lax.stop_gradient(k), objective=objective, temperature=temperature,
                             block_size=block_size)
    if objective == 'infonce':
        # The loss is the cross-entropy itself, without the bound's log N (Eq. 1 of MoCo-v3).
        terms = bounds.Terms(terms.joint, terms.marginal + jax.numpy.log(float(len(q))))
    return jax.tree.map(lambda term: 2 * temperature * term, terms)


def mocov3_loss(q: chex.Array, k: chex.Array, *, temperature: float) -> jax.Array:
    """2 t CE(cos(q, sg k) / t, labels = diagonal), one direction (Algorithm 1 of MoCo-v3). q, k: (N, D)."""
    terms = mocov3_terms(q, k, temperature=temperature)
    return terms.marginal - terms.joint


def build(parts: api.Parts, *, temperature: float, momentum: float, momentum_schedule: str = 'cosine',
          predictor: bool = True, objective: str = 'infonce', block_size: int | None = None) -> api.Method:
    """predictor=False costs about 1 % (paper, section 3.2.1). objective: a bound by name.

    momentum, momentum_schedule: as in byol. The reference code moves the key encoder before it encodes the keys; moving
    it after the update with the next step's momentum is the same.
    """
    objectives.check(objective=objective)
    options = dict(temperature=temperature, objective=objective, block_size=block_size)
    target = api.Branch(parts.encoder(projector=PROJECTOR), follows='online',
                        momentum=api.momentum(momentum, momentum_schedule))
    online = parts.encoder(projector=PROJECTOR, predictor=PREDICTOR if predictor else None)

    def loss(views, aux, info):
        q, k = views['online'].out, views['target'].z
        first, second = mocov3_terms(q[0], k[1], **options), mocov3_terms(q[1], k[0], **options)
        return api.mi_loss(jax.tree.map(lambda a, b: a + b, first, second), aux)

    return api.Method(
        paradigm='sdmi', update='em', objective='explicit',
        branches={'online': api.Branch(online), 'target': target},
        phases=(api.Phase('e', 'online', loss),),
        tracked=api.Tracked('online', 'target'), stop_gradient=True)
