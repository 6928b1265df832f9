"""Handwritten digits, 8x8 grey (1,437 to train, 360 held out): what its configurations share.

A small convolutional encoder, a minute or less on two CPU cores.
"""

from ml_collections import ConfigDict

from configs.base import common, methods


def base(name: str, **changes) -> ConfigDict:
    """SGD with momentum, cosine, linear probe and kNN at the end. changes: of the arguments."""
    config = common.base()
    config.data.name = 'digits'
    config.views.name = 'digits'
    config.batch_size = 256
    config.epochs = 150
    config.warmup_epochs = 5
    config.lr = 0.1
    config.net.name = 'digits_conv'
    config.net.options.digits_conv = ConfigDict({'width': 16})
    config.net.projector = (128, 64)
    config.net.predictor = (64,)
    config.mi.every = 10
    config.probe.at_end = True
    config.method = common.method(name, **{**methods.arguments(name), **changes})
    return config
