"""SimSiam on CIFAR-100: Table 5, row SimSiam CIFAR100.

The paper's linear probe (Table 1): 60.45 +- 0.60 %.
Open in the paper, and our choice: the predictor's learning rate is not decayed, as in SimSiam's
code; no warm-up. The rest: configs/base/images.py.

python -m mi_ssl_jax.main --config=configs/simsiam_cifar100.py
"""

from configs.base import images


def get_config():
    config = images.cifar('simsiam', 'cifar100')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 2048, 256)
    return config
