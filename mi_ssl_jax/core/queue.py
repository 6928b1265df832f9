"""First-in first-out memory of embeddings (MoCo's negatives, SwAV's past batch)."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg


class Queue(NamedTuple):
    """A ring of the last K embeddings."""

    items: chex.Array  # (K, D)
    position: chex.Array  # () int32: the row that the next batch overwrites first
    pushed: chex.Array  # () int32: embeddings pushed so far, at most K


def init(key: chex.PRNGKey, size: int, dimension: int) -> Queue:
    """K = size random unit rows: MoCo starts with random negatives."""
    if size < 1:
        raise ValueError(f'a queue needs at least one row, got {size}')
    items = linalg.unit(jax.random.normal(key, (size, dimension)))
    return Queue(items, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def push(queue: Queue, batch: chex.Array) -> Queue:
    """Overwrites the oldest rows by a batch (B, D); no gradient flows into the queue.

    Raises:
        ValueError: the size of the queue is not a multiple of B (a batch would wrap around).
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
    """() bool: every row has been pushed (SwAV uses its queue from then on)."""
    return queue.pushed >= len(queue.items)
