"""MoCo-v3 on CIFAR-10 by solo-learn's recipe: 93.10 %.

Published: 93.10 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. EMA 0.99 to 1. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/mocov3_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.solo(
        'mocov3',
        data,
        views=tuned.ASYMMETRIC,
        lr=0.3,
        decay=1e-06,
        temperature=0.2,
        momentum=0.99,
        momentum_schedule='cosine',
    )
    config.net.projector = (4096, 256)
    config.net.predictor = (4096,)
    return config


def get_config():
    return recipe('cifar10')
