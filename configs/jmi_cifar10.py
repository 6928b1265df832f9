"""JMI on CIFAR-10: Table 5, row JMI CIFAR10.

The paper's linear probe (Table 1): 88.01 +- 0.48 %.
Open in the paper, and our choice: SimCLR's views, the projector's batch norms; no warm-up. The
rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/jmi_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('jmi', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.method.temperature = 0.1
    config.net.projector = (2048, 128)
    return config
