"""MoCo-v3 on CIFAR-100: Table 5, row MoCo-v3 CIFAR100.

The paper's linear probe (Table 1): 58.90 +- 0.32 %.
Open in the paper, and our choice: the predictor has no batch norm at its end, as MoCo-v3's for
ResNets; no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/mocov3_cifar100.py
"""

from configs.base import images


def get_config():
    config = images.cifar('mocov3', 'cifar100')
    config.lr = 0.05
    config.weight_decay = 1e-4
    config.method.temperature = 0.1
    config.net.projector = (2048, 256)
    return config
