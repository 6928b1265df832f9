"""SimCLR on handwritten digits.

python -m mi_ssl_jax.main --config=configs/simclr_digits.py
"""

from configs import common, digits


def get_config():
    return digits.base(
        'simclr',
        temperature=0.1,
        objective='nt_xent',
        block_size=common.optional_int(),
    )
