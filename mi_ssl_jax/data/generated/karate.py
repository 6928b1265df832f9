"""Zachary's karate club (1977): 34 members, their 78 friendships, the two clubs they split into;
from networkx.
"""

import numpy as np

from mi_ssl_jax.data import records
from mi_ssl_jax.data.generated import graphs
from mi_ssl_jax.data.splits import Resident

CLUBS = ('Mr. Hi', 'Officer')
TRAIN = 0.5  # share of the members whose club probes may learn


def original() -> graphs.Graph:
    """The club in networkx's order, friendships without their weights; a member's features say who
    it is (identity).

    ValueError when networkx is not installed.
    """
    try:
        import networkx  # needed only to write the record
    except ImportError:
        raise ValueError(
            'the karate club comes with networkx, which is not installed: pip install'
            " 'mi_ssl_jax[graphs]', or pip install networkx"
        ) from None
    club = networkx.karate_club_graph()
    labels = np.array(
        [CLUBS.index(club.nodes[member]['club']) for member in sorted(club)], np.int32
    )
    return graphs.Graph(
        np.eye(len(labels), dtype=np.float32),
        graphs.undirected(np.array(club.edges)),
        labels,
        graphs.training_nodes(labels, TRAIN),
    )


def load(data_dir: str | None) -> Resident:
    """The prepared club; writes it at first use."""
    folder = records.root(data_dir) / 'karate' / graphs.VERSION
    if not (folder / 'dataset_info.json').exists():
        description = "Zachary's karate club: 34 members, 78 friendships, two clubs."
        records.write(
            graphs.spec('karate', original(), description, 'https://networkx.org'), data_dir
        )
    return graphs.load(folder, 'karate', CLUBS)
