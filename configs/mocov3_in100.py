"""MoCo-v3 on ImageNet-100: Table 6.

The paper's linear probe (Table 1): 76.86 +- 0.74 %.
Open in the paper, and our choice: the predictor has no batch norm at its end, as MoCo-v3's for
ResNets;
temperature 0.1, EMA 0.996. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/mocov3_in100.py
"""

from configs.base import images


def get_config():
    return images.imagenet100('mocov3')
