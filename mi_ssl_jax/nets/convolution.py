"""Convolutions that are matrix products on CPUs, and the platform's own elsewhere.

XLA's convolutions are slow on CPUs, their gradients most of all, and slower still inside loops.
For float32 a primitive here is lowered for a CPU as Winograd's products (3x3, stride 1) or as
products of copied windows; for any other platform as XLA's convolution, so that nothing changes
there. Its two gradients are the same primitive: the three arrays of a convolution, its input, its
kernel and its output, each are bilinear in the other two. vmap over images (views) folds its axis
into the batch, so that the kernel's gradient stays one.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir, xla

from mi_ssl_jax import parallel
from mi_ssl_jax.nets import im2col, winograd

CHOICES = ('fast', 'accurate', 'xla')
LAYOUT = ('NHWC', 'HWIO', 'NHWC')
# What a primitive gives -> what it takes, in this order.
TAKES = {
    'output': ('input', 'kernel'),
    'input': ('output', 'kernel'),
    'kernel': ('input', 'output'),
}
# Channels from which Winograd's products pay for their transforms.
WINOGRAD_CHANNELS = 16


Sizes = tuple[int, ...]


class Geometry(NamedTuple):
    """A convolution but for its numbers of images and channels."""

    size: im2col.Pair  # of the input
    window: im2col.Pair
    stride: im2col.Pair
    padding: im2col.Padding
    precision: Any  # of lax's convolution
    most: int  # outputs of a Winograd tile along an axis: 4, or 2 for float32's whole accuracy

    @property
    def output_size(self) -> im2col.Pair:
        return im2col.output_size(self.size, self.window, self.stride, self.padding)


def load(choice: str) -> Callable[..., Array]:
    """Build a convolution with the signature of lax.conv_general_dilated, which flax layers take.

    Args:
        choice: 'fast', 'accurate' (Winograd's smaller tiles alone: errors of float32's size) or
            'xla' (lax's own).

    Returns:
        The function.

    Raises:
        ValueError: another choice.
    """
    if choice not in CHOICES:
        raise ValueError(f"unknown convolution '{choice}'; use one of {', '.join(CHOICES)}")
    most = {'fast': 4, 'accurate': 2}.get(choice)
    return lax.conv_general_dilated if most is None else functools.partial(_convolve, most)


def _convolve(
    most: int,
    x: Array,
    kernel: Array,
    window_strides: tuple[int, ...],
    padding: Any,
    *,
    dimension_numbers: Any = None,
    precision: Any = None,
    **options: Any,
) -> Array:
    """Convolve as lax.conv_general_dilated does, which also serves the cases that the primitive
    does not cover.
    """
    plain = functools.partial(
        lax.conv_general_dilated,
        dimension_numbers=dimension_numbers,
        precision=precision,
        **options,
    )
    covered = (
        x.ndim == 4
        and x.dtype == kernel.dtype == jnp.float32
        and not isinstance(padding, str)
        and lax.conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
        == lax.conv_dimension_numbers(x.shape, kernel.shape, LAYOUT)
        and all(value is None or set(jax.tree.leaves(value)) == {1} for value in options.values())
    )
    if not covered:
        return plain(x, kernel, window_strides, padding)
    geometry = Geometry(
        x.shape[1:3],
        kernel.shape[:2],
        tuple(window_strides),
        tuple((int(low), int(high)) for low, high in padding),
        precision or jax.config.jax_default_matmul_precision,
        most,
    )
    if min(*geometry.output_size, *x.shape, *kernel.shape) < 1:
        return plain(x, kernel, window_strides, padding)
    return _bind(*parallel.varying_alike(x, kernel), gives='output', geometry=geometry)


# The primitive
# --------------------------------------------------------------------------------------------------

NAME = 'conv_general_dilated_by_platform'
_primitive = Primitive(NAME)


def _bind(*arrays: Array, gives: str, geometry: Geometry) -> Array:
    return _primitive.bind(*arrays, gives=gives, geometry=geometry)


_primitive.def_impl(functools.partial(xla.apply_primitive, _primitive))


@_primitive.def_abstract_eval
def _abstract(first: Any, second: Any, *, gives: str, geometry: Geometry) -> Any:
    if gives == 'output':
        shape = (first.shape[0], *geometry.output_size, second.shape[3])
    elif gives == 'input':
        shape = (first.shape[0], *geometry.size, second.shape[2])
    else:
        shape = (*geometry.window, first.shape[3], second.shape[3])
    return first.update(shape=shape, weak_type=False)


def _transpose(place: int, cotangent: Array, *arrays: Any, gives: str, geometry: Geometry) -> Array:
    """The cotangent of the operand at `place`: what it is, from the other one and the result's."""
    wanted, other = TAKES[gives][place], TAKES[gives][1 - place]
    known = {gives: cotangent, other: arrays[1 - place]}
    return _bind(*(known[name] for name in TAKES[wanted]), gives=wanted, geometry=geometry)


ad.defbilinear(_primitive, functools.partial(_transpose, 0), functools.partial(_transpose, 1))


def _batch(arrays: Any, axes: Any, *, gives: str, geometry: Geometry) -> tuple[Array, int]:
    """vmap: images of one kernel are one batch; anything else is one after another on a CPU."""
    first, second = (
        array if axis is None else jnp.moveaxis(array, axis, 0)
        for array, axis in zip(arrays, axes, strict=True)
    )
    bind = functools.partial(_bind, gives=gives, geometry=geometry)
    by_lax = functools.partial(_by_lax, gives=gives, geometry=geometry)
    mapped = tuple(axis is not None for axis in axes)
    if gives != 'kernel' and mapped == (True, False):
        y = bind(first.reshape(-1, *first.shape[2:]), second)
        return y.reshape(*first.shape[:2], *y.shape[1:]), 0

    def in_turn(first: Array, second: Array) -> Array:
        if mapped == (True, True):
            return lax.map(lambda own: bind(*own), (first, second))
        if mapped == (True, False):
            return lax.map(lambda own: bind(own, second), first)
        return lax.map(lambda own: bind(first, own), second)

    together = jax.vmap(by_lax, [0 if own else None for own in mapped])
    return lax.platform_dependent(first, second, cpu=in_turn, default=together), 0


batching.primitive_batchers[_primitive] = _batch


def multiplications(first: Sizes, second: Sizes, *, gives: str, geometry: Geometry) -> int:
    """Count the multiplications of a convolution by its definition, from the shapes of the
    primitive's operands; each gradient has as many.
    """
    channels = _channels(first, second, gives)
    return math.prod((first[0], *geometry.output_size, *geometry.window, *channels))


def _channels(first: Sizes, second: Sizes, gives: str) -> Sizes:
    """Return the channels of the input and of the output."""
    return (first[3], second[3]) if gives == 'kernel' else second[2:]


# Its programs
# --------------------------------------------------------------------------------------------------


def _by_lax(first: Array, second: Array, *, gives: str, geometry: Geometry) -> Array:
    """XLA's convolution or its transpose, as differentiation would have it."""
    arrays = dict(zip(TAKES[gives], (first, second), strict=True))

    def output(x: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(
            x,
            kernel,
            geometry.stride,
            geometry.padding,
            dimension_numbers=LAYOUT,
            precision=geometry.precision,
        )

    if gives == 'output':
        return output(first, second)
    unknown = _abstract(*map(jax.typeof, (first, second)), gives=gives, geometry=geometry)
    linear = (
        (lambda x: output(x, arrays['kernel']))
        if gives == 'input'
        else (lambda kernel: output(arrays['input'], kernel))
    )
    return jax.linear_transpose(linear, unknown)(arrays['output'])[0]


def _by_products(first: Array, second: Array, *, gives: str, geometry: Geometry) -> Array:
    stride, padding = geometry.stride, geometry.padding
    m = _tile(geometry, *_channels(first.shape, second.shape, gives))
    if m:
        own = {
            'output': winograd.forward,
            'input': winograd.input_gradient,
            'kernel': winograd.kernel_gradient,
        }
        return own[gives](first, second, padding, m)
    if gives == 'output':
        return im2col.forward(first, second, stride, padding)
    if gives == 'input':
        return im2col.input_gradient(first, second, geometry.size, stride, padding)
    return im2col.kernel_gradient(first, second, geometry.window, stride, padding)


def _tile(geometry: Geometry, *channels: int) -> int:
    """Outputs of a Winograd tile along an axis; 0 where copied windows are no dearer."""
    if geometry.window != (3, 3) or geometry.stride != (1, 1) or min(channels) < WINOGRAD_CHANNELS:
        return 0
    costs = {
        m: winograd.multiplications(geometry.output_size, m) for m in (4, 2) if m <= geometry.most
    }
    best = min(costs, key=costs.__getitem__)
    rows, columns = geometry.output_size
    return best if costs[best] < 9 * rows * columns else 0


mlir.register_lowering(_primitive, mlir.lower_fun(_by_lax, multiple_results=False))
mlir.register_lowering(
    _primitive, mlir.lower_fun(_by_products, multiple_results=False), platform='cpu'
)
