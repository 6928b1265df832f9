"""The paper's controlled experiment (section 4.2), full batch: what its eight configurations share.

SGD, learning rate 0.5, cosine, 100 epochs are stated for the mini-batch run (B.1.2); that the
full-batch run of Table 2 uses them too, without momentum and weight decay, is our choice, as is
everything a configuration says about its method.
"""

from ml_collections import ConfigDict

from configs.base import common


def base(name: str, **arguments) -> ConfigDict:
    """One batch of all 2,500 points, evaluated every epoch on 2,500 others."""
    config = common.base()
    config.data.name = 'gaussian'
    config.views.name = 'noise'
    config.views.options.sigma = 0.1
    config.batch_size = 2500
    config.epochs = 100
    config.lr = 0.5
    config.optimizer.momentum = 0.0
    config.net.name = 'mlp'
    config.net.predictor = (64,)
    config.method = common.method(name, **arguments)
    return config
