"""VICReg on CIFAR-10 by EB-JEPA's recipe of 300 epochs: 90.12 %.

Published: 90.12 % top-1, ResNet-18, 300 epochs, batch 256, mean of three seeds, by a linear probe
trained beside the encoder (online); whether of the last or of the best epoch is not said.
Coefficients 1 (invariance), 1 (variance) and 100 (covariance) in the source's units: it adds both
views' variance terms, which VICReg averages, and takes the mean of the D (D - 1) squared
covariances, which VICReg sums and divides by D; hence 2 and 100 / 1023 here. The rest:
configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/vicreg_cifar10_300.py
"""

from configs.base import tuned


def get_config():
    config = tuned.solo(
        'vicreg',
        'cifar10',
        views={'name': 'vicreg'},
        lr=0.3,
        decay=1e-4,
        invariance_weight=1.0,
        variance_weight=2.0,
        covariance_weight=100 / 1023,
    )
    config.epochs = 300
    config.net.projector = (2048, 1024)
    return config
