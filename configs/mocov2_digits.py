"""MoCo v2 on handwritten digits.

python -m mi_ssl_jax.main --config=configs/mocov2_digits.py
"""

from configs.base import digits


def get_config():
    return digits.base('mocov2', queue_size=1024)
