"""MoCo-v3 on TinyImageNet: Table 6.

The paper's linear probe (Table 1): 32.18 +- 0.55 %.
Open in the paper, and our choice: the predictor has no batch norm at its end, as MoCo-v3's for
ResNets;
temperature 0.1, EMA 0.996. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/mocov3_tin.py
"""

from configs.base import images


def get_config():
    return images.tiny_imagenet('mocov3')
