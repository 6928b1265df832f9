"""Convolutions of any window, stride and padding as matrix products: windows are copied to rows
(im2col), a chunk of images at a time.

Arrays are NHWC and HWIO. A row may serve neighbouring positions of a line, which meet the kernel as
a band of a wider matrix: fewer and longer copies for some multiplications by zero. The input's
gradient of stride 2 comes out in its order that way.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from mi_ssl_jax.nets import chunks

# Neighbouring positions that share a row where a position has few channels.
NEIGHBOURS, FEW_CHANNELS = 2, 16

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


class Rows(NamedTuple):
    """The copied windows: beginning at `start` (negative: in the zeros around an image), every
    `step` lines and columns a row of `shape` lines and columns; `count` rows downwards and along a
    line.
    """

    shape: Pair
    step: Pair
    start: Pair
    count: Pair

    def bytes_each(self, channels: int) -> int:
        """Bytes of one image's rows."""
        return 4 * math.prod(self.count) * math.prod(self.shape) * channels


def forward(x: Array, kernel: Array, stride: Pair, padding: Padding) -> Array:
    """Convolve: (N, H, W, C), (h, w, C, K) -> (N, H', W', K)."""
    window, channels = kernel.shape[:2], x.shape[3]
    size = output_size(x.shape[1:3], window, stride, padding)
    rows, tap = _of_windows(size, window, channels, stride, padding)
    matrix = _band(kernel, rows.shape[1], rows.step[1] // stride[1], tap)

    def one(x: Array) -> Array:
        y = (_copy(x, rows) @ matrix).reshape(len(x), size[0], -1, kernel.shape[3])
        return y[:, :, : size[1]]

    return chunks.apply(one, chunks.size(len(x), rows.bytes_each(channels)), x)


def kernel_gradient(x: Array, g: Array, window: Pair, stride: Pair, padding: Padding) -> Array:
    """Of `forward` in its kernel: (N, H, W, C), (N, H', W', K) -> (h, w, C, K)."""
    size, channels = g.shape[1:3], x.shape[3]
    rows, tap = _of_windows(size, window, channels, stride, padding)
    together = rows.step[1] // stride[1]

    def one(x: Array, g: Array) -> Array:
        g = pad(g, ((0, 0), (0, -size[1] % together)))
        return dot(_copy(x, rows), g.reshape(-1, together * g.shape[3]), 0, 0)

    total = chunks.add(one, chunks.size(len(x), rows.bytes_each(channels)), x, g)
    shape = (*window, channels, g.shape[3])
    unknown = jax.typeof(x).update(shape=shape, weak_type=False)
    band = lambda kernel: _band(kernel, rows.shape[1], together, tap)
    return jax.linear_transpose(band, unknown)(total)[0]


def input_gradient(g: Array, kernel: Array, size: Pair, stride: Pair, padding: Padding) -> Array:
    """Of `forward` in its input: (N, H', W', K), (h, w, C, K) -> (N, *size, C).

    Lines of the input that leave the same remainder by the stride meet the same lines of the
    kernel.
    """
    turned = kernel.swapaxes(2, 3)
    if kernel.shape[:2] == (1, 1):
        return _spread(g @ turned[0, 0], size, stride, padding)
    parts = [_of_lines(line, turned, size, stride, padding) for line in range(stride[0])]

    def one(g: Array) -> Array:
        lines = []
        for rows, matrix in parts:
            shape = (len(g), rows.count[0], rows.count[1] * stride[1], kernel.shape[2])
            seen = rows.shape[0]  # by no line of the kernel where the stride is larger than it
            y = (_copy(g, rows) @ matrix).reshape(shape) if seen else jnp.zeros(shape, g.dtype)
            lines.append(y)
        x = jnp.stack(lines, 2) if len(lines) > 1 else lines[0]
        x = x.reshape(len(g), -1, *x.shape[-2:])
        return x[:, : size[0], : size[1]]

    bytes_each = sum(rows.bytes_each(g.shape[3]) for rows, _ in parts)
    return chunks.apply(one, chunks.size(len(g), bytes_each), g)


def _spread(y: Array, size: Pair, stride: Pair, padding: Padding) -> Array:
    """Place the gradients of windows of one position among zeros."""
    around = []
    for axis, step in enumerate(stride):
        low, beyond = -padding[axis][0], (y.shape[1 + axis] - 1) * step + 1
        around.append((low, size[axis] - low - beyond, step - 1))
    return lax.pad(y, jnp.zeros((), y.dtype), ((0, 0, 0), *around, (0, 0, 0)))


def _of_windows(
    size: Pair, window: Pair, channels: int, stride: Pair, padding: Padding
) -> tuple[Rows, Callable[[int, int], int]]:
    """Rows that hold the windows of one or of several neighbouring outputs of a line, and
    tap(r, j): the kernel's column through which the j-th of them sees the row's column r.
    """
    together = NEIGHBOURS if channels < FEW_CHANNELS and window[1] > 1 else 1
    rows = Rows(
        (window[0], (together - 1) * stride[1] + window[1]),
        (stride[0], together * stride[1]),
        (-padding[0][0], -padding[1][0]),
        (size[0], -(-size[1] // together)),
    )
    return rows, lambda r, j: r - j * stride[1]


def _of_lines(
    line: int, turned: Array, size: Pair, stride: Pair, padding: Padding
) -> tuple[Rows, Array]:
    """Rows of the output's gradient and the matrix that makes of them the input's gradient in the
    lines `line`, line + stride, ...: a row is for as many neighbours as the stride.
    """
    (height, width), (above, left) = turned.shape[:2], (own[0] for own in padding)
    first_tap = (line + above) % stride[0]
    count = len(range(first_tap, height, stride[0]))
    top = (line + above - first_tap) // stride[0] - count + 1
    first = -((width - 1 - left) // stride[1])
    run = (stride[1] - 1 + left) // stride[1] - first + 1
    rows = Rows(
        (count, run),
        (1, 1),
        (top, first),
        tuple(-(-own // step) for own, step in zip(size, stride, strict=True)),
    )
    kernel = turned[first_tap :: stride[0]][::-1]
    tap = lambda r, j: j + left - stride[1] * (r + first)
    return rows, _band(kernel, run, stride[1], tap)


def _band(kernel: Array, run: int, together: int, tap: Callable[[int, int], int]) -> Array:
    """(h, w, A, B) -> (h * run * A, together * B): kernel column tap(r, j) in block (r, j)."""
    height, width, *channels = kernel.shape
    zero = jnp.zeros((height, *channels), kernel.dtype)
    blocks = [
        [kernel[:, tap(r, j)] if 0 <= tap(r, j) < width else zero for j in range(together)]
        for r in range(run)
    ]
    matrix = jnp.stack([jnp.concatenate(line, 2) for line in blocks], 1)
    return matrix.reshape(height * run * channels[0], together * channels[1])


def _copy(x: Array, rows: Rows) -> Array:
    """(N, H, W, C) -> (N * rows, lines * columns * C of a row)."""
    (height, run), (down, along), (lines, count) = rows.shape, rows.step, rows.count
    pieces = -(-run // along)
    needed = ((lines - 1) * down + height, (count + pieces - 1) * along)
    x = pad(
        x,
        tuple(
            (-start, start + length - own)
            for start, length, own in zip(rows.start, needed, x.shape[1:3], strict=True)
        ),
    )
    channels = x.shape[3]
    x = x.reshape(len(x), needed[0], -1, along * channels)
    copies = [
        x[:, line : line + (lines - 1) * down + 1 : down, piece : piece + count, :width]
        for line in range(height)
        for piece in range(pieces)
        for width in [min(along, run - piece * along) * channels]
    ]
    return jnp.concatenate(copies, 3).reshape(-1, height * run * channels)


def output_size(size: Pair, window: Pair, stride: Pair, padding: Padding) -> Pair:
    """Positions at which the window fits: (H', W')."""
    return tuple(
        (size[axis] + sum(padding[axis]) - window[axis]) // stride[axis] + 1 for axis in (0, 1)
    )


def pad(x: Array, padding: Padding) -> Array:
    """Zeros around images, or borders cut off where negative."""
    zero = jnp.zeros((), x.dtype)
    return lax.pad(x, zero, ((0, 0, 0), *((*own, 0) for own in padding), (0, 0, 0)))


def dot(a: Array, b: Array, a_axis: int, b_axis: int, batch: tuple[int, ...] = ()) -> Array:
    """Product of matrices over these axes, of stacks of them along the axes of `batch`."""
    return lax.dot_general(a, b, (((a_axis,), (b_axis,)), (batch, batch)))
