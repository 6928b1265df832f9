"""Projectors, predictors, prototypes, and the encoder that joins them to a backbone."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from mi_ssl_jax.core import linalg
from mi_ssl_jax.nets import layers


class Output(NamedTuple):
    """An encoder's output for one view.

    features: (N, F) backbone output, for probes. z: (N, D) projector output, not normalised. p: (N,
    D) predictor output or (N, K) scores against prototypes, or None without either. shared: values
    that are the same for every example, such as prototypes.
    """

    features: Array
    z: Array
    p: Array | None = None
    shared: Mapping[str, Array] = {}


class Head(nn.Module):
    """Linear, batch norm, activation, ..., linear and, with `last_norm`, a last batch norm.

    Attributes:
      widths: output width of each linear layer.
      hidden_bias, last_bias: whether hidden layers and the last one have a bias.
      last_norm: None, 'affine', or 'plain' (batch norm without scale and offset).
      hidden_norm: whether hidden layers have batch norm (MoCo v2's have none).
      activation: of hidden layers.
      stddev: of the initial weights; None: PyTorch's default initialisation.
      dtype: compute type; parameters are float32. axis_name: for batch statistics, or None.
    """

    widths: tuple[int, ...]
    hidden_bias: bool
    last_bias: bool
    last_norm: str | None
    hidden_norm: bool = True
    activation: Callable[[Array], Array] = nn.relu
    stddev: float | None = None
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """(N, F) -> (N, widths[-1])."""
        norm = {'dtype': self.dtype, 'axis_name': self.axis_name}
        for width in self.widths[:-1]:
            x = layers.linear(
                x, width, use_bias=self.hidden_bias, dtype=self.dtype, stddev=self.stddev
            )
            x = self.activation(layers.batch_norm(train, **norm)(x) if self.hidden_norm else x)
        x = layers.linear(
            x, self.widths[-1], use_bias=self.last_bias, dtype=self.dtype, stddev=self.stddev
        )
        if self.last_norm is not None:
            x = layers.batch_norm(train, affine=self.last_norm == 'affine', **norm)(x)
        return x


class Prototypes(nn.Module):
    """Cosines of embeddings and K prototypes of unit length.

    Attributes:
      size: K.
      normalise: divide each prototype by its norm here (a weight-normalised layer with its gain
      fixed at 1);
        else they start at unit length, and the optimiser keeps them there
        (methods.api.Group.unit_rows).
      dtype: compute type; parameters are float32.
    """

    size: int
    normalise: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Array) -> tuple[Array, Array]:
        """Embeddings (N, D), of any length -> scores (N, K), prototypes (K, D)."""
        uniform = layers.uniform_fan_in(z.shape[-1])
        init = uniform if self.normalise else lambda *arguments: linalg.unit(uniform(*arguments))
        rows = self.param('rows', init, (self.size, z.shape[-1]))
        rows = linalg.unit(rows) if self.normalise else rows
        return jnp.matmul(linalg.unit(z).astype(self.dtype), rows.astype(self.dtype).T), rows


class Encoder(nn.Module):
    """Backbone, projector (None: the embedding is the backbone's output), and what makes p: a
    predictor, or prototypes, whose matrix is then among the shared values (both None: no p).

    critic: of pairs of embeddings, trained with the encoder; its parameters are among the shared
    values, for the loss, which sees the whole batch, applies it.
    """

    backbone: nn.Module
    projector: nn.Module | None = None
    predictor: nn.Module | None = None
    prototypes: nn.Module | None = None
    critic: nn.Module | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Output:
        features = self.backbone(x, train)
        z = features if self.projector is None else self.projector(features, train)
        p, shared = None if self.predictor is None else self.predictor(z, train), {}
        if self.prototypes is not None:
            p, shared['prototypes'] = self.prototypes(z)
        if self.critic is not None:
            if self.is_initializing():
                self.critic(z[:1], z[:1])
            shared['critic'] = self.variables['params']['critic']
        # Losses and statistics run in float32 even when the network does not.
        wide = [
            None if a is None else a.astype(jnp.promote_types(a.dtype, jnp.float32))
            for a in (features, z, p)
        ]
        return Output(*wide, shared)
