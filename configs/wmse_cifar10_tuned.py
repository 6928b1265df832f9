"""W-MSE on CIFAR-10 by solo-learn's recipe: 88.67 %.

Published: 88.67 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Adam with the decay in the gradient; slices of 128. The
rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/wmse_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.plain(
        'wmse',
        data,
        'adam',
        views={**tuned.WEAK, 'blur_p': 0.0, 'scale': (0.2, 1.0), 'jitter': (0.8, 0.8, 0.8, 0.2)},
        lr=0.002,
        decay=1e-06,
    )
    config.net.projector = (1024, 64)
    return config


def get_config():
    return recipe('cifar10')
