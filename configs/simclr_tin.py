"""SimCLR on TinyImageNet: Table 6.

The paper's linear probe (Table 1): 33.79 +- 0.31 %.
Open in the paper, and our choice: batch norm on every layer of the projector, as in SimCLR's code;
temperature 0.1. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/simclr_tin.py
"""

from configs.base import images


def get_config():
    return images.tiny_imagenet('simclr')
