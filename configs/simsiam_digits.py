"""SimSiam on handwritten digits.

python -m mi_ssl_jax.main --config=configs/simsiam_digits.py
"""

from configs import common, digits


def get_config():
    return digits.base(
        'simsiam',
        predictor=True,
        objective='cosine',
        temperature=0.1,
        block_size=common.optional_int(),
    )
