"""SwAV on CIFAR-10, two views (solo-learn's for this data set). Not in the paper's tables.

The widths, the temperature, epsilon, the queue and the learning rate, for 256 images, are the
source's; K is a tenth of its 3000 for ImageNet. The queue is the multiple of the batch next to its
3840. The cosine ends at 0, the source's at a thousandth of the learning rate.

python -m mi_ssl_jax.main --config=configs/swav_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('swav', 'cifar10')
    config.optimizer.name = 'lars'
    config.warmup_epochs = 10
    config.lr = 0.6
    config.weight_decay = 1e-6
    config.net.projector = (2048, 128)
    return config
