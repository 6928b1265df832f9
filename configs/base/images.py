"""The paper's experiments on images (arXiv 2510.01345, appendix C): what their configurations
share.

The paper fixes, for CIFAR (Tables 3 and 5): ResNet-18, batch 512, 1000 epochs, cosine, feature
dimension 2048, two prediction layers of dimension 256, EMA 0.996 constant, seed 7349; and by method
learning rate, weight decay, temperature, projection layers and dimension. For TinyImageNet and
ImageNet-100: Table 6.

It leaves open, and we chose:
  optimiser    SGD, momentum 0.9, weight decay on all parameters, learning rates as printed whatever
  the batch
  widths       the feature dimension is the projector's hidden width (a ResNet-18 gives 512
  features), the
               prediction dimension the predictor's, 256 for Table 6 too
  heads        bias and batch norm as in each method's source; of SDMI and JMI as in MoCo-v3 and
  SimCLR
  backbone     for 32 and 64 px a 3x3 stem of stride 1 without max-pool; the last scale of each
  residual block
               starts at 0, as in the code of all these methods (BYOL's: in bottlenecks only)
  views        each method's own (mi_ssl_jax/augment/recipes.py), SimCLR's for SDMI and JMI
  warm-up      none on CIFAR; Table 6 names 5 and 10 epochs
  Table 6      temperature 0.1 (the best of every row of Table 5) and EMA 0.996 constant (Table 3)
  Barlow Twins lambda 0.005, as in its paper
  an epoch     of SDMI is Algorithm 1's: a pass of E-steps, then a pass of M-steps
  the probe    its schedule; what was done stands beside each number in probe.json
  Table 1      the mean of three runs, seeds 7349 to 7351: --config.seeds=3, or three runs with
  --config.seed

Worth overriding:
  --config.net.dtype=float32    on accelerators, where 'auto' computes in bfloat16; parameters,
  statistics and losses are float32 in any case
  --config.net.convolution=xla  XLA's own convolutions on CPUs too
  --config.net.name=conv4       a small network, for CPUs; --config.mi.every=1 with few epochs
  --config.data.streamed=False --config.data.short_side=160   holds ImageNet-100 in memory, 10 GB,
  at 160 px
"""

from ml_collections import ConfigDict

from configs.base import common, methods

# Of the other methods: their own. TiCo's source has BYOL's, MEC's MoCo-v3's; MMI's are not public:
# ours.
VIEWS = {'sdmi': 'simclr', 'jmi': 'simclr', 'tico': 'byol', 'mec': 'mocov3', 'mmi': 'byol'}
# Methods whose code leaves the last scale of a residual block at 1 in a ResNet-18.
PLAIN_RESIDUAL = ('byol', 'dino', 'swav', 'mocov1', 'mocov2', 'wmse', 'empssl')


def base(name: str, data: str, *, size: int, stem: str) -> ConfigDict:
    """A method on images. size: of the views, px. stem: of the ResNets, 'small' or 'imagenet'."""
    config = common.base()
    config.seed = 7349
    config.data.name = data
    config.views.name = VIEWS.get(name, name)
    config.views.options = ConfigDict({'data': data, 'size': size})
    config.net.predictor = (256,)
    config.net.dtype = 'auto'
    config.net.options.resnet18 = ConfigDict(
        {'stem': stem, 'zero_init_residual': name not in PLAIN_RESIDUAL}
    )
    config.net.options.resnet50 = ConfigDict({'stem': stem, 'zero_init_residual': True})
    config.net.options.conv4 = ConfigDict({'width': 16})
    config.method = common.method(name, **methods.arguments(name))
    config.mi.every = 10
    config.mi.batch_size = 500
    config.probe.at_end = True
    config.probe.labels = ('all', '1%', '10%')
    return config


def cifar(name: str, data: str) -> ConfigDict:
    """Table 3's fixed values; Table 5's are the configuration's own. data: 'cifar10' or
    'cifar100'.
    """
    config = base(name, data, size=32, stem='small')
    config.batch_size = 512
    config.epochs = 1000
    config.net.name = 'resnet18'
    return config


def tiny_imagenet(name: str) -> ConfigDict:
    """Table 6, TinyImageNet."""
    config = base(name, 'tiny_imagenet', size=64, stem='small')
    config.batch_size = 512
    config.epochs = 1000
    config.warmup_epochs = 5
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.name = 'resnet18'
    config.net.projector = (512, 512, 256)
    return config


def imagenet100(name: str) -> ConfigDict:
    """Table 6, ImageNet-100."""
    config = imagenet(name, 'imagenet100')
    config.batch_size = 64 if name == 'sdmi' else 256  # SDMI holds two encoders (note to Table 6)
    config.epochs = 800
    return config


def imagenet(name: str, data: str) -> ConfigDict:
    """Settings shared by both ImageNets: images decoded while training, to squares of 256 px. data:
    as in mi_ssl_jax.data.
    """
    config = base(name, data, size=224, stem='imagenet')
    config.data.streamed = True
    config.data.canvas = 256
    config.data.workers = 8
    config.warmup_epochs = 10
    config.lr = 0.05
    config.weight_decay = 1e-4
    config.net.name = 'resnet50'
    config.net.projector = (512, 512, 256)
    return config
