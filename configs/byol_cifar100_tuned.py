"""BYOL on CIFAR-100 by solo-learn's recipe: 70.46 %.

Published: 70.46 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. EMA 0.99 to 1. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/byol_cifar100_tuned.py
"""

from configs import byol_cifar10_tuned


def get_config():
    return byol_cifar10_tuned.recipe('cifar100')
