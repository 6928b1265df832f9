"""Names for what functions take and give. Shapes stand in the docstrings."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

Array = jax.Array  # on a device, of any shape
Scalar = jax.Array  # of shape (): a loss, a bound in nats
Key = jax.Array  # of jax.random.PRNGKey or jax.random.key; used once, or split
Tree = Any  # a pytree of arrays
Batch = Tree  # arrays whose first axis counts the examples of a batch
Params = Mapping[str, Any]  # what an optimiser updates: flax's collection 'params'
Variables = Mapping[
    str, Any
]  # all of flax's collections: 'params' and, with batch norm, 'batch_stats'
Critic = Callable[[Array, Array], Array]  # (Na, D), (Nb, D) -> scores (Na, Nb)
Schedule = Callable[[Array], Array]  # progress of training, in [0, 1] -> a value
