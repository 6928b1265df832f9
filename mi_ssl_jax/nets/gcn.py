"""Graph convolutional networks (Kipf and Welling 2017, arXiv 1609.02907) as BGRL uses them (arXiv
2102.06514).
"""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from mi_ssl_jax.nets import layers

SLOPE = 0.25  # of PReLU at the start, PyTorch's default


def propagate(x: Array, edges: Array, mask: Array) -> Array:
    """D^-1/2 (A + I) D^-1/2 x: each node's mean with its neighbours, weighted by degrees (Kipf and
    Welling, Eq. 2).

    x: (n, F). edges: (E, 2) integers, each undirected edge once, without self-loops. mask: (E,)
    bool, the edges that are there; degrees are counted from them. On a GPU the sums over edges have
    no fixed order.
    """
    first, second = edges[:, 0], edges[:, 1]
    there = mask.astype(jnp.promote_types(x.dtype, jnp.float32))

    def sums(values: Array, nodes: Array) -> Array:
        return jax.ops.segment_sum(values, nodes, num_segments=len(x))

    scale = jax.lax.rsqrt(1 + sums(there, first) + sums(there, second))[:, None].astype(x.dtype)
    scaled, there = scale * x, there[:, None].astype(x.dtype)
    neighbours = sums(there * scaled[second], first) + sums(there * scaled[first], second)
    return scale * (scaled + neighbours)


class GCN(nn.Module):
    """Layers of propagate(x W), batch norm over nodes, PReLU. No bias: the batch norm would take it
    away.

    Attributes:
      widths: output width of each layer.
      dtype: compute type; parameters are float32.
      axis_name: axis over which batch statistics are averaged, or None.
    """

    widths: tuple[int, ...] = (512, 256)
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, graphs: Mapping[str, Array], train: bool) -> Array:
        """{'features' (N, n, F), 'edges' (N, E, 2), 'mask' (N, E)} -> (N n, widths[-1]): a row a
        node.
        """
        if not isinstance(graphs, Mapping):
            raise ValueError(
                f'a graph network takes graphs, not arrays of shape {graphs.shape}: choose another'
                ' net.name'
            )
        x = graphs['features'].astype(self.dtype)
        for width in self.widths:
            x = nn.Dense(
                width,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=nn.initializers.xavier_uniform(),
            )(x)
            x = jax.vmap(propagate)(x, graphs['edges'], graphs['mask'])
            x = layers.batch_norm(train, dtype=self.dtype, axis_name=self.axis_name)(x)
            x = nn.PReLU(negative_slope_init=SLOPE)(x)
        return x.reshape(-1, x.shape[-1])
