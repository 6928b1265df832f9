"""Graphs, each one example whose nodes are what losses compare: what their configurations share.

A full-graph step, AdamW, warm-up and cosine as BGRL (arXiv 2102.06514); the encoder is smaller than
BGRL's (512, 256). Whole graph in every step, its held-out nodes too: without their labels, which no
step of training sees. MI and collapse are measured on the held-out nodes' embeddings, probes fitted
on the training nodes' and tested on the held-out ones'.
"""

from ml_collections import ConfigDict

from configs.base import common, methods


def base(name: str, **changes) -> ConfigDict:
    """A contextual stochastic block model: 1,000 nodes, 5 communities, about 12 neighbours, 4 of
    them strangers.
    """
    config = common.base()
    config.data.name = 'sbm'
    config.data.options = ConfigDict(
        {
            'nodes': 1000,
            'communities': 5,
            'within': 0.04,
            'between': 0.005,  # probabilities of an edge
            'features': 64,
            'separation': (
                1.0
            ),  # length of a community's centre, in standard deviations of the noise
            'train': 0.1,  # share of the nodes whose labels probes may learn
            'seed': 0,
        }
    )
    config.views.name = 'graph'
    config.views.options = ConfigDict(
        {'edge_drop': (0.2, 0.3), 'feature_mask': (0.2, 0.1)}
    )  # BGRL's for WikiCS
    config.batch_size = 1
    config.devices = 1  # one graph cannot be shared
    config.epochs = 500  # a step each
    config.warmup_epochs = 50
    config.lr = 1e-3
    config.weight_decay = 1e-5
    config.optimizer.name = 'adamw'
    config.net.name = 'gcn'
    config.net.options.gcn = ConfigDict({'widths': (64, 32)})
    config.net.predictor = (64,)
    config.mi.every = 25
    config.probe.at_end = True
    config.probe.labels = ('all',)
    config.method = common.method(name, **{**methods.arguments(name), **changes})
    return config
