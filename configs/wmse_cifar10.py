"""W-MSE on CIFAR-10. Not in the paper's tables.

The source's: embeddings of dimension 64 whitened in slices of 128, four to a batch of 512;
projector 1024-64; views; Adam's learning rate 1e-3 and weight decay 1e-6. Ours: that decay is
AdamW's, a cosine in place of its steps, and a warm-up of five epochs. Whitening needs float32,
which the loss has whatever net.dtype is.

python -m mi_ssl_jax.main --config=configs/wmse_cifar10.py
"""

from configs.base import images


def get_config():
    config = images.cifar('wmse', 'cifar10')
    config.optimizer.name = 'adamw'
    config.warmup_epochs = 5
    config.lr = 1e-3
    config.weight_decay = 1e-6
    config.net.projector = (1024, 64)
    return config
