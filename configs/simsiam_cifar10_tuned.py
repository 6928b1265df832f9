"""SimSiam on CIFAR-10 by solo-learn's recipe: 90.51 %.

Published: 90.51 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. SGD; the predictor learns at a constant rate. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/simsiam_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.plain('simsiam', data, 'sgd', views=tuned.WEAK, lr=0.5, decay=1e-05)
    config.net.projector = (2048, 2048, 2048)
    config.net.predictor = (512,)
    return config


def get_config():
    return recipe('cifar10')
