"""Explicit mutual information maximisation on ImageNet-1K.

From the public text of arXiv 2409.04747 (mi_ssl_jax/methods/mmi.py): the loss and its parts,
weight-sharing encoders with a momentum encoder as an ablation
(--config.method.momentum_encoder=True), projectors of 256 to
2048 dimensions. Inferred, for neither code nor full text is public: everything else, that is the
form, the order, the eigenvalue's momentum and eps; Barlow Twins' views; 100 epochs of batches of
256; and the network, learning rate, weight decay and projector, which are mmi_in100's. 5,000
held-out images are watched, all of them probed.

python -m mi_ssl_jax.main --config=configs/mmi_in1k.py
"""

from configs.base import images


def get_config():
    config = images.imagenet('mmi', 'imagenet2012')
    config.batch_size = 256
    config.epochs = 100
    config.mi.examples = 5000  # in memory, 200 kB each
    return config
