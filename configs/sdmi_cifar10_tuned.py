"""SDMI on CIFAR-10, our starting point: MoCo-v3's recipe.

No recipe for SDMI is published and no number for this one is known. Optimiser, learning rate,
weight decay, widths, views and temperature are those of configs/mocov3_cifar10_tuned.py, a closely
related method; the head, the bound and its marginal term are configs/sdmi_cifar10.py's. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/sdmi_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.solo('sdmi', data, views=tuned.ASYMMETRIC, lr=0.3, decay=1e-06, temperature=0.2)
    config.net.projector = (4096, 256)
    return config


def get_config():
    return recipe('cifar10')
