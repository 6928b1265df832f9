"""Explicit mutual information maximisation on CIFAR-100, our starting point: CorInfoMax's recipe.

No recipe for this method is published and no number for this one is known. Optimiser, learning
rate, weight decay, batch, widths and views are those of CorInfoMax (arXiv 2209.07999), which
maximises the log determinants of the same covariances; the head and the loss are
configs/mmi_cifar100.py's. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/mmi_cifar100_tuned.py
"""

from configs import mmi_cifar10_tuned


def get_config():
    return mmi_cifar10_tuned.recipe('cifar100')
