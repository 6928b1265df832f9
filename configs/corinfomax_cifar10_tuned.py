"""CorInfoMax on CIFAR-10 by its own recipe: 93.18 %.

Source: arXiv 2209.07999. Published: 93.18 % top-1, ResNet-18, 1000 epochs, batch 512, by an offline
linear probe; whether of its last or best epoch is not said. SGD 0.5, weight decay 1e-4, ten epochs
of warm-up, cosine to 0; projector 2048-2048-64 without batch norm; invariance weight 250. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/corinfomax_cifar10_tuned.py
"""

from configs.base import tuned


def get_config():
    config = tuned.corinfomax('corinfomax', 'cifar10', invariance_weight=250.0)
    config.net.projector = (2048, 2048, 64)
    return config
