"""JMI on handwritten digits.

python -m mi_ssl_jax.main --config=configs/jmi_digits.py
"""

from configs import common, digits


def get_config():
    return digits.base(
        'jmi',
        temperature=0.1,
        objective='dv',
        marginal='bound',
        marginal_weight=1.0,
        block_size=common.optional_int(),
    )
