"""MoCo-v3 on CIFAR-10: Table 5, row MoCo-v3 CIFAR10.

The paper's linear probe (Table 1): 91.10 +- 0.16 %.
Open in the paper, and our choice: the predictor has no batch norm at its end, as MoCo-v3's for
ResNets; no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/mocov3_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('mocov3', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.method.temperature = 0.1
    config.net.projector = (2048, 256)
    return config
