"""Views of points: noise."""

import jax
import jax.numpy as jnp
from jax import Array


def noise(key: Array, point: Array, *, sigma: float = 0.1) -> tuple[Array, Array]:
    """Two views x + sigma * eps of one point (D,), eps ~ N(0, I) (arXiv 2510.01345, section
    4.2).
    """
    eps = jax.random.normal(key, (2, *point.shape), jnp.promote_types(point.dtype, jnp.float32))
    return point + sigma * eps[0], point + sigma * eps[1]


def point(example: Array) -> Array:
    """The un-augmented point itself, as float32 or wider."""
    return example.astype(jnp.promote_types(example.dtype, jnp.float32))
