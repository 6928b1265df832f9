"""SwAV on handwritten digits.

python -m mi_ssl_jax.main --config=configs/swav_digits.py
"""

from configs import digits


def get_config():
    return digits.base(
        'swav',
        prototypes=128,
        queue_size=1024,
        queue_epoch=15,
        temperature=0.1,
        epsilon=0.05,
        iterations=3,
        frozen_epochs=1,
    )
