"""SDMI on series of your own: see configs/OWN_DATA.md.

python -m mi_ssl_jax.data.prepare arrays --kind=series --as=my_series --source=FILE.npz
python -m mi_ssl_jax.main --config=configs/sdmi_series.py
"""

from configs.base import own


def get_config():
    return own.series('sdmi')
