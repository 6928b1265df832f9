"""JMI with a small ViT of 2-px patches on handwritten digits.

Width 32, depth 3, four heads; fixed patch embedding and positions, the mean of the patches' tokens.
AdamW 1e-3. A minute or two on two CPU cores; all of it our choice.

python -m mi_ssl_jax.main --config=configs/jmi_vit_digits.py
"""

from ml_collections import ConfigDict

from configs.base import digits


def get_config():
    config = digits.base('jmi')
    config.optimizer.name = 'adamw'
    config.lr, config.weight_decay = 1e-3, 0.05
    config.net.name = 'vit'
    config.net.options.vit = ConfigDict(
        {
            'patch': 2,
            'width': 32,
            'depth': 3,
            'heads': 4,
            'mlp_ratio': 2.0,
            'pool': 'mean',
            'positions': 'fixed',
            'fixed_patches': True,
        }
    )
    return config
