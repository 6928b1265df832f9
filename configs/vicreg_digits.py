"""VICReg on handwritten digits.

python -m mi_ssl_jax.main --config=configs/vicreg_digits.py
"""

from configs import digits


def get_config():
    return digits.base(
        'vicreg',
        invariance_weight=25.0,
        variance_weight=25.0,
        covariance_weight=1.0,
        eps=1e-4,
    )
