"""JMI on CIFAR-100, our starting point: SimCLR's recipe.

No recipe for JMI is published and no number for this one is known. Optimiser, learning rate, weight
decay, widths, views and temperature are those of configs/simclr_cifar100_tuned.py, a closely
related method; the head, the bound and its marginal term are configs/jmi_cifar100.py's. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/jmi_cifar100_tuned.py
"""

from configs import jmi_cifar10_tuned


def get_config():
    return jmi_cifar10_tuned.recipe('cifar100')
