"""SDMI on CIFAR-100, our starting point: MoCo-v3's recipe.

No recipe for SDMI is published and no number for this one is known. Optimiser, learning rate,
weight decay, widths, views and temperature are those of configs/mocov3_cifar100_tuned.py, a closely
related method; the head, the bound and its marginal term are configs/sdmi_cifar100.py's. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/sdmi_cifar100_tuned.py
"""

from configs import sdmi_cifar10_tuned


def get_config():
    return sdmi_cifar10_tuned.recipe('cifar100')
