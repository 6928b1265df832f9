"""3x3 convolutions of stride 1 by Winograd's minimal filtering (arXiv 1509.09308), in plain JAX.

F(m x m, 3 x 3) makes m x m outputs of a tile of (m + 2) x (m + 2) inputs by (m + 2)^2
multiplications a pair of channels instead of 9 m^2: the products of all tiles with each of the
(m + 2)^2 transformed taps are one matrix product.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from mi_ssl_jax.nets import chunks, im2col

# Of inputs, of kernels and of outputs, by m: the matrices B^T, G and A^T of the paper.
INPUT = {
    2: np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    4: np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
}
KERNEL = {
    2: np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2,
    4: np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24,
}
OUTPUT = {
    2: np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    4: np.array(
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    ),
}


def forward(x: Array, kernel: Array, padding: im2col.Padding, m: int) -> Array:
    """Convolve with stride 1: (N, H, W, C), (3, 3, C, K) -> (N, H', W', K)."""
    return _convolve(x, kernel, 1, padding, m)


def input_gradient(g: Array, kernel: Array, padding: im2col.Padding, m: int) -> Array:
    """Of `forward` in its input: a convolution with the kernel turned by half a circle."""
    around = tuple((2 - low, 2 - high) for low, high in padding)
    return _convolve(g, kernel[::-1, ::-1], 2, around, m)


def kernel_gradient(x: Array, g: Array, padding: im2col.Padding, m: int) -> Array:
    """Of `forward` in its kernel: (N, H, W, C), (N, H', W', K) -> (3, 3, C, K)."""
    size = g.shape[1:3]

    def one(x: Array, g: Array) -> Array:
        return im2col.dot(_tiles(x, size, padding, m), _output_tiles(g, m), 1, 1, (0,))

    wider = x if x.shape[3] >= g.shape[3] else g
    # A sum that itself fills the caches is not made chunk by chunk.
    large = 4 * (m + 2) ** 2 * x.shape[3] * g.shape[3] > chunks.BYTES
    images = len(x) if large else _chunk(wider, size, m)
    return _both(KERNEL[m].T, chunks.add(one, images, x, g))


def _convolve(x: Array, kernel: Array, axis: int, padding: im2col.Padding, m: int) -> Array:
    """axis: of (taps, C, K), the one that the images' channels are."""
    size = im2col.output_size(x.shape[1:3], (3, 3), (1, 1), padding)
    taps = _both(KERNEL[m], kernel)

    def one(x: Array) -> Array:
        products = im2col.dot(_tiles(x, size, padding, m), taps, 2, axis, (0,))
        return _outputs(products, len(x), size, m)

    return chunks.apply(one, _chunk(x, size, m), x)


def multiplications(size: im2col.Pair, m: int) -> int:
    """Count the multiplications per image and pair of channels."""
    return (m + 2) ** 2 * _count(size[0], m) * _count(size[1], m)


def _count(length: int, m: int) -> int:
    return -(-length // m)


def _chunk(x: Array, size: im2col.Pair, m: int) -> int:
    return chunks.size(len(x), 4 * multiplications(size, m) * x.shape[3])


def _both(matrix: np.ndarray, taps: Array) -> Array:
    """A transform along both axes of a window: (a, a, ...) or (a * a, ...), one small product."""
    inputs = matrix.shape[1]
    whole = jnp.asarray(np.kron(matrix, matrix), taps.dtype)
    shape = taps.shape[-2:]
    result = whole @ taps.reshape(inputs * inputs, -1)
    side = matrix.shape[0]
    return result.reshape(*((side, side) if side == 3 else (side * side,)), *shape)


def _combine(row: np.ndarray, arrays: list[Array]) -> Array:
    """The sum of row[i] * arrays[i] without multiplications by 0, 1 and -1."""
    total = None
    for factor, array in zip(row.tolist(), arrays, strict=True):
        if factor:
            term = array if abs(factor) == 1 else array * abs(factor)
            if total is None:
                total = term if factor > 0 else -term
            else:
                total = total + term if factor > 0 else total - term
    return total


def _tiles(x: Array, size: im2col.Pair, padding: im2col.Padding, m: int) -> Array:
    """Overlapping tiles of the input, transformed: (N, H, W, C) -> ((m + 2)^2, tiles, C)."""
    rows, columns = (_count(length, m) for length in size)
    high = [
        m * n + 2 - x.shape[1 + axis] - padding[axis][0] for axis, n in ((0, rows), (1, columns))
    ]
    x = im2col.pad(x, tuple((own[0], end) for own, end in zip(padding, high, strict=True)))
    count, channels = len(x), x.shape[3]
    lines = [x[:, i : i + (rows - 1) * m + 1 : m] for i in range(m + 2)]
    x = jnp.stack([_combine(row, lines) for row in INPUT[m]])
    lines = [x[:, :, :, j : j + (columns - 1) * m + 1 : m] for j in range(m + 2)]
    x = jnp.stack([_combine(row, lines) for row in INPUT[m]], 1)
    return x.reshape((m + 2) ** 2, count * rows * columns, channels)


def _outputs(products: Array, count: int, size: im2col.Pair, m: int) -> Array:
    """((m + 2)^2, tiles, K) -> (N, *size, K)."""
    rows, columns = (_count(length, m) for length in size)
    channels = products.shape[2]
    whole = jnp.asarray(np.kron(OUTPUT[m], OUTPUT[m]), products.dtype)
    y = (whole @ products.reshape(len(products), -1)).reshape(m, m, count, rows, columns, channels)
    y = y.transpose(2, 3, 0, 4, 1, 5).reshape(count, rows * m, columns * m, channels)
    return y[:, : size[0], : size[1]]


def _output_tiles(g: Array, m: int) -> Array:
    """The transpose of `_outputs`: (N, H', W', K) -> ((m + 2)^2, tiles, K)."""
    rows, columns = (_count(length, m) for length in g.shape[1:3])
    g = im2col.pad(g, ((0, rows * m - g.shape[1]), (0, columns * m - g.shape[2])))
    count, channels = len(g), g.shape[3]
    g = g.reshape(count, rows, m, columns * m, channels)
    g = jnp.stack([_combine(row, [g[:, :, i] for i in range(m)]) for row in OUTPUT[m].T])
    g = g.reshape(m + 2, count, rows, columns, m, channels)
    g = jnp.stack([_combine(row, [g[:, :, :, :, j] for j in range(m)]) for row in OUTPUT[m].T], 1)
    return g.reshape((m + 2) ** 2, -1, channels)
