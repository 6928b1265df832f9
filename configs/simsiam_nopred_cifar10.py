"""SimSiam without its predictor on CIFAR-10: Figure 4b.

In the paper it collapses; the bar is drawn without a number.
All else is simsiam_cifar10's.

python -m mi_ssl_jax.main --config=configs/simsiam_nopred_cifar10.py
"""

from configs import simsiam_cifar10


def get_config():
    config = simsiam_cifar10.get_config()
    config.method.predictor = False
    return config
