"""BGRL on Zachary's karate club, which comes with networkx: pip install networkx.

python -m mi_ssl_jax.main --config=configs/bgrl_karate.py
"""

from ml_collections import ConfigDict

from configs.base import graphs


def get_config():
    config = graphs.base('bgrl')
    config.data.name = 'karate'
    config.data.options = ConfigDict()
    config.net.options.gcn.widths = (16, 8)
    config.net.predictor = (16,)
    return config
