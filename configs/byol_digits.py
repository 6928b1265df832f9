"""BYOL on handwritten digits.

python -m mi_ssl_jax.main --config=configs/byol_digits.py
"""

from configs.base import digits


def get_config():
    return digits.base('byol', momentum=0.99, momentum_schedule='cosine')
