"""JMI on CIFAR-100: Table 5, row JMI CIFAR100.

The paper's linear probe (Table 1): 57.22 +- 0.56 %.
Open in the paper, and our choice: SimCLR's views, the projector's batch norms; no warm-up. The
rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/jmi_cifar100.py
"""

from configs.base import images


def get_config():
    config = images.cifar('jmi', 'cifar100')
    config.lr = 0.03
    config.weight_decay = 5e-4
    config.method.temperature = 0.1
    config.net.projector = (2048, 256)
    return config
