"""SimCLR on feature vectors of your own: see configs/OWN_DATA.md.

python -m mi_ssl_jax.data.prepare arrays --as=my_vectors --source=FILE.npz
python -m mi_ssl_jax.main --config=configs/simclr_arrays.py
"""

from configs.base import own


def get_config():
    return own.vectors('simclr')
