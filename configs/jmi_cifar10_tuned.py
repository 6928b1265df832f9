"""JMI on CIFAR-10, our starting point: SimCLR's recipe.

No recipe for JMI is published and no number for this one is known. Optimiser, learning rate, weight
decay, widths, views and temperature are those of configs/simclr_cifar10_tuned.py, a closely related
method; the head, the bound and its marginal term are configs/jmi_cifar10.py's. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/jmi_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.solo('jmi', data, views=tuned.STRONG, lr=0.4, decay=0.0001, temperature=0.2)
    config.net.projector = (2048, 256)
    return config


def get_config():
    return recipe('cifar10')
