"""SDMI on handwritten digits.

python -m mi_ssl_jax.main --config=configs/sdmi_digits.py
"""

from configs import common, digits


def get_config():
    return digits.base(
        'sdmi',
        temperature=0.1,
        objective='dv',
        marginal='bound',
        marginal_weight=1.0,
        predictor=False,
        block_size=common.optional_int(),
    )
