"""VICReg on CIFAR-10: Table 5, row VICReg CIFAR10.

The paper's linear probe (Table 1): 85.49 +- 1.03 %.
The coefficients 25, 25, 1 and eps 1e-4 are the paper's. No warm-up is our choice. The rest:
configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/vicreg_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('vicreg', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 2048, 256)
    return config
