"""Explicit mutual information maximisation on ImageNet-100.

Its paper's linear probe: 81.1 %. From the public text of arXiv 2409.04747
(mi_ssl_jax/methods/mmi.py): the loss and its parts, weight-sharing encoders with a momentum encoder
as an ablation (--config.method.momentum_encoder=True), projectors of 256 to 2048 dimensions.
Inferred, for neither code nor full text is public: the form, the order, the eigenvalue's momentum
and eps; Barlow Twins' views; and the network and epochs. The number stands among those that others
report of a ResNet-18 after 400 epochs (All4One 81.9; a ResNet-50 has 82.6 with CorInfoMax and 84.6
and more with MoCo v3), so that is what is trained here. Batch, learning rate, weight decay and
projector are those of Table 6 of the main paper; its network and epochs, beside which Table 1's
rows stand: --config.net.name=resnet50 --config.epochs=800.

python -m mi_ssl_jax.main --config=configs/mmi_in100.py
"""

from configs.base import images


def get_config():
    config = images.imagenet100('mmi')
    config.net.name = 'resnet18'
    config.epochs = 400
    return config
