"""SimCLR on the Gaussian mixture: Table 2, 65.8 degrees. Temperature 0.07 is our fit.

python -m mi_ssl_jax.main --config=configs/simclr_gaussian.py
"""

from configs.base import gaussian


def get_config():
    return gaussian.base(
        'simclr',
        temperature=0.07,
        objective='nt_xent',
        block_size=250,
        head_norm=True,
    )
