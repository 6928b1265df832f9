"""Barlow Twins on the Gaussian mixture: Table 2, 81.6 degrees.

Our choice: the loss sees the output before l2-normalisation.

python -m mi_ssl_jax.main --config=configs/barlow_gaussian.py
"""

from configs.base import gaussian


def get_config():
    return gaussian.base(
        'barlow',
        redundancy_weight=0.005,
        loss_scale=1.0,
    )
