"""First-in first-out memory of embeddings (MoCo's negatives, SwAV's past batch)."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg
from mi_ssl_jax.core.types import Key

__all__ = ['Queue', 'full', 'init', 'push']


class Queue(NamedTuple):
    """A ring of the last K embeddings."""

    items: chex.Array  # (K, D)
    position: chex.Array  # () int32: the row that the next batch overwrites first
    pushed: chex.Array  # () int32: embeddings pushed so far, at most K


def init(key: Key, size: int, dimension: int) -> Queue:
    """Start a queue of random unit rows (MoCo starts with random negatives).

    Args:
        key: random key.
        size: K, rows of the queue.
        dimension: D, of the embeddings.

    Returns:
        A Queue of items (K, D).

    Raises:
        ValueError: size < 1.

    >>> ms.queue.init(jax.random.PRNGKey(0), size=4, dimension=2).items.shape
    (4, 2)
    """
    if size < 1:
        raise ValueError(f'a queue needs at least one row, got {size}')
    items = linalg.unit(jax.random.normal(key, (size, dimension)))
    return Queue(items, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def push(queue: Queue, batch: chex.Array) -> Queue:
    """Overwrite the oldest rows by a batch; no gradient flows into the queue.

    Args:
        queue: of items (K, D).
        batch: (B, D) embeddings.

    Returns:
        The Queue after the batch.

    Raises:
        ValueError: K is not a multiple of B (a batch would wrap around).
    """
    chex.assert_rank([queue.items, batch], 2)
    chex.assert_equal_shape_suffix([queue.items, batch], 1)
    size, n = len(queue.items), len(batch)
    if size % n:
        raise ValueError(
            f'the queue size {size} is not a multiple of the batch size {n}: change one of them'
        )
    batch = jax.lax.stop_gradient(batch).astype(queue.items.dtype)
    items = jax.lax.dynamic_update_slice_in_dim(queue.items, batch, queue.position, axis=0)
    return Queue(items, (queue.position + n) % size, jnp.minimum(queue.pushed + n, size))


def full(queue: Queue) -> jax.Array:
    """Test whether every row has been pushed (SwAV uses its queue from then on).

    Args:
        queue: of any size.

    Returns:
        () bool.

    >>> bool(ms.queue.full(ms.queue.init(jax.random.PRNGKey(0), size=4, dimension=2)))
    False
    """
    return queue.pushed >= len(queue.items)
