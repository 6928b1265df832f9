"""Explicit mutual information maximisation on ImageNet-100.

Its paper's linear probe: 81.1 %. From the public text of arXiv 2409.04747
(mi_ssl_jax/methods/mmi.py): the loss and its parts, weight-sharing encoders with a momentum encoder
as an ablation (--config.method.momentum_encoder=True), projectors of 256 to 2048 dimensions.
Inferred, for neither code nor
full text is public: everything else, that is the form, the order, the eigenvalue's momentum and
eps; Barlow Twins' views; and the network, epochs, batch, learning rate, weight decay and projector,
which are those of Table 6 of the main paper.

python -m mi_ssl_jax.main --config=configs/mmi_in100.py
"""

from configs.base import images


def get_config():
    return images.imagenet100('mmi')
