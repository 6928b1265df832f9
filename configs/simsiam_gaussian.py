"""SimSiam on the Gaussian mixture: Table 2, 40.6 degrees. Predictor 3-64-3 is our choice.

python -m mi_ssl_jax.main --config=configs/simsiam_gaussian.py
"""

from configs.base import gaussian


def get_config():
    return gaussian.base(
        'simsiam',
        predictor=True,
        objective='cosine',
        temperature=1.0,
        block_size=250,
    )
