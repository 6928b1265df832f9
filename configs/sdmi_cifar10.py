"""SDMI on CIFAR-10: Table 5, row SDMI CIFAR10.

The paper's linear probe (Table 1): 88.61 +- 0.13 (f) and 88.59 +- 0.35 (g) %.
Open in the paper, and our choice: SimCLR's views, the projector's batch norms; no warm-up. The
rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/sdmi_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('sdmi', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.method.temperature = 0.1
    config.net.projector = (2048, 2048, 256)
    return config
