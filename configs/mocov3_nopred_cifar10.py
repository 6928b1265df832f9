"""MoCo-v3 without its predictor on CIFAR-10: section 3.2.1.

The paper says that the predictor gains about 1 % and prints no number for this run.
All else is mocov3_cifar10's.

python -m mi_ssl_jax.main --config=configs/mocov3_nopred_cifar10.py
"""

from configs import mocov3_cifar10


def get_config():
    config = mocov3_cifar10.get_config()
    config.method.predictor = False
    return config
