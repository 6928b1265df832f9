"""Learned critics: x (N, Dx), y (M, Dy) -> scores (N, M), row = x, column = y; and what else a
bound learns.

No batch norm: the score of a pair depends on that pair alone. The networks are smaller than those
in the code of Song and Ermon (2020), which have three hidden layers of 256: a fit on 10,000 samples
should take seconds.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from mi_ssl_jax.core import critics
from mi_ssl_jax.nets import layers


class Tower(nn.Module):
    """Linear, ReLU, ..., linear. widths: output width of each linear layer."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """(..., D) -> (..., widths[-1])."""
        for width in self.widths[:-1]:
            x = nn.relu(layers.linear(x, width, use_bias=True, dtype=jnp.float32))
        return layers.linear(x, self.widths[-1], use_bias=True, dtype=jnp.float32)


class Separable(nn.Module):
    """<g(x), h(y)> + b: two towers and a dot product. widths: of each tower, the embedding last."""

    widths: tuple[int, ...] = (128, 128, 32)

    @nn.compact
    def __call__(self, x: Array, y: Array) -> Array:
        g, h = Tower(self.widths, name='g')(x), Tower(self.widths, name='h')(y)
        return critics.dot(g, h, temperature=1.0) + self.param('offset', nn.initializers.zeros, ())


class Concatenated(nn.Module):
    """MLP of (x, y) side by side, for every pair. widths: of its hidden layers.

    The first layer is linear in x and in y, so it is applied to each side once and added for all
    pairs.
    """

    widths: tuple[int, ...] = (64, 64)

    @nn.compact
    def __call__(self, x: Array, y: Array) -> Array:
        fan_in = x.shape[-1] + y.shape[-1]
        init = layers.uniform_fan_in(fan_in)
        kernel = self.param('kernel', init, (fan_in, self.widths[0]))
        of_x = x @ kernel[: x.shape[-1]] + self.param('bias', init, (self.widths[0],))
        hidden = nn.relu(of_x[:, None] + y @ kernel[x.shape[-1] :])
        return Tower((*self.widths[1:], 1))(hidden)[..., 0]


class Bilinear(nn.Module):
    """x^T W y + b. It starts from W = 0, where every bound is at its value for independent data."""

    @nn.compact
    def __call__(self, x: Array, y: Array) -> Array:
        weight = self.param('weight', nn.initializers.zeros, (x.shape[-1], y.shape[-1]))
        return critics.bilinear(x, y, weight) + self.param('offset', nn.initializers.zeros, ())


class Baseline(nn.Module):
    """log a(y) (M,), the baseline of TUBA. widths: of its hidden layers."""

    widths: tuple[int, ...] = (64,)

    @nn.compact
    def __call__(self, y: Array) -> Array:
        return Tower((*self.widths, 1))(y)[:, 0]


class Conditional(nn.Module):
    """q(y given x), a diagonal Gaussian: x (N, Dx) -> mean, log variance (N, size), as CLUB has it.

    The log variance passes through tanh, as in the code of Cheng et al. (2020), scaled to at most
    `largest_log_variance` either way. widths: of the hidden layers of either network.
    """

    size: int
    widths: tuple[int, ...] = (128, 128)
    largest_log_variance: float = 6.0

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        mean = Tower((*self.widths, self.size), name='mean')(x)
        spread = Tower((*self.widths, self.size), name='log_variance')(x)
        return mean, self.largest_log_variance * jnp.tanh(spread / self.largest_log_variance)
