"""CorInfoMax on CIFAR-10 beside MMI. Not in the paper's tables.

The loss, its settings and the views are the source's (arXiv 2209.07999); learning rate, weight
decay and projector are configs/mmi_cifar10.py's, so that the two can be compared. The source's own
recipe: configs/corinfomax_cifar10_tuned.py.

python -m mi_ssl_jax.main --config=configs/corinfomax_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('corinfomax', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 256)
    return config
