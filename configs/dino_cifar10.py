"""DINO on CIFAR-10, two global views (solo-learn's for this data set). Not in the paper's tables.

K and the widths are a quarter to a sixteenth of the source's for ImageNet; its schedules,
temperatures and momentum, batch norm in the head, and a learning rate of 5e-4 for 256 images, are
the source's.

python -m mi_ssl_jax.main --config=configs/dino_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('dino', 'cifar10')
    config.optimizer.name = 'adamw'
    config.warmup_epochs = 10
    config.lr = 1e-3
    config.weight_decay = 0.04
    config.net.projector = (2048, 2048, 256)
    return config
