"""SimCLR on ImageNet-100: Table 6.

The paper's linear probe (Table 1): 75.31 +- 0.76 %.
Open in the paper, and our choice: batch norm on every layer of the projector, as in SimCLR's code;
temperature 0.1. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/simclr_in100.py
"""

from configs.base import images


def get_config():
    return images.imagenet100('simclr')
