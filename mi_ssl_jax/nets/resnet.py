"""ResNet-18 and ResNet-50 (arXiv 1512.03385) in the layout of torchvision.

The stride of a bottleneck sits in its 3x3 convolution ('v1.5') and every padding is symmetric.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, Literal, get_args

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from mi_ssl_jax.nets import convolution, layers

Stem = Literal['small', 'imagenet']
ModuleDef = Callable[..., Any]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the first one strides. Output width: `width`."""

    width: int
    stride: int
    conv: ModuleDef
    norm: ModuleDef
    last_scale_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """(N, H, W, C) -> (N, H / stride, W / stride, width)."""
        y = self.conv(self.width, (3, 3), strides=self.stride, padding=1, name='conv1')(x)
        y = nn.relu(self.norm(name='norm1')(y))
        y = self.conv(self.width, (3, 3), padding=1, name='conv2')(y)
        y = self.norm(scale_init=self.last_scale_init, name='norm2')(y)
        return nn.relu(y + _shortcut(x, y.shape[-1], self.stride, self.conv, self.norm))


class Bottleneck(nn.Module):
    """1x1, 3x3 (strides), 1x1 convolutions. Output width: 4 * `width`."""

    width: int
    stride: int
    conv: ModuleDef
    norm: ModuleDef
    last_scale_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """(N, H, W, C) -> (N, H / stride, W / stride, 4 * width)."""
        y = nn.relu(self.norm(name='norm1')(self.conv(self.width, (1, 1), name='conv1')(x)))
        y = self.conv(self.width, (3, 3), strides=self.stride, padding=1, name='conv2')(y)
        y = nn.relu(self.norm(name='norm2')(y))
        y = self.conv(4 * self.width, (1, 1), name='conv3')(y)
        y = self.norm(scale_init=self.last_scale_init, name='norm3')(y)
        return nn.relu(y + _shortcut(x, y.shape[-1], self.stride, self.conv, self.norm))


class ResNet(nn.Module):
    """A residual network up to and with its global average pooling.

    Attributes:
      depths: blocks of each stage; every stage but the first halves the resolution and doubles the
      width.
      block: BasicBlock or Bottleneck.
      stem: 'imagenet' (7x7, stride 2, 3x3 max-pool of stride 2) or 'small' (3x3, stride 1, no
      max-pool; for
        images of 32 and 64 px).
      zero_init_residual: whether the last batch norm of each block starts with scale 0, so that the
      block
        starts as the identity.
      width: channels of the stem.
      dtype: compute type; parameters and batch statistics are float32.
      axis_name: axis over which batch statistics are averaged, or None.
      convolution: see nets.convolution.load.
    """

    depths: tuple[int, ...]
    block: type[nn.Module]
    stem: Stem = 'imagenet'
    zero_init_residual: bool = False
    width: int = 64
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    convolution: str = 'fast'

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """(N, H, W, C) -> (N, F); F is 512 for ResNet-18 and 2048 for ResNet-50."""
        layers.check_images(x)
        conv = functools.partial(
            nn.Conv,
            padding=0,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=nn.initializers.variance_scaling(2.0, 'fan_out', 'normal'),
            conv_general_dilated=convolution.load(self.convolution),
        )
        norm = functools.partial(
            layers.batch_norm, train, dtype=self.dtype, axis_name=self.axis_name, fast_variance=True
        )
        x = _stem(x.astype(self.dtype), self.stem, self.width, conv, norm)
        last = nn.initializers.zeros if self.zero_init_residual else nn.initializers.ones
        for stage, depth in enumerate(self.depths):
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                name = f'stage{stage + 1}_block{index + 1}'
                x = self.block(self.width * 2**stage, stride, conv, norm, last, name=name)(x)
        return x.mean(axis=(1, 2))


def _stem(x: Array, kind: Stem, width: int, conv: ModuleDef, norm: ModuleDef) -> Array:
    convolve = conv.keywords['conv_general_dilated']
    stem = functools.partial(layers.stem_convolution, convolve=convolve)
    conv = functools.partial(conv, conv_general_dilated=stem, name='stem_conv')
    if kind == 'small':
        return nn.relu(norm(name='stem_norm')(conv(width, (3, 3), padding=1)(x)))
    x = nn.relu(norm(name='stem_norm')(conv(width, (7, 7), strides=2, padding=3)(x)))
    return max_pool(x)


def max_pool(x: Array) -> Array:
    """Largest of each 3x3 window, stride 2, padding 1: (n, h, w, c) -> (n, ceil(h / 2), ...).

    Nine strided slices instead of a reduce_window, whose gradient is a scatter that GPUs are slow
    at. As there, the first of equal values has the gradient.
    """
    height, width = (-(-size // 2) for size in x.shape[1:3])
    x = jnp.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)), constant_values=-jnp.inf)
    best = None
    for row, column in itertools.product(range(3), range(3)):
        own = x[:, row : row + 2 * height : 2, column : column + 2 * width : 2]
        # A NaN stays, wherever it stands.
        best = own if best is None else jnp.where((own > best) | (own != own), own, best)
    return best


def _shortcut(x: Array, width: int, stride: int, conv: ModuleDef, norm: ModuleDef) -> Array:
    """The input itself, or a strided 1x1 convolution and batch norm where the block changes the
    shape.
    """
    if stride == 1 and x.shape[-1] == width:
        return x
    return norm(name='shortcut_norm')(conv(width, (1, 1), strides=stride, name='shortcut_conv')(x))


def resnet18(*, stem: Stem = 'imagenet', convolution: str = 'fast', **options: Any) -> ResNet:
    """ResNet-18, 512 features. Options: see ResNet. Raises ValueError for an unknown stem."""
    options['convolution'] = convolution
    return ResNet((2, 2, 2, 2), BasicBlock, _known(stem), **options)


def resnet50(*, stem: Stem = 'imagenet', convolution: str = 'fast', **options: Any) -> ResNet:
    """ResNet-50, 2048 features. Options: see ResNet. Raises ValueError for an unknown stem."""
    options['convolution'] = convolution
    return ResNet((3, 4, 6, 3), Bottleneck, _known(stem), **options)


def _known(stem: Stem) -> Stem:
    if stem not in get_args(Stem):
        raise ValueError(f"unknown stem '{stem}'; use 'small' (32 and 64 px) or 'imagenet'")
    return stem
