"""MoCo-v3 on handwritten digits.

python -m mi_ssl_jax.main --config=configs/mocov3_digits.py
"""

from configs.base import digits


def get_config():
    return digits.base('mocov3', momentum=0.99, momentum_schedule='cosine')
