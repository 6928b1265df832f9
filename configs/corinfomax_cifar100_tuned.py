"""CorInfoMax on CIFAR-100 by its own recipe: 71.61 %.

Source: arXiv 2209.07999. Published: 71.61 % top-1, ResNet-18, 1000 epochs, batch 512, by an offline
linear probe; whether of its last or best epoch is not said. SGD 0.5, weight decay 1e-4, ten epochs
of warm-up, cosine to 0; projector 2048-2048-64 without batch norm; invariance weight 1000.
The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/corinfomax_cifar100_tuned.py
"""

from configs.base import tuned


def get_config():
    config = tuned.corinfomax('corinfomax', 'cifar100', invariance_weight=1000.0)
    config.net.projector = (2048, 2048, 64)
    return config
