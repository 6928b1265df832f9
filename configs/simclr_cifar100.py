"""SimCLR on CIFAR-100: Table 5, row SimCLR CIFAR100.

The paper's linear probe (Table 1): 55.32 +- 0.46 %.
Open in the paper, and our choice: batch norm on every layer of the projector, as in SimCLR's code;
no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/simclr_cifar100.py
"""

from configs.base import images


def get_config():
    config = images.cifar('simclr', 'cifar100')
    config.lr = 0.03
    config.weight_decay = 1e-4
    config.method.temperature = 0.1
    config.net.projector = (2048, 128)
    return config
