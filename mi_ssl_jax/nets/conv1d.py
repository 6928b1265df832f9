"""One-dimensional convolutions for series."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from mi_ssl_jax.nets import layers


class ConvNet1d(nn.Module):
    """Convolutions over time without bias, each with batch norm and ReLU, then the mean over steps.

    The first keeps the steps and has `width` channels; each further one halves the steps and
    doubles the channels, up to 8 * `width`.

    Attributes:
      width: channels of the first convolution.
      depth: convolutions.
      kernel: steps that a kernel covers; odd, so that the padding is the same on both sides.
      dtype: compute type; parameters are float32.
      axis_name: axis over which batch statistics are averaged, or None.
    """

    width: int = 32
    depth: int = 4
    kernel: int = 5
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """(N, steps, C) -> (N, F); F is width * 2^(depth - 1), at most 8 * width.

        Raises:
          ValueError: other than series, an even kernel, or no convolution.
        """
        if x.ndim != 3:
            raise ValueError(f"network 'conv1d' takes series (steps, channels), not {x.shape[1:]}")
        if self.kernel % 2 != 1 or self.depth < 1 or self.width < 1:
            raise ValueError(
                f"network 'conv1d': width={self.width} and depth={self.depth} must be at least 1,"
                f' kernel={self.kernel} odd'
            )
        x = x.astype(self.dtype)
        for index in range(self.depth):
            x = nn.Conv(
                self.width * 2 ** min(index, 3),
                (self.kernel,),
                strides=1 if index == 0 else 2,
                padding=self.kernel // 2,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=nn.initializers.he_normal(),
            )(x)
            x = nn.relu(layers.batch_norm(train, dtype=self.dtype, axis_name=self.axis_name)(x))
        return x.mean(axis=1)
