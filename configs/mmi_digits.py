"""Explicit mutual information maximisation on handwritten digits.

python -m mi_ssl_jax.main --config=configs/mmi_digits.py
"""

from configs import digits


def get_config():
    return digits.base(
        'mmi',
        order=4,
        rescale=True,
        eigenvalue_momentum=0.99,
        eps=1e-3,
        momentum_encoder=False,
        momentum=0.99,
        momentum_schedule='cosine',
    )
