"""MoCo v2+ on CIFAR-100 by solo-learn's recipe: 69.89 %.

Published: 69.89 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Queue 32,768, EMA 0.99 to 0.999.
solo-learn's loss takes both views as queries, ours view 1 alone, so the number is not quite this
method's. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/mocov2_cifar100_tuned.py
"""

from configs import mocov2_cifar10_tuned


def get_config():
    return mocov2_cifar10_tuned.recipe('cifar100')
