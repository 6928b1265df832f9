"""SwAV on CIFAR-10 by solo-learn's recipe: 89.17 %.

Published: 89.17 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. 3000 prototypes, frozen for two epochs; the queue begins
at epoch 50. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/swav_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.solo(
        'swav',
        data,
        views=tuned.STRONG,
        lr=0.6,
        decay=1e-06,
        prototypes=3000,
        queue_size=3840,
        queue_epoch=50,
        frozen_epochs=2,
    )
    config.net.projector = (2048, 128)
    return config


def get_config():
    return recipe('cifar10')
