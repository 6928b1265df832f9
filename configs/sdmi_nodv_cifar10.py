"""SDMI without the marginal term of its bound on CIFAR-10: Figure 4a, SDMI-NoDV.

In the paper both encoders collapse; the bars are drawn without numbers.
The temperature, 0.1, only scales the loss.
All else is sdmi_cifar10's.

python -m mi_ssl_jax.main --config=configs/sdmi_nodv_cifar10.py
"""

from configs import sdmi_cifar10


def get_config():
    config = sdmi_cifar10.get_config()
    config.method.marginal = 'none'
    return config
