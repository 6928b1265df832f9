"""JMI on the Gaussian mixture: Table 2, 88.3 degrees.

python -m mi_ssl_jax.main --config=configs/jmi_gaussian.py
"""

from configs.base import gaussian


def get_config():
    return gaussian.base(
        'jmi',
        temperature=1.0,
        objective='dv',
        marginal='bound',
        marginal_weight=1.0,
        block_size=250,
        critic='cosine',
    )
