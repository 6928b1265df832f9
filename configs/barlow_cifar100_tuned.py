"""Barlow Twins on CIFAR-100 by solo-learn's recipe: 70.90 %.

Published: 70.90 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Lambda 0.0051; the loss is multiplied by 0.1. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/barlow_cifar100_tuned.py
"""

from configs import barlow_cifar10_tuned


def get_config():
    return barlow_cifar10_tuned.recipe('cifar100')
