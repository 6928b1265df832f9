"""Explicit mutual information maximisation on CIFAR-10, our starting point: CorInfoMax's recipe.

No recipe for this method is published and no number for this one is known. Optimiser, learning
rate, weight decay, batch, widths and views are those of CorInfoMax (arXiv 2209.07999), which
maximises the log determinants of the same covariances; the head and the loss are
configs/mmi_cifar10.py's. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/mmi_cifar10_tuned.py
"""

from configs.base import tuned


def recipe(data):
    """Build it for data, 'cifar10' or 'cifar100', which share the recipe."""
    config = tuned.corinfomax('mmi', data)
    config.net.projector = (2048, 2048, 64)
    return config


def get_config():
    return recipe('cifar10')
