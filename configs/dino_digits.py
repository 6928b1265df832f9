"""DINO on handwritten digits, two global views.

Linear probe after 150 epochs, one seed: 98.9 %, with ten labels a class 94.2 % (untrained 93.9 and
84.1). The teacher's temperature is half of the source's first one: at 0.04 to 0.07 its targets are
nearly uniform (50
epochs: 96.1 % against 97.2 %). The projector is narrow and has batch norm (without it, at 0.04 to
0.07: 94.4 % against 96.1 %).

python -m mi_ssl_jax.main --config=configs/dino_digits.py
"""

from configs.base import digits


def get_config():
    config = digits.base(
        'dino',
        prototypes=256,
        momentum=0.99,
        teacher_temperature=0.02,
        first_teacher_temperature=0.02,
        teacher_warmup_epochs=0,
    )
    config.optimizer.name = 'adamw'
    config.lr = 2e-3
    config.weight_decay = 0.04
    config.net.projector = (128, 128, 64)
    return config
