"""DINO on CIFAR-10, two global views (solo-learn's for this data set). Not in the paper's tables.

K and the widths are a quarter to a sixteenth of the source's for ImageNet; its schedules, temperatures and
momentum, batch norm in the head, and a learning rate of 5e-4 for 256 images, are the source's.

python -m mi_ssl_jax.main --config=configs/dino_cifar10.py
"""

from configs import common, images


def get_config():
    config = images.cifar('byol', 'cifar10')  # the network and what its run shares with the others
    config.views.name = 'dino'
    config.method = common.method(
        'dino',
        prototypes=4096,
        momentum=0.996,
        momentum_schedule='cosine',
        student_temperature=0.1,
        teacher_temperature=0.07,
        first_teacher_temperature=0.04,
        teacher_warmup_epochs=30,
        centre_momentum=0.9,
        head_norm=True,
        frozen_epochs=1,
        clip=3.0,
        final_weight_decay=0.4,
    )
    config.optimizer.name = 'adamw'
    config.warmup_epochs = 10
    config.lr = 1e-3
    config.weight_decay = 0.04
    config.net.projector = (2048, 2048, 256)
    return config
