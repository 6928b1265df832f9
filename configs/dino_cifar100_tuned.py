"""DINO on CIFAR-100 by solo-learn's recipe: 66.76 %.

Published: 66.76 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. 4096 prototypes, EMA 0.9995 to 1; no clipping and a
constant weight decay, for the row names neither. Batch norm in the head is
configs/base/methods.py's. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/dino_cifar100_tuned.py
"""

from configs import dino_cifar10_tuned


def get_config():
    return dino_cifar10_tuned.recipe('cifar100')
