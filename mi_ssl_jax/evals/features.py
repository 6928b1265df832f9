"""Frozen features of a whole data set, batch by batch."""

from collections.abc import Callable

import jax
import numpy as np

from mi_ssl_jax.core.types import Batch, Tree


def encode(apply: Callable[[Batch], jax.Array], x: Tree, *, batch_size: int) -> np.ndarray:
    """apply(batch) for every example of x (n, ...), which may be a tree of such arrays: features
    (n, ...) on the host, in order; (n * nodes, ...) of an `apply` that gives so many rows for an
    example.

    The batches are dispatched from the host, since inside a scan XLA's CPU backend runs
    convolutions many times slower. The last batch is filled up with copies of its last example, so
    a compiled `apply` is compiled once; it must treat every example on its own (batch norm by
    running statistics).

    Raises:
        ValueError: no examples, or a batch size below 1.
    """
    count = len(jax.tree.leaves(x)[0])
    if count == 0:
        raise ValueError('there are no examples to encode')
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}')
    size = min(batch_size, count)
    done, waiting = [], None
    for start in range(0, count, size):
        # One batch is in flight while the one before it is read back.
        waiting, previous = apply(_batch(x, start, size, count)), waiting
        if previous is not None:
            done.append(np.asarray(previous))
    found = np.concatenate([*done, np.asarray(waiting)])
    rows = len(found) // (size * -(-count // size))  # of one example
    return found[: rows * count]


def varying(z: np.ndarray) -> np.ndarray:
    """The columns of z (N, D) that are not constant: the others carry no information."""
    return z[:, np.ptp(z, axis=0) > 0]


def _batch(x: Tree, start: int, size: int, count: int) -> Batch:
    chosen = np.minimum(np.arange(start, start + size), count - 1)
    return jax.tree.map(lambda leaf: leaf[chosen], x)
