"""SimCLR on CIFAR-10: Table 5, row SimCLR CIFAR10.

The paper's linear probe (Table 1): 87.24 +- 0.37 %.
Open in the paper, and our choice: batch norm on every layer of the projector, as in SimCLR's code;
no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/simclr_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('simclr', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.method.temperature = 0.1
    config.net.projector = (2048, 128)
    return config
