"""Barlow Twins on CIFAR-10 by solo-learn's recipe: 92.10 %.

Published: 92.10 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Lambda 0.0051; the loss is multiplied by 0.1. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/barlow_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.solo(
        'barlow',
        data,
        views=tuned.ASYMMETRIC,
        lr=0.3,
        decay=0.0001,
        redundancy_weight=0.0051,
        loss_scale=0.1,
    )
    config.net.projector = (2048, 2048, 2048)
    return config


def get_config():
    return recipe('cifar10')
