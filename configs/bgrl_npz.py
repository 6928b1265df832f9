"""BGRL on a graph of your own: the settings for Amazon Photos (arXiv 2102.06514, appendix).

python -m mi_ssl_jax.data.prepare graph_npz --source=amazon_electronics_photo.npz
python -m mi_ssl_jax.main --config=configs/bgrl_npz.py

Not run on that graph yet: 10,000 full-graph steps with 7,650 nodes want a GPU.
"""

from ml_collections import ConfigDict

from configs.base import graphs


def get_config():
    config = graphs.base('bgrl')
    config.data.name = 'graph_npz'
    config.data.options = ConfigDict()
    config.views.options = ConfigDict({'edge_drop': (0.4, 0.1), 'feature_mask': (0.1, 0.2)})
    config.epochs = 10_000
    config.warmup_epochs = 1000
    config.lr = 1e-4
    config.net.options.gcn.widths = (256, 128)
    config.net.predictor = (512,)
    config.mi.every = 500
    return config
