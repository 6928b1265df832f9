"""Weighted k nearest neighbours on frozen features (Wu et al. 2018; DINO's protocol, Caron et al.
2021).
"""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax.core import linalg

Array = np.ndarray | jax.Array

BLOCK_SIZE = 256  # test examples at a time: their similarities to all training examples are held


class Knn(NamedTuple):
    """Accuracies on the test set in percent, and how they came about."""

    top1: float
    top5: float
    protocol: str


def evaluate(
    train: Array,
    train_y: Array,
    test: Array,
    test_y: Array,
    *,
    classes: int,
    k: int,
    temperature: float,
) -> Knn:
    """kNN accuracy of frozen features (N, F), (M, F) with integer labels (N,), (M,).

    top5 counts only classes that have a neighbour, so it equals top1 at k = 1. k above N is taken
    as N.

    Raises:
        ValueError: k below 1 or a temperature that is not positive.
    """
    if k < 1 or not temperature > 0:
        raise ValueError(
            f'k must be at least 1 and the temperature positive, got {k} and {temperature}'
        )
    k = min(k, len(train))
    votes = scores(train, train_y, test, classes=classes, k=k, temperature=temperature)
    votes, test_y = np.asarray(votes), np.asarray(test_y)[:, None]
    own = np.take_along_axis(votes, test_y, axis=1)
    # Ties go to the lower class, as an argmax does.
    rank = np.sum((votes > own) | (votes == own) & (np.arange(classes) < test_y), axis=1)
    top1, top5 = (100 * float(np.mean((rank < r) & (own[:, 0] > 0))) for r in (1, 5))
    return Knn(
        top1, top5, f'kNN on frozen features: cosine, k = {k}, votes e^(cosine / {temperature})'
    )


@functools.partial(jax.jit, static_argnames=('classes', 'k', 'block_size'))
def scores(
    train: chex.Array,
    train_y: chex.Array,
    test: chex.Array,
    *,
    classes: int,
    k: int,
    temperature: chex.Numeric,
    block_size: int = BLOCK_SIZE,
) -> jax.Array:
    """Votes (M, classes) of the k <= N nearest training examples: e^{(cos - nearest cos) / T}.

    Relative to the nearest neighbour, so that no temperature overflows; classes are ordered as by
    e^{cos/T}.
    """
    chex.assert_rank([train, test, train_y], [2, 2, 1])
    chex.assert_equal_shape_suffix([train, test], 1)
    reference = linalg.unit(train)

    def one(example):
        cosines, nearest = jax.lax.top_k(linalg.matmul(reference, linalg.unit(example)), k)
        weights = jnp.exp((cosines - cosines[0]) / temperature)
        return jnp.zeros(classes, weights.dtype).at[train_y[nearest]].add(weights)

    return jax.lax.map(one, test, batch_size=min(block_size, len(test)))
