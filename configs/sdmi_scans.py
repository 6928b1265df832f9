"""SDMI on images of your own of any channels and type: see configs/OWN_DATA.md.

python -m mi_ssl_jax.data.prepare arrays --as=my_scans --source=FILE.npz
python -m mi_ssl_jax.main --config=configs/sdmi_scans.py
"""

from configs.base import own


def get_config():
    return own.images('sdmi', size=24)
