"""MoCo v2 on handwritten digits.

python -m mi_ssl_jax.main --config=configs/mocov2_digits.py
"""

from configs import digits


def get_config():
    return digits.base(
        'mocov2',
        temperature=0.1,
        queue_size=1024,
        momentum=0.99,
        momentum_schedule='constant',
    )
