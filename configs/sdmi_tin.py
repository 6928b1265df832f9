"""SDMI on TinyImageNet: Table 6.

The paper's linear probe (Table 1): 33.30 +- 0.58 (f) and 32.94 +- 0.71 (g) %.
Open in the paper, and our choice: SimCLR's views, the projector's batch norms; temperature 0.1. The
rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/sdmi_tin.py
"""

from configs.base import images


def get_config():
    return images.tiny_imagenet('sdmi')
