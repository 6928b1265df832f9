"""Barlow Twins on TinyImageNet: Table 6.

The paper's linear probe (Table 1): 30.26 +- 0.12 %.
Open in the paper, and our choice: lambda 0.005. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/barlow_tin.py
"""

from configs.base import images


def get_config():
    return images.tiny_imagenet('barlow')
