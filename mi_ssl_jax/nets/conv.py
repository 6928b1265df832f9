"""Small convolutional encoders, fast enough for a CPU."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from mi_ssl_jax.nets import convolution, layers


class ConvNet(nn.Module):
    """3x3 convolutions without bias, each with batch norm and ReLU, then the mean over positions.

    Attributes:
      widths: output channels of each convolution.
      strides: stride of each convolution; padding is 1 on every side.
      dtype: compute type; parameters are float32.
      axis_name: axis over which batch statistics are averaged, or None.
      convolution: see nets.convolution.load.
    """

    widths: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    convolution: str = 'fast'

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """(N, H, W, C) -> (N, widths[-1])."""
        layers.check_images(x)
        x = x.astype(self.dtype)
        for width, stride in zip(self.widths, self.strides, strict=True):
            x = nn.Conv(
                width,
                (3, 3),
                strides=stride,
                padding=1,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=nn.initializers.he_normal(),
                conv_general_dilated=convolution.load(self.convolution),
            )(x)
            x = nn.relu(layers.batch_norm(train, dtype=self.dtype, axis_name=self.axis_name)(x))
        return x.mean(axis=(1, 2))


def conv4(*, width: int = 16, convolution: str = 'fast', **options) -> ConvNet:
    """Four layers for 16 to 64 px: widths w, 2w, 2w, 4w, strides 1, 2, 2, 2; 4w features."""
    widths = (width, 2 * width, 2 * width, 4 * width)
    return ConvNet(widths, (1, 2, 2, 2), convolution=convolution, **options)


def digits_conv(*, width: int = 16, convolution: str = 'fast', **options) -> ConvNet:
    """Three layers for 8x8 images: widths w, 2w, 4w, strides 1, 2, 2; 4w features.

    Measured on scikit-learn's digits (2 seeds): untrained probe 93.8 % at width 16, 95.4 % at 24;
    strides 1, 2, 1 gave 91.5 % at width 16 before and 99.0 % after 60 epochs of JMI, against 99.7 %
    here.
    """
    widths = (width, 2 * width, 4 * width)
    return ConvNet(widths, (1, 2, 2), convolution=convolution, **options)
