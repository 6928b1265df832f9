"""MoCo v1 on CIFAR-10 with the settings of its authors' demonstration there.

Not in the paper's tables.

From the demonstration: queue of 4096 keys, EMA 0.99, temperature 0.1, embeddings of dimension 128
by a linear projector, learning rate 0.06 for 512 images, weight decay 5e-4, cosine. Its views are
weaker in hue and its
200 epochs fewer: the views here are MoCo v1's own, the rest is configs/base/images.py's. Its batch
norm's statistics are of eighths of the batch, ours of the whole.

python -m mi_ssl_jax.main --config=configs/mocov1_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('mocov1', 'cifar10')
    config.lr = 0.06
    config.weight_decay = 5e-4
    config.net.projector = (128,)
    return config
