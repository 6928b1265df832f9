"""DINO on handwritten digits, two global views.

python -m mi_ssl_jax.main --config=configs/dino_digits.py
"""

from configs import digits


def get_config():
    config = digits.base(
        'dino',
        prototypes=256,
        momentum=0.99,
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
    config.lr = 2e-3
    config.weight_decay = 0.04
    config.net.projector = (128, 128, 64)
    return config
