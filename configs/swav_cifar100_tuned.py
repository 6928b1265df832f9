"""SwAV on CIFAR-100 by solo-learn's recipe: 64.88 %.

Published: 64.88 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. 3000 prototypes, frozen for two epochs; the queue begins
at epoch 50. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/swav_cifar100_tuned.py
"""

from configs import swav_cifar10_tuned


def get_config():
    return swav_cifar10_tuned.recipe('cifar100')
