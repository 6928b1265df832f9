"""Convolutions of any window, stride and padding as matrix products: windows are copied to rows
(im2col), a chunk of images at a time.

Arrays are NHWC and HWIO. Inside XLA's loops on a CPU products are fast; its convolutions are not.
"""

import itertools
import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

CHUNK_BYTES = 36 * 4 * 32_768  # of one chunk's copied windows or tiles: what caches hold

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def forward(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """Convolve: (N, H, W, C), (h, w, C, K) -> (N, H', W', K)."""
    size = output_size(x.shape[1:3], kernel.shape[:2], stride, padding)
    window, width = kernel.shape[:2], kernel.shape[3]
    matrix = kernel.reshape(-1, width)

    def one(x: Array) -> Array:
        return (_windows(x, window, stride, padding) @ matrix).reshape(len(x), *size, width)

    return over_chunks(one, chunk(len(x), _bytes(window, size, x.shape[3])), x)


def input_gradient(g: Array, kernel: Array, size: Pair, stride: Pair, padding: Padding) -> Array:
    """Of `forward` in its input: (N, H', W', K), (h, w, C, K) -> (N, *size, C).

    Positions that leave the same remainder by the stride see the same taps of the kernel: each is a
    convolution of stride 1 of the output's gradient.
    """
    each = tuple(-(-own // step) for own, step in zip(size, stride, strict=True))

    def one(g: Array) -> Array:
        parts = [
            _remainder(g, kernel, remainder, each, stride, padding)
            for remainder in itertools.product(*map(range, stride))
        ]
        if len(parts) == 1:
            return parts[0]
        x = jnp.stack(parts, 3).reshape(len(g), *each, *stride, kernel.shape[2])
        x = x.transpose(0, 1, 3, 2, 4, 5)
        x = x.reshape(len(g), *(n * s for n, s in zip(each, stride, strict=True)), -1)
        return x[:, : size[0], : size[1]]

    return over_chunks(one, chunk(len(g), _bytes(kernel.shape[:2], each, g.shape[3])), g)


def kernel_gradient(x: Array, g: Array, window: Pair, stride: Pair, padding: Padding) -> Array:
    """Of `forward` in its kernel: (N, H, W, C), (N, H', W', K) -> (h, w, C, K)."""
    shape = (*window, x.shape[3], g.shape[3])

    def one(x: Array, g: Array) -> Array:
        return dot(_windows(x, window, stride, padding), g.reshape(-1, shape[3]), 0, 0)

    images = chunk(len(x), _bytes(window, g.shape[1:3], x.shape[3]))
    return sum_over_chunks(one, images, x, g).reshape(shape)


def output_size(size: Pair, window: Pair, stride: Pair, padding: Padding) -> Pair:
    """Positions at which the window fits: (H', W')."""
    return tuple(
        (size[axis] + sum(padding[axis]) - window[axis]) // stride[axis] + 1 for axis in (0, 1)
    )


def pad(x: Array, padding: Padding) -> Array:
    """Zeros around images, or borders cut off where negative."""
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((*own, 0) for own in padding), (0,) * 3))


def dot(a: Array, b: Array, a_axis: int, b_axis: int, batch: tuple[int, ...] = ()) -> Array:
    """Product of matrices over these axes, of stacks of them along the axes of `batch`."""
    return lax.dot_general(a, b, (((a_axis,), (b_axis,)), (batch, batch)))


def chunk(count: int, bytes_each: int) -> int:
    """Images of a chunk: as many as fit; a smaller divisor of all of them if there is a near
    one.
    """
    most = max(1, min(count, CHUNK_BYTES // bytes_each))
    return next((n for n in range(most, most // 2, -1) if count % n == 0), most)


def over_chunks(function: Callable[[Array], Array], images: int, x: Array) -> Array:
    """function(x) for a function of single images, on so many of them at a time."""
    whole = len(x) // images
    if whole <= 1:
        return function(x)
    parts = lax.map(function, _split(x, whole, images))
    y = parts.reshape(-1, *parts.shape[2:])
    rest = x[whole * images :]
    return jnp.concatenate([y, function(rest)]) if len(rest) else y


def sum_over_chunks(
    function: Callable[[Array, Array], Array], images: int, x: Array, g: Array
) -> Array:
    """function(x, g) for a function that sums over images."""
    whole = len(x) // images
    if whole <= 1:
        return function(x, g)
    rest = function(x[whole * images :], g[whole * images :]) if len(x) % images else None
    chunks = _split(x, whole, images), _split(g, whole, images)
    first = function(chunks[0][0], chunks[1][0]) if rest is None else rest
    if rest is None:
        chunks = chunks[0][1:], chunks[1][1:]
    return lax.scan(lambda total, own: (total + function(*own), None), first, chunks)[0]


def _split(x: Array, whole: int, images: int) -> Array:
    return x[: whole * images].reshape(whole, images, *x.shape[1:])


def _bytes(window: Pair, size: Pair, channels: int) -> int:
    copies = math.prod(window)
    return 4 * copies * math.prod(size) * channels


def _windows(x: Array, window: Pair, stride: Pair, padding: Padding) -> Array:
    """(N, H, W, C) -> (N * H' * W', h * w * C)."""
    rows, columns = output_size(x.shape[1:3], window, stride, padding)
    x = pad(x, padding)
    taps = [
        x[:, i : i + (rows - 1) * stride[0] + 1 : stride[0]][
            :, :, j : j + (columns - 1) * stride[1] + 1 : stride[1]
        ]
        for i, j in itertools.product(*map(range, window))
    ]
    return jnp.concatenate(taps, 3).reshape(-1, math.prod(window) * x.shape[3])


def _remainder(
    g: Array, kernel: Array, remainder: Pair, each: Pair, stride: Pair, padding: Padding
) -> Array:
    """The input's gradient at the positions stride * n + remainder: (N, *each, C)."""
    taps, own_padding = [], []
    for axis in (0, 1):
        offset = remainder[axis] + padding[axis][0]
        own = range(offset % stride[axis], kernel.shape[axis], stride[axis])[::-1]
        if not own:
            return jnp.zeros((len(g), *each, kernel.shape[2]), g.dtype)
        low = (own[0] - offset) // stride[axis]
        own_padding.append((low, each[axis] - g.shape[1 + axis] - low + len(own) - 1))
        taps.append(own)
    part = jnp.stack([jnp.stack([kernel[i, j].T for j in taps[1]]) for i in taps[0]])
    matrix = part.reshape(-1, kernel.shape[2])
    rows = _windows(g, part.shape[:2], (1, 1), tuple(own_padding))
    return (rows @ matrix).reshape(len(g), *each, kernel.shape[2])
