"""W-MSE on handwritten digits.

python -m mi_ssl_jax.main --config=configs/wmse_digits.py
"""

from configs import digits


def get_config():
    config = digits.base(
        'wmse',
        slice_size=128,
        iterations=1,
        eps=0.0,
    )
    config.net.projector = (128, 32)  # a slice is four times its embeddings' dimension
    return config
