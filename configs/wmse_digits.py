"""W-MSE on handwritten digits.

python -m mi_ssl_jax.main --config=configs/wmse_digits.py
"""

from configs.base import digits


def get_config():
    config = digits.base('wmse')
    config.net.projector = (128, 32)  # a slice is four times its embeddings' dimension
    return config
