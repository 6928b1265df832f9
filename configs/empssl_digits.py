"""EMP-SSL on handwritten digits, eight enlarged and shifted views of an image.

The optimiser is the source's; the weight of the cosine is lower, since 64 dimensions hold a smaller
coding rate than the source's 1024. All of it our choice.

python -m mi_ssl_jax.main --config=configs/empssl_digits.py
"""

from configs.base import digits


def get_config():
    config = digits.base('empssl', invariance_weight=50.0)
    config.views.options.update({'views': 8, 'scale': (1.0, 1.6), 'shift': 2.0})
    config.epochs = 30
    config.optimizer.name, config.optimizer.nesterov = 'lars', True
    config.optimizer.lars.update({'eta': 0.005, 'ratio': 'parts', 'clip': True})
    config.lr, config.weight_decay = 0.3, 1e-4
    return config
