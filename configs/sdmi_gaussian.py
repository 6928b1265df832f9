"""SDMI on the Gaussian mixture: Table 2, 74.5 (f) and 73.8 (g) degrees.

python -m mi_ssl_jax.main --config=configs/sdmi_gaussian.py
"""

from configs.base import gaussian


def get_config():
    return gaussian.base(
        'sdmi',
        temperature=1.0,
        objective='dv',
        marginal='bound',
        marginal_weight=1.0,
        predictor=False,
        block_size=250,
    )
