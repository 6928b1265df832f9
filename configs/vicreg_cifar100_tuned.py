"""VICReg on CIFAR-100 by solo-learn's recipe: 68.54 %.

Published: 68.54 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Coefficients 25, 25, 1 in the source's
units: it adds both views' variance terms, which VICReg averages, hence 50 here. Crops from a fifth
of the image, both views solarized at 0.1. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/vicreg_cifar100_tuned.py
"""

from configs import vicreg_cifar10_tuned


def get_config():
    return vicreg_cifar10_tuned.recipe('cifar100')
