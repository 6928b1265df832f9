"""SimCLR on CIFAR-100 by solo-learn's recipe: 65.78 %.

Published: 65.78 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Its projector has no batch norm. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/simclr_cifar100_tuned.py
"""

from configs import simclr_cifar10_tuned


def get_config():
    return simclr_cifar10_tuned.recipe('cifar100')
