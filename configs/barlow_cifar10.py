"""Barlow Twins on CIFAR-10: Table 5, row Barlow Twins CIFAR10.

The paper's linear probe (Table 1): 85.56 +- 0.71 %.
Open in the paper, and our choice: lambda 0.005; no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/barlow_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('barlow', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 256)
    return config
