"""BYOL on CIFAR-100: Table 5, row BYOL CIFAR100.

The paper's linear probe (Table 1): 63.11 +- 0.21 %.
Open in the paper, and our choice: the target starts from its own random weights, as in BYOL's code;
no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/byol_cifar100.py
"""

from configs.base import images


def get_config():
    config = images.cifar('byol', 'cifar100')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 256)
    return config
