"""SimSiam on CIFAR-10: Table 5, row SimSiam CIFAR10.

The paper's linear probe (Table 1): 89.72 +- 0.18 %.
Open in the paper, and our choice: the predictor's learning rate is not decayed, as in SimSiam's
code; no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/simsiam_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('simsiam', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 2048, 256)
    return config
