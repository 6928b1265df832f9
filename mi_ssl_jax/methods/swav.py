"""SwAV (Caron et al. 2020, arXiv 2006.09882): a view predicts the others' balanced codes over
prototypes.

There is no marginal term: its place is taken by codes that use all prototypes alike.
"""

import functools

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import assignment, bounds, linalg, queue
from mi_ssl_jax.methods import api

# The reference code's hidden layer has a bias, which batch norm subtracts again.
PROJECTOR = {'hidden_bias': False, 'last_bias': True, 'last_norm': None}
ASSIGNED = 2  # the first views have codes


def swav_loss(scores: chex.Array, codes: chex.Array, *, temperature: chex.Numeric) -> jax.Array:
    """Compute the mean cross-entropy of codes and softmax(scores / t).

    Over all pairs of a view with codes and another view (SwAV, arXiv 2006.09882, Eqs. 1 and 2).

    Args:
        scores: (V, N, K) of all V views against the prototypes.
        codes: (Q, N, K) of the first Q views, each row summing to 1, under a stop-gradient; see
            `mi_ssl_jax.assignment.sinkhorn`.
        temperature: t.

    Returns:
        (), nats, to be minimised.

    Raises:
        ValueError: one view.

    >>> scores = jnp.stack([jnp.eye(2)] * 2)
    >>> f'{ms.losses.swav(scores, scores, temperature=0.5):.3f}'
    '0.127'
    """
    return assignment.swapped_cross_entropy(
        jax.lax.stop_gradient(codes), linalg.promote(scores) / temperature
    )


def codes_of(
    scores: chex.Array,
    prototypes: chex.Array,
    past: queue.Queue | None,
    *,
    epsilon: float,
    iterations: int,
) -> jax.Array:
    """Codes (N, K) of one view's scores (N, K), balanced together with the queue's scores once it
    is full.
    """
    codes = functools.partial(assignment.sinkhorn, epsilon=epsilon, iterations=iterations)
    scores, prototypes = jax.lax.stop_gradient((scores, prototypes))
    if past is None:
        return codes(scores)

    def together():
        older = linalg.matmul(past.items, prototypes.T)
        return codes(jnp.concatenate([older, scores]))[len(older) :]

    return jax.lax.cond(queue.full(past), together, lambda: codes(scores))


def pushed(past: queue.Queue, z: chex.Array, started: chex.Array) -> queue.Queue:
    """The queue with this batch's embeddings (N, D), of unit length, or as it was before it
    starts.
    """
    return jax.tree.map(
        lambda new, old: jnp.where(started, new, old), queue.push(past, linalg.unit(z)), past
    )


def build(
    parts: api.Parts,
    *,
    prototypes: int,
    queue_size: int,
    queue_epoch: int,
    temperature: float,
    epsilon: float,
    iterations: int,
    frozen_epochs: int,
) -> api.Method:
    """prototypes: 3000 in the source. queue_size: past embeddings of each of the first two views,
    balanced with the batch (0: none; 3840 for small batches in the source), a multiple of the batch
    size. queue_epoch: in which the queue begins to fill (15 in the source); it is used when full.
    epsilon, iterations: see core.assignment.sinkhorn.

    The first two views have codes; all views, of any sizes, predict them. The prototypes stand
    still in the first `frozen_epochs` (313 steps in the source: an epoch at its batch size).
    """
    if queue_size < 0:
        raise ValueError(f'queue_size={queue_size}: a number of embeddings, or 0 for no queue')
    net = parts.encoder(projector=PROJECTOR, prototypes={'size': prototypes, 'normalise': False})

    def loss(views, aux, info, **traced):
        seen = views['theta']
        scores, memory = jnp.stack(seen.p), aux.get('queue', (None,) * ASSIGNED)
        codes = [
            codes_of(own, seen.shared['prototypes'], past, epsilon=epsilon, iterations=iterations)
            for own, past in zip(scores[:ASSIGNED], memory)
        ]
        value = swav_loss(scores, jnp.stack(codes), **{'temperature': temperature} | traced)
        after = {
            name: tuple(
                pushed(past, z, info.epoch >= queue_epoch) for past, z in zip(memory, seen.z)
            )
            for name in aux
        }
        return api.mi_loss(bounds.Terms(-value, None), after)

    def init_aux(key):
        if not queue_size:
            return {}
        keys = jax.random.split(key, ASSIGNED)
        return {'queue': tuple(queue.init(own, queue_size, parts.embedding) for own in keys)}

    groups = (api.Group('prototypes', frozen_epochs=frozen_epochs, unit_rows=True),)
    return api.joint(
        net,
        loss,
        objective='surrogate',
        groups=groups,
        stop_gradient=True,
        traced=('temperature',),
        init_aux=init_aux,
    )
