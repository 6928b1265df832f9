"""SDMI without the marginal term but with predictors on CIFAR-10: Figure 4a, SDMI-NoDV-Pred.

In the paper the predictor alone, on f in the E-step and on g in the M-step, prevents the collapse;
the bars are drawn without numbers.
All else is sdmi_nodv_cifar10's.

python -m mi_ssl_jax.main --config=configs/sdmi_nodv_pred_cifar10.py
"""

from configs import sdmi_nodv_cifar10


def get_config():
    config = sdmi_nodv_cifar10.get_config()
    config.method.predictor = True
    return config
