"""DINO on CIFAR-10 by solo-learn's recipe: 89.52 %.

Published: 89.52 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. 4096 prototypes, EMA 0.9995 to 1; no clipping and a
constant weight decay, for the row names neither. Batch norm in the head is
configs/base/methods.py's. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/dino_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.solo(
        'dino',
        data,
        views=tuned.ASYMMETRIC,
        lr=0.3,
        decay=1e-06,
        momentum=0.9995,
        clip=0.0,
        final_weight_decay=1e-6,
    )
    config.net.projector = (2048, 256)
    return config


def get_config():
    return recipe('cifar10')
