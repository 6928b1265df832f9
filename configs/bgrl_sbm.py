"""BGRL on a stochastic block model.

python -m mi_ssl_jax.main --config=configs/bgrl_sbm.py
"""

from configs.base import graphs


def get_config():
    return graphs.base('bgrl')
