"""Barlow Twins on ImageNet-100: Table 6.

The paper's linear probe (Table 1): 78.96 +- 0.30 %.
Open in the paper, and our choice: lambda 0.005. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/barlow_in100.py
"""

from configs.base import images


def get_config():
    return images.imagenet100('barlow')
