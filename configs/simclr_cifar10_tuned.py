"""SimCLR on CIFAR-10 by solo-learn's recipe: 90.74 %.

Published: 90.74 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Its projector has no batch norm. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/simclr_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.solo(
        'simclr',
        data,
        views=tuned.STRONG,
        lr=0.4,
        decay=0.0001,
        temperature=0.2,
        head_norm=False,
    )
    config.net.projector = (2048, 256)
    return config


def get_config():
    return recipe('cifar10')
