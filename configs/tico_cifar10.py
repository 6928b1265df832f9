"""TiCo on CIFAR-10. Not in the paper's tables.

The source's: decay 0.9 and weight 8 of the covariance term, EMA from 0.99 to 1, BYOL's views. Our
choice, for
want of a setting for CIFAR: the learning rate, weight decay and widths of BYOL's row in Table 5.

python -m mi_ssl_jax.main --config=configs/tico_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('tico', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 2048, 256)
    return config
