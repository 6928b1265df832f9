"""A contextual stochastic block model: communities that edges and features both hint at (arXiv
1807.09596).
"""

import hashlib

import numpy as np

from mi_ssl_jax.data import records
from mi_ssl_jax.data.generated import graphs
from mi_ssl_jax.data.splits import Resident


def draw(
    *,
    nodes: int,
    communities: int,
    within: float,
    between: float,
    features: int,
    separation: float,
    train: float,
    seed: int,
) -> graphs.Graph:
    """A graph of communities of equal size (up to one node), the node's community as its label.

    Two nodes of one community are joined with probability `within`, others with `between`.
    Features: a centre a community, random and of length `separation`, plus unit normal noise.
    train: share of training nodes.
    """
    random = np.random.RandomState(
        seed
    )  # RandomState: its stream is the same in every numpy version
    labels = random.permutation(np.arange(nodes, dtype=np.int32) % communities)
    centres = random.standard_normal((communities, features))
    centres *= separation / np.linalg.norm(centres, axis=1, keepdims=True)
    rows = centres[labels] + random.standard_normal((nodes, features))
    pairs = []
    for node in range(nodes - 1):  # row by row: all pairs at once would not fit the memory
        later = labels[node + 1 :]
        joined = np.flatnonzero(
            random.random_sample(len(later)) < np.where(later == labels[node], within, between)
        )
        pairs.append(np.stack([np.full(len(joined), node), node + 1 + joined], axis=1))
    return graphs.Graph(
        rows.astype(np.float32),
        graphs.undirected(np.concatenate(pairs)),
        labels,
        graphs.training_nodes(labels, train),
    )


def load(
    data_dir: str | None,
    *,
    nodes: int = 1000,
    communities: int = 5,
    within: float = 0.04,
    between: float = 0.005,
    features: int = 64,
    separation: float = 1.0,
    train: float = 0.1,
    seed: int = 0,
) -> Resident:
    """The prepared graph of these parameters (see `draw`); writes it at first use. Each choice has
    its own folder.
    """
    chosen = dict(
        nodes=nodes,
        communities=communities,
        within=within,
        between=between,
        features=features,
        separation=separation,
        train=train,
        seed=seed,
    )
    _check(chosen)
    digest = hashlib.sha256(repr(chosen).encode()).hexdigest()[:8]
    name = f'sbm_{digest}'
    folder = records.root(data_dir) / name / graphs.VERSION
    if not (folder / 'dataset_info.json').exists():
        description = 'Contextual stochastic block model: ' + ', '.join(
            f'{key} {value}' for key, value in chosen.items()
        )
        records.write(
            graphs.spec(name, draw(**chosen), description, 'https://arxiv.org/abs/1807.09596'),
            data_dir,
        )
    return graphs.load(folder, 'sbm')


def _check(chosen: dict) -> None:
    if chosen['communities'] < 2 or chosen['nodes'] < 2 * chosen['communities']:
        raise ValueError(
            f'nodes={chosen["nodes"]}, communities={chosen["communities"]}: at least 2 communities'
            ' of 2 nodes'
        )
    for name in ('within', 'between'):
        if not 0 <= chosen[name] <= 1:
            raise ValueError(f'{name}={chosen[name]}: a probability lies between 0 and 1')
    if chosen['within'] == chosen['between'] == 0:
        raise ValueError('within and between are 0: the graph has no edges')
    if chosen['features'] < 1 or chosen['separation'] < 0:
        raise ValueError(
            f'features={chosen["features"]} must be at least 1 and'
            f' separation={chosen["separation"]} at least 0'
        )
