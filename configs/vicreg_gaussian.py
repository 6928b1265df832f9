"""VICReg on the Gaussian mixture: Table 2, 82.2 degrees.

Our choice: the loss sees the output before l2-normalisation, and the learning rate is 0.01 (0.5
diverges).

python -m mi_ssl_jax.main --config=configs/vicreg_gaussian.py
"""

from configs.base import gaussian


def get_config():
    config = gaussian.base(
        'vicreg',
        invariance_weight=25.0,
        variance_weight=25.0,
        covariance_weight=1.0,
        eps=1e-4,
    )
    config.lr = 0.01
    return config
