"""TiCo on handwritten digits.

python -m mi_ssl_jax.main --config=configs/tico_digits.py
"""

from configs import digits


def get_config():
    return digits.base(
        'tico',
        momentum=0.99,
        momentum_schedule='cosine',
        decay=0.9,
        weight=8.0,
    )
