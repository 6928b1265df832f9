"""Dense encoders for points and other small inputs."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from mi_ssl_jax.nets import layers


class MLP(nn.Module):
    """Linear, batch norm, ReLU; the last layer has no ReLU and, with `last_norm`, ends in its batch
    norm.

    The defaults are the encoder of the paper's Gaussian experiment (arXiv 2510.01345, section 4.2):
    2 -> 64, BN, ReLU -> 3, BN. The output is not l2-normalised: critics and losses do that, and
    Barlow Twins and VICReg need the output before it.

    Attributes:
      widths: output width of each linear layer.
      last_norm: whether a batch norm follows the last linear layer.
      use_bias: whether the linear layers have a bias.
      affine: whether the batch norms have a scale and an offset.
      dtype: compute type; parameters are float32.
      axis_name: axis over which batch statistics are averaged, or None.
    """

    widths: tuple[int, ...] = (64, 3)
    last_norm: bool = True
    use_bias: bool = True
    affine: bool = True
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """(N, ...) -> (N, widths[-1]); inputs are flattened."""
        x = x.reshape(x.shape[0], -1).astype(self.dtype)
        for index, width in enumerate(self.widths):
            last = index == len(self.widths) - 1
            x = layers.linear(x, width, use_bias=self.use_bias, dtype=self.dtype)
            if self.last_norm or not last:
                x = layers.batch_norm(
                    train, dtype=self.dtype, axis_name=self.axis_name, affine=self.affine
                )(x)
            x = x if last else nn.relu(x)
        return x
