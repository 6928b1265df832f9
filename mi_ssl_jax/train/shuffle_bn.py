"""Examples change places, also between devices, before they are encoded, and come back (MoCo, arXiv
1911.05722, 3.3).
"""

from typing import Any

import jax
import jax.numpy as jnp

from mi_ssl_jax import parallel

Tree = Any


def shuffled(tree: Tree, key: jax.Array, axis: str | None) -> Tree:
    """Rows of this device -> as many rows out of the whole batch, which a permutation has shared
    out over devices.

    Without an axis the whole batch's rows are permuted. `key` is the same on all devices.
    """
    rows = len(jax.tree.leaves(tree)[0])
    everywhere = parallel.gather(tree, axis)
    own = jax.random.permutation(key, len(jax.tree.leaves(everywhere)[0]))[
        parallel.positions(rows, axis)
    ]
    return jax.tree.map(lambda x: x[own], everywhere)


def restored(tree: Tree, key: jax.Array) -> Tree:
    """The gathered rows of what `shuffled` made with this key, in the batch's own order."""

    def sort(x: jax.Array) -> jax.Array:
        return x[jnp.argsort(jax.random.permutation(key, len(x)))]

    return jax.tree.map(sort, tree)
