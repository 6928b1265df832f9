"""Views of a graph: fewer edges and fewer features (BGRL, arXiv 2102.06514, section 3.1)."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import Array

Graph = Mapping[
    str, Array
]  # 'features' (nodes, F), 'edges' (E, 2), 'mask' (E,): the edges that are there


def graph(
    key: Array,
    example: Graph,
    *,
    edge_drop: Sequence[float] = (0.2, 0.3),
    feature_mask: Sequence[float] = (0.2, 0.1),
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Two views of one graph, each without some edges and with some features set to 0 in all nodes.

    An edge goes in both directions or in none, so a view is undirected as the graph is; the
    reference code drops the two directions apart. Features that stay are not rescaled. The defaults
    are BGRL's for WikiCS.

    Args:
      key: random key of this graph.
      example: one graph; each undirected edge stands in it once.
      edge_drop: probability that an edge is dropped, in the first and in the second view.
      feature_mask: probability that a feature is set to 0, in the first and in the second view.

    Raises:
      ValueError: not two probabilities in [0, 1).
    """
    for name, values in (('edge_drop', edge_drop), ('feature_mask', feature_mask)):
        if len(values) != 2 or not all(0 <= value < 1 for value in values):
            raise ValueError(
                f'{name}={tuple(values)}: give two probabilities in [0, 1), one a view'
            )

    def view(key: Array, drop: float, hide: float) -> dict[str, Array]:
        key_edges, key_features = jax.random.split(key)
        kept = jax.random.bernoulli(key_edges, 1 - drop, example['mask'].shape)
        seen = jax.random.bernoulli(key_features, 1 - hide, example['features'].shape[1:])
        same = whole(example)
        return {**same, 'features': same['features'] * seen, 'mask': same['mask'] & kept}

    first, second = jax.random.split(key)
    return view(first, edge_drop[0], feature_mask[0]), view(second, edge_drop[1], feature_mask[1])


def whole(example: Graph) -> dict[str, Array]:
    """The graph itself, its features as float32 or wider."""
    features = example['features']
    return {**example, 'features': features.astype(jnp.promote_types(features.dtype, jnp.float32))}
