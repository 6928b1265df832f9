"""Data of one's own that `mi_ssl_jax.data.prepare` has prepared: what their configurations share.

A preset for small sets, some hundred to some ten thousand examples, with batches of 128: networks
that train in minutes on a CPU, AdamW with warm-up and cosine, and views of moderate strength. What
was measured with it stands in configs/OWN_DATA.md.
"""

from ml_collections import ConfigDict

from configs.base import common, methods


def base(name: str, **changes) -> ConfigDict:
    """What vectors, series and images share. changes: of the method's arguments."""
    config = common.base()
    config.batch_size = 128
    config.epochs = 200
    config.warmup_epochs = 10
    config.lr = 1e-3
    config.weight_decay = 1e-4
    config.optimizer.name = 'adamw'
    config.net.projector = (128, 32)
    config.net.predictor = (64,)
    config.mi.every = 10
    config.probe.at_end = True
    config.probe.labels = ('all',)
    config.method = common.method(name, **{**methods.arguments(name), **changes})
    return config


def vectors(name: str, **changes) -> ConfigDict:
    """Feature vectors: noise, masks and scaling of standardised features; dense layers."""
    config = base(name, **changes)
    config.data.name = 'my_vectors'
    config.views.name = 'vectors'
    config.views.options = ConfigDict({'noise': 0.3, 'mask': 0.2, 'scaling': 0.1})
    config.net.name = 'mlp'
    config.net.options.mlp = ConfigDict({'widths': (128, 64)})
    return config


def series(name: str, **changes) -> ConfigDict:
    """Series: crops in time, noise, scaling and masks in time; one-dimensional convolutions."""
    config = base(name, **changes)
    config.data.name = 'my_series'
    config.views.name = 'series'
    config.views.options = ConfigDict(
        {'crop': (0.5, 1.0), 'noise': 0.1, 'scaling': 0.2, 'time_mask': 0.2}
    )
    config.net.name = 'conv1d'
    config.net.options.conv1d = ConfigDict({'width': 32, 'depth': 4, 'kernel': 5})
    return config


def images(name: str, *, size: int, **changes) -> ConfigDict:
    """Images of any channels and type: SimCLR's crops and flips with brightness and contrast, for
    all methods alike. size: of the views, px.
    """
    config = base(name, **changes)
    config.data.name = 'my_scans'
    config.views.name = 'simclr'
    config.views.options = ConfigDict(
        {
            'data': 'own',
            'size': size,
            'scale': (0.2, 1.0),
            'jitter': (0.4, 0.4, 0.0, 0.0),  # brightness, contrast; saturation and hue need RGB
            'grey_p': 0.0,
        }
    )
    config.net.name = 'conv4'
    config.net.options.conv4 = ConfigDict({'width': 16})
    config.net.options.resnet18 = ConfigDict({'stem': 'small', 'zero_init_residual': True})
    return config
