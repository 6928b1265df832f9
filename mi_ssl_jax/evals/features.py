"""Frozen features of a whole data set, batch by batch."""

from typing import Callable

import jax
import numpy as np

Array = np.ndarray | jax.Array


def encode(apply: Callable[[Array], jax.Array], x: Array, *, batch_size: int) -> np.ndarray:
    """apply(batch) for every example of x (n, ...): features (n, ...) on the host, in order.

    The batches are dispatched from the host, since inside a scan XLA's CPU backend runs convolutions many
    times slower. The last batch is filled up with copies of its last example, so a compiled `apply` is
    compiled once; it must treat every example on its own (batch norm by running statistics).

    Raises:
        ValueError: no examples, or a batch size below 1.
    """
    if len(x) == 0:
        raise ValueError('there are no examples to encode')
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}')
    size = min(batch_size, len(x))
    done, waiting = [], None
    for start in range(0, len(x), size):
        # One batch is in flight while the one before it is read back.
        waiting, previous = apply(_batch(x, start, size)), waiting
        if previous is not None:
            done.append(np.asarray(previous))
    return np.concatenate([*done, np.asarray(waiting)])[:len(x)]


def _batch(x: Array, start: int, size: int) -> Array:
    return x[np.minimum(np.arange(start, start + size), len(x) - 1)]
