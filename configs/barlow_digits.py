"""Barlow Twins on handwritten digits.

python -m mi_ssl_jax.main --config=configs/barlow_digits.py
"""

from configs.base import digits


def get_config():
    return digits.base('barlow')
