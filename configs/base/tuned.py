"""Recipes whose numbers are published, beside the paper's settings, and our starting points.

The paper's learning rates are 3 to 30 times below these. They have in common: ResNet-18 with a 3x3
stem, batches of 256 to 512, ten epochs of warm-up and a cosine to 0, weight decay 1e-6 to 1e-4. The
numbers are the sources'; none of these runs has been repeated here at full length.

solo-learn (da Costa et al. 2022, arXiv 2108.01775): 1000 epochs, batch 256, LARS with eta 0.02 and
a clipped ratio, biases and batch norms left out of adaptation and decay; its accuracies are those
of a linear probe trained beside the encoder (online). Its warm-up reaches the full rate one epoch
before ours, which reaches it at the end of the last warm-up epoch.
"""

from ml_collections import ConfigDict

from configs.base import common, images, methods

START = 3e-5  # solo-learn's learning rate at the first step, whatever the full one is
STRONG = {'name': 'swav'}  # on CIFAR: crops from .08, jitter .8/.8/.8/.2, blur .5
WEAK = {'name': 'simclr', 'blur_p': 0.5}  # jitter .4/.4/.4/.1, blur .5
ASYMMETRIC = {'name': 'byol'}  # jitter .4/.4/.2/.1, no blur, the second view solarized at .2


def cifar(name: str, data: str, *, views: dict, **arguments) -> ConfigDict:
    """ResNet-18, batch 256, 1000 epochs, ten of warm-up, with the online probe.

    name: the method. data: 'cifar10' or 'cifar100'. views: the pipeline's name and its options.
    arguments: of the method, in place of configs/base/methods.py's.
    """
    config = images.base(name, data, size=32, stem='small')
    config.net.name = 'resnet18'
    config.views.name = views['name']
    config.views.options.update({key: views[key] for key in views if key != 'name'})
    config.batch_size = 256
    config.epochs = 1000
    config.warmup_epochs = 10
    config.lr_scaling = 'linear'
    config.probe.online = True
    config.method = common.method(name, **{**methods.arguments(name), **arguments})
    return config


def solo(name: str, data: str, *, views: dict, lr: float, decay: float, **arguments) -> ConfigDict:
    """solo-learn's LARS. lr: of 256 images. decay: weight decay. The rest: see cifar."""
    config = cifar(name, data, views=views, **arguments)
    config.optimizer.name = 'lars'
    config.optimizer.lars.eta = 0.02
    config.optimizer.lars.ratio = 'parts'
    config.optimizer.lars.clip = True
    return _rates(config, lr, decay)


def plain(name: str, data: str, optimiser: str, *, views: dict, lr: float, decay: float, **own):
    """solo-learn with 'sgd' or 'adam' in place of LARS. own: the method's arguments."""
    config = cifar(name, data, views=views, **own)
    config.optimizer.name = optimiser
    return _rates(config, lr, decay)


def _rates(config: ConfigDict, lr: float, decay: float) -> ConfigDict:
    config.lr, config.weight_decay = lr, decay
    config.schedule.start = START / lr
    return config


def corinfomax(name: str, data: str, **arguments) -> ConfigDict:
    """CorInfoMax's recipe: batch 512, SGD 0.5, its views; the offline probe is the source's."""
    config = cifar(name, data, views={'name': 'corinfomax'}, **arguments)
    config.batch_size = 512
    config.lr_scaling = 'none'
    config.lr, config.weight_decay = 0.5, 1e-4
    config.schedule.start = 3e-3 / 0.5
    return config


def vit(name: str, data: str, *, views: dict, **arguments) -> ConfigDict:
    """A ViT of 4-px patches (Gani et al. 2022): width 192, depth 9, 12 heads. The rest: cifar's."""
    config = cifar(name, data, views=views, **arguments)
    config.lr_scaling = 'none'
    config.net.name = 'vit'
    config.net.options.vit = ConfigDict(
        {
            'patch': 4,
            'width': 192,
            'depth': 9,
            'heads': 12,
            'mlp_ratio': 2.0,
            'pool': 'cls',
            'positions': 'learned',
            'fixed_patches': False,
        }
    )
    return config
