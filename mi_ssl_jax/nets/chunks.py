"""Functions of images on a chunk of them at a time, so that what they copy stays in the caches."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

BYTES = 36 * 4 * 32_768  # of what one chunk copies


def size(images: int, bytes_each: int) -> int:
    """Images of a chunk: as many as fit, or fewer if that divides all of them and is not far."""
    most = max(1, min(images, BYTES // bytes_each))
    return next((n for n in range(most, most // 2, -1) if images % n == 0), most)


def apply(function: Callable[[Array], Array], images: int, x: Array) -> Array:
    """function(x) for a function of single images, on `images` of them at a time."""
    if len(x) <= images:
        return function(x)
    rest = len(x) % images
    y = lax.map(function, _split(x[rest:], images))
    y = y.reshape(-1, *y.shape[2:])
    return jnp.concatenate([function(x[:rest]), y]) if rest else y


def add(function: Callable[[Array, Array], Array], images: int, x: Array, g: Array) -> Array:
    """function(x, g) for a function that sums over images."""
    first = len(x) % images or min(images, len(x))

    def further(number: int, total: Array) -> Array:  # slices in place: x[first:] would be a copy
        start = first + number * images
        return total + function(*(lax.dynamic_slice_in_dim(own, start, images) for own in (x, g)))

    total = function(x[:first], g[:first])
    count = (len(x) - first) // images
    return lax.fori_loop(0, count, further, total) if count else total


def _split(x: Array, images: int) -> Array:
    return x.reshape(-1, images, *x.shape[1:])
