"""Explicit mutual information maximisation on CIFAR-10.

From the public text of arXiv 2409.04747 (mi_ssl_jax/methods/mmi.py): the loss and its parts,
weight-sharing encoders with a momentum encoder as an ablation
(--config.method.momentum_encoder=True), projectors of 256 to
2048 dimensions. Inferred, for neither code nor full text is public: everything else, that is the
form, the order, the eigenvalue's momentum and eps; Barlow Twins' views; and, from its row in Table
5 of the main paper, the learning rate, weight decay and projector, so that the two can be compared.

python -m mi_ssl_jax.main --config=configs/mmi_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('mmi', 'cifar10')
    config.lr = 0.05
    config.weight_decay = 5e-4
    config.net.projector = (2048, 256)
    return config
