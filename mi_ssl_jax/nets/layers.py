"""Layers that every network shares: PyTorch's linear initialisation and the batch norm of the
field.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

# Input channels that accelerators' convolutions of images are given; 0 for those that there are.
# Their matrix units take 4 or 8 at a time.
STEM_CHANNELS = 8


def check_images(x: Any) -> None:
    """Raise ValueError, in one line, for what is not a batch of images (N, H, W, C)."""
    if getattr(x, 'ndim', 0) != 4:
        held = f'arrays of shape {x.shape}' if hasattr(x, 'shape') else 'graphs'
        raise ValueError(
            f'a convolutional network takes images, not {held}: choose another net.name'
        )


def uniform_fan_in(fan_in: int) -> jax.nn.initializers.Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default for the weight *and* the bias of a
    linear layer.

    Flax hands a bias initialiser the bias's shape only, so the fan-in is given here.
    """
    bound = fan_in**-0.5

    def init(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def linear(
    x: Array, features: int, *, use_bias: bool, dtype: jnp.dtype, stddev: float | None = None
) -> Array:
    """(..., D) -> (..., features), initialised as PyTorch does. Call it inside a compact module.

    stddev: of normal weights with biases of 0 instead.
    """
    init = {'kernel_init': uniform_fan_in(x.shape[-1]), 'bias_init': uniform_fan_in(x.shape[-1])}
    if stddev is not None:
        init = {'kernel_init': nn.initializers.normal(stddev)}
    return nn.Dense(features, use_bias=use_bias, dtype=dtype, **init)(x)


def stem_convolution(
    x: Array,
    kernel: Array,
    *arguments: Any,
    convolve: Callable[..., Array] = lax.conv_general_dilated,
    **options: Any,
) -> Array:
    """`convolve` images (N, H, W, C); on accelerators with zeros for channels, up to
    `STEM_CHANNELS`, that change nothing. The platform is that of the compiled program.
    """

    def plain(x: Array, kernel: Array) -> Array:
        return convolve(x, kernel, *arguments, **options)

    def padded(x: Array, kernel: Array) -> Array:
        return plain(_pad(x, 3, missing), _pad(kernel, 2, missing))

    missing = STEM_CHANNELS - x.shape[-1]
    if missing <= 0:
        return plain(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=plain, default=padded)


def _pad(x: Array, axis: int, count: int) -> Array:
    widths = [(0, count if own == axis else 0) for own in range(x.ndim)]
    return jnp.pad(x, widths)


def batch_norm(
    train: bool,
    *,
    dtype: jnp.dtype,
    axis_name: str | None,
    affine: bool = True,
    scale_init: jax.nn.initializers.Initializer = nn.initializers.ones,
    fast_variance: bool = False,
    name: str | None = None,
) -> nn.BatchNorm:
    """Batch norm with momentum 0.9 and eps 1e-5 (PyTorch's 0.1 and 1e-5), statistics in float32 or
    wider.

    The two-pass variance is the default: where a layer's spread shrinks against its mean (the
    Gaussian encoder's first layer does), E[x^2] - E[x]^2 loses its digits. `fast_variance` takes
    that form, one pass over the activations instead of two, for convolutions, whose outputs have
    means of the size of their spread. The running variance is the biased one, PyTorch's the
    unbiased.
    """
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        dtype=dtype,
        axis_name=axis_name,
        use_bias=affine,
        use_scale=affine,
        scale_init=scale_init,
        use_fast_variance=fast_variance,
        name=name,
    )
