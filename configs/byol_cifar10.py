"""BYOL on CIFAR-10: Table 5, row BYOL CIFAR10.

The paper's linear probe (Table 1): 91.28 +- 0.16 %.
Open in the paper, and our choice: the target starts from its own random weights, as in BYOL's code;
no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/byol_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('byol', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 2048, 256)
    return config
