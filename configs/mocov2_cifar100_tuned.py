"""MoCo v2+ on CIFAR-100 by solo-learn's recipe: 69.89 %.

Published: 69.89 % top-1, ResNet-18, 1000 epochs, batch 256, by the online linear probe; whether of
the last or of the best epoch is not said. Queue 32,768, EMA 0.99 to 0.999.
solo-learn's loss takes both views as queries, ours view 1 alone, so the number is not quite this
method's. The rest: configs/base/tuned.py.

python -m mi_ssl_jax.main --config=configs/mocov2_cifar100_tuned.py
"""

from configs.base import tuned


def get_config():
    config = tuned.plain(
        'mocov2',
        'cifar100',
        'sgd',
        views=tuned.WEAK,
        lr=0.3,
        decay=0.0001,
        temperature=0.2,
        queue_size=32768,
        momentum=0.99,
        momentum_schedule='cosine',
        momentum_end=0.999,
    )
    config.net.projector = (2048, 256)
    return config
