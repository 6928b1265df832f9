"""SimSiam on CIFAR-100 by solo-learn's recipe: 66.04 %.

Published: 66.04 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. SGD; the predictor learns at a constant rate. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/simsiam_cifar100_tuned.py
"""

from configs import simsiam_cifar10_tuned


def get_config():
    return simsiam_cifar10_tuned.recipe('cifar100')
