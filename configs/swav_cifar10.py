"""SwAV on CIFAR-10, two views (solo-learn's for this data set). Not in the paper's tables.

The widths, the temperature, epsilon, the queue and the learning rate, for 256 images, are the source's; K is a
tenth of its 3000 for ImageNet. The queue is the multiple of the batch next to its 3840.

python -m mi_ssl_jax.main --config=configs/swav_cifar10.py
"""

from configs import common, images


def get_config():
    config = images.cifar('byol', 'cifar10')  # the network and what its run shares with the others
    config.views.name = 'swav'
    config.method = common.method(
        'swav',
        prototypes=300,
        queue_size=3584,
        queue_epoch=15,
        temperature=0.1,
        epsilon=0.05,
        iterations=3,
        frozen_epochs=1,
    )
    config.optimizer.name = 'lars'
    config.warmup_epochs = 10
    config.lr = 0.6
    config.weight_decay = 1e-6
    config.net.projector = (2048, 128)
    return config
