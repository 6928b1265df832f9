"""JMI on a stochastic block model: the method as on images; encoder and views are the graph's.

python -m mi_ssl_jax.main --config=configs/jmi_sbm.py
"""

from configs.base import graphs


def get_config():
    return graphs.base('jmi')
