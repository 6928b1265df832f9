"""MoCo: InfoNCE between an encoder's embeddings and an EMA encoder's keys.

The negatives are a queue of past keys in v1 (He et al. 2020, arXiv 1911.05722) and v2 (Chen et al.
2020, arXiv 2003.04297), and the batch itself in v3 (Chen, Xie & He 2021, arXiv 2104.02057), which
has a predictor and trains both directions.
"""

import functools

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, linalg, pairs
from mi_ssl_jax.core import queue as queues
from mi_ssl_jax.core.bounds import paper
from mi_ssl_jax.methods import api, objectives

# v1 has its last layer alone. No batch norm: through its statistics a query could tell its own key.
QUEUE_PROJECTOR = {'hidden_bias': True, 'last_bias': True, 'last_norm': None, 'hidden_norm': False}
PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'plain'}
# The ResNet's; the ViT's ends in batch norm.
PREDICTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': None}


def mocov3_terms(
    q: chex.Array,
    k: chex.Array,
    *,
    temperature: float,
    objective: str = 'infonce',
    block_size: int | None = None,
) -> bounds.Terms:
    """Joint and marginal term of 2 t bound(cos(q, sg k) / t), t = temperature, one way. q, k: (N,
    D).
    """
    chex.assert_equal_shape([q, k])
    # The loss is the cross-entropy itself, without the bound's log N (Eq. 1 of MoCo-v3).
    form = (
        objectives.cross_entropy_terms
        if objective == 'infonce'
        else functools.partial(objectives.terms, objective=objective)
    )
    terms = form(q, jax.lax.stop_gradient(k), temperature=temperature, block_size=block_size)
    return jax.tree.map(lambda term: 2 * temperature * term, terms)


def mocov3_loss(q: chex.Array, k: chex.Array, *, temperature: float) -> jax.Array:
    """Compute 2 t CE(cos(q, sg k) / t, labels = diagonal), one direction (MoCo-v3, Algorithm 1).

    MoCo-v3's loss (arXiv 2104.02057) is the sum of both directions.

    Args:
        q: (N, D) predictions or embeddings of one view (queries), not normalised.
        k: (N, D) embeddings of the other view (keys), under a stop-gradient.
        temperature: t.

    Returns:
        (), to be minimised.

    >>> f'{ms.losses.mocov3(jnp.eye(2), jnp.eye(2), temperature=0.5):.3f}'
    '0.127'
    """
    return objectives.loss(mocov3_terms(q, k, temperature=temperature))


def queue_scores(
    q: chex.Array, k: chex.Array, queue: chex.Array, *, temperature: float
) -> jax.Array:
    """cos(q, sg k) / t and cos(q, queue) / t side by side, (N, 1 + K), t = temperature.

    q, k: (N, D). queue: (K, D) negatives of unit length, under a stop-gradient.
    """
    chex.assert_rank([q, k, queue], 2)
    chex.assert_equal_shape([q, k])
    q, k, queue = linalg.unit(q), *jax.lax.stop_gradient((linalg.unit(k), queue))
    positive = jnp.sum(q * k, axis=-1, keepdims=True)
    return jnp.concatenate([positive, linalg.matmul(q, queue.T)], axis=1) / temperature


def queue_terms(
    q: chex.Array, k: chex.Array, queue: chex.Array, *, temperature: float
) -> bounds.Terms:
    """Joint: mean cos(q, sg k) / t. Marginal: mean log sum of exp(cos / t) over that key and the
    queue.

    Shapes: see queue_scores.
    """
    scores = queue_scores(q, k, queue, temperature=temperature)
    return paper.cross_entropy_terms(pairs.with_negatives(scores[:, 0], scores[:, 1:]))


def queue_loss(q: chex.Array, k: chex.Array, queue: chex.Array, *, temperature: float) -> jax.Array:
    """Compute CE([cos(q, sg k), cos(q, queue)] / t, label 0), the loss of MoCo v1 and v2.

    Eq. 1 of MoCo (arXiv 1911.05722).

    Args:
        q: (N, D) predictions or embeddings of one view (queries), not normalised.
        k: (N, D) embeddings of the other view (keys), under a stop-gradient.
        queue: (K, D) negatives of unit length, under a stop-gradient; see `mi_ssl_jax.queue`.
        temperature: t.

    Returns:
        (), nats, to be minimised.

    >>> f'{ms.losses.moco(jnp.eye(2), jnp.eye(2), -jnp.eye(2), temperature=0.5):.3f}'
    '0.143'
    """
    return objectives.loss(queue_terms(q, k, queue, temperature=temperature))


def build_with_queue(
    version: int,
    parts: api.Parts,
    *,
    temperature: float,
    queue_size: int,
    momentum: float,
    momentum_schedule: api.MomentumSchedule,
    momentum_end: float,
) -> api.Method:
    """MoCo v1 (a linear projector) and v2 (an MLP): view 1 is the query, view 2 the key, not the
    reverse.

    queue_size: past keys to contrast with, a multiple of the batch size; random at first. Keys
    enter the queue after the loss. Where batch norm's statistics are of parts of the batch (each
    device's, as in the
    reference code: net.batch_norm='device'), the keys are shuffled before they are encoded.
    """
    if version == 1:
        parts = parts._replace(projector=parts.projector[-1:])
    options = {'temperature': temperature}
    encoder = parts.encoder(projector=QUEUE_PROJECTOR)
    target = api.Branch(
        encoder,
        views=(1,),
        follows='online',
        shuffled=True,
        momentum=api.momentum(momentum, momentum_schedule, momentum_end),
    )

    def loss(views, aux, info, **traced):
        q, k = views['online'].z[0], views['target'].z[0]
        # First: it checks the sizes. The logits are those of the queue before this batch.
        pushed = queues.push(aux['queue'], linalg.unit(k))
        terms = queue_terms(q, k, aux['queue'].items, **options | traced)
        return api.mi_loss(terms, {'queue': pushed})

    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='explicit',
        branches={'online': api.Branch(encoder, views=(0,)), 'target': target},
        phases=(api.Phase('e', 'online', loss),),
        tracked=api.Tracked('online', 'target'),
        stop_gradient=True,
        traced=('temperature',),
        init_aux=lambda key: {'queue': queues.init(key, queue_size, parts.embedding)},
    )


def build(
    parts: api.Parts,
    *,
    temperature: float,
    momentum: float,
    momentum_schedule: api.MomentumSchedule,
    momentum_end: float,
    predictor: bool,
    objective: str,
    block_size: int | None,
) -> api.Method:
    """predictor=False costs about 1 % (paper, section 3.2.1). objective: a bound by name.

    momentum, momentum_schedule: as in byol. The reference code moves the key encoder before it
    encodes the keys; moving it after the update with the next step's momentum is the same.
    """
    objectives.check(objective=objective)
    options = {'temperature': temperature, 'objective': objective, 'block_size': block_size}
    target = api.Branch(
        parts.encoder(projector=PROJECTOR),
        follows='online',
        momentum=api.momentum(momentum, momentum_schedule, momentum_end),
    )
    online = parts.encoder(projector=PROJECTOR, predictor=PREDICTOR if predictor else None)

    def loss(views, aux, info, **traced):
        q, k = views['online'].out, views['target'].z
        terms = functools.partial(mocov3_terms, **options | traced)
        first, second = terms(q[0], k[1]), terms(q[1], k[0])
        return api.mi_loss(jax.tree.map(lambda a, b: a + b, first, second), aux)

    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='explicit',
        branches={'online': api.Branch(online), 'target': target},
        phases=(api.Phase('e', 'online', loss),),
        tracked=api.Tracked('online', 'target'),
        stop_gradient=True,
        traced=('temperature',),
    )


VARIANTS = {
    'mocov1': functools.partial(build_with_queue, 1),
    'mocov2': functools.partial(build_with_queue, 2),
    'mocov3': build,
}
