"""MoCo v1 on handwritten digits.

python -m mi_ssl_jax.main --config=configs/mocov1_digits.py
"""

from configs.base import digits


def get_config():
    return digits.base('mocov1', queue_size=1024)
