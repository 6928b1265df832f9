"""Explicit mutual information maximisation on the Gaussian mixture; not in the paper's Table 2.

Our choice: the settings of the other methods there.

python -m mi_ssl_jax.main --config=configs/mmi_gaussian.py
"""

from configs.base import gaussian


def get_config():
    return gaussian.base(
        'mmi',
        form='difference',
        order=4,
        rescale=True,
        eigenvalue_momentum=0.99,
        eps=1e-3,
        momentum_encoder=False,
        momentum=0.996,
        momentum_schedule='constant',
        momentum_end=1.0,
    )
