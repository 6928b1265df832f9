"""MEC on CIFAR-10. Not in the paper's tables.

The source's, for ImageNet: SimSiam's heads (projector of three layers of 2048, predictor 512),
order 4, distortion 64, its warm-up of 10 epochs, EMA from 0.996 to 1, learning rate 0.5 for 256
images, weight decay 1e-5, MoCo-v3's views. The batch is configs/base/images.py's, half of the
source's, and the learning rate follows it.

python -m mi_ssl_jax.main --config=configs/mec_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('mec', 'cifar10')
    config.warmup_epochs = 10
    config.lr = 1.0
    config.weight_decay = 1e-5
    config.net.projector = (2048, 2048, 2048)
    config.net.predictor = (512,)
    return config
