"""VICReg on CIFAR-100: Table 5, row VICReg CIFAR100.

The paper's linear probe (Table 1): 54.00 +- 0.34 %.
The coefficients 25, 25, 1 and eps 1e-4 are the paper's. No warm-up is our choice. The rest:
configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/vicreg_cifar100.py
"""

from configs.base import images


def get_config():
    config = images.cifar('vicreg', 'cifar100')
    config.lr = 0.03
    config.weight_decay = 5e-4
    config.net.projector = (2048, 2048, 256)
    return config
