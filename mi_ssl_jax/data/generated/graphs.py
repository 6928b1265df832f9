"""Graphs as TFDS data sets of one record, and how a graph is held: the whole of it in both
splits.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.data import faults, records
from mi_ssl_jax.data.splits import Resident, Split

VERSION = '1.0.0'
LIMIT = 2e9  # bytes of features: a record cannot be larger


class Graph(NamedTuple):
    """features: (nodes, F) float32. edges: (E, 2) int32, see `undirected`. labels: (nodes,) int32,
    from 0 on, or -1 for none.

    train: (nodes,) bool, the nodes whose labels probes may learn from; the others are held out.
    """

    features: np.ndarray
    edges: np.ndarray
    labels: np.ndarray
    train: np.ndarray


def undirected(pairs: np.ndarray) -> np.ndarray:
    """Pairs of nodes (m, 2) -> (E, 2) int32, each edge once, the smaller node first, sorted; no
    self-loops.
    """
    ordered = np.sort(np.asarray(pairs, np.int64).reshape(-1, 2), axis=1)
    return np.unique(ordered[ordered[:, 0] != ordered[:, 1]], axis=0).astype(np.int32)


def training_nodes(labels: np.ndarray, share: float) -> np.ndarray:
    """(nodes,) bool: a fixed random share of each class, at least one node of it and never all.

    Raises ValueError for a share outside (0, 1) and for a class of fewer than two nodes.
    """
    if not 0 < share < 1:
        raise ValueError(f'train={share}: the share of training nodes lies between 0 and 1')
    random = np.random.RandomState(0)  # RandomState: its stream is the same in every numpy version
    chosen = np.zeros(len(labels), bool)
    for label in range(labels.max() + 1):
        members = random.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(
                f'class {label} has {len(members)} nodes: one to train and one to hold out are'
                ' needed'
            )
        chosen[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
    return chosen


def spec(name: str, graph: Graph, description: str, homepage: str) -> records.Spec:
    """The graph as a TFDS data set: the one record of the split 'graph'."""

    def features(tfds):
        def tensor(array: np.ndarray):
            return tfds.features.Tensor(shape=array.shape, dtype=array.dtype, encoding='zlib')

        return tfds.features.FeaturesDict(
            {field: tensor(array) for field, array in graph._asdict().items()}
        )

    return records.Spec(
        name=name,
        version=VERSION,
        description=description,
        homepage=homepage,
        citation='',
        features=features,
        shards={'graph': [lambda: iter([(0, graph._asdict())])]},
        finish=lambda: None,
    )


def load(folder: Path, name: str, class_names: tuple[str, ...] | None = None) -> Resident:
    """A prepared graph. Both splits hold the whole graph; labels of the other split's nodes are
    -1.
    """
    stored = records.read(folder, 'graph')
    with faults.reading(folder, ': remove that folder and prepare it again'):
        graph = Graph(**stored[0])
    classes = class_names or tuple(str(label) for label in range(graph.labels.max() + 1))
    x = {
        'features': graph.features[None],
        'edges': graph.edges[None],
        'mask': np.ones((1, len(graph.edges)), bool),
    }
    train, test = (
        Split(x, np.where(own, graph.labels, -1)[None].astype(np.int32))
        for own in (graph.train, ~graph.train)
    )
    return Resident(name, train, test, graph.features.shape, classes, None)
