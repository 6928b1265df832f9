"""MoCo v2 on CIFAR-10: mocov1_cifar10 with v2's two-layer projector and its views.

Not in the paper's tables.

The hidden layer is as wide as the features, as in MoCo v2's code. The temperature is the 0.1 of the
authors' demonstration on CIFAR-10, not v2's 0.2 for ImageNet.

python -m mi_ssl_jax.main --config=configs/mocov2_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('mocov2', 'cifar10')
    config.lr = 0.06
    config.weight_decay = 5e-4
    config.net.projector = (512, 128)
    return config
