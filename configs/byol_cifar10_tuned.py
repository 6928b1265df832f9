"""BYOL on CIFAR-10 by solo-learn's recipe: 92.58 %.

Published: 92.58 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. EMA 0.99 to 1. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/byol_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.solo(
        'byol',
        data,
        views=tuned.ASYMMETRIC,
        lr=1.0,
        decay=1e-05,
        momentum=0.99,
        momentum_schedule='cosine',
    )
    config.net.projector = (4096, 256)
    config.net.predictor = (4096,)
    return config


def get_config():
    return recipe('cifar10')
