"""W-MSE on CIFAR-100 by solo-learn's recipe: 61.33 %.

Published: 61.33 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Adam with the decay in the gradient; slices of 128. The
rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/wmse_cifar100_tuned.py
"""

from configs import wmse_cifar10_tuned


def get_config():
    return wmse_cifar10_tuned.recipe('cifar100')
