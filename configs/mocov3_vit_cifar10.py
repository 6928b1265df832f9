"""MoCo-v3 with a ViT of 4-px patches on CIFAR-10: MoCo-v3's own settings for ViTs, on small images.

Source: arXiv 2104.02057 for ImageNet: AdamW 1.5e-4 for 256 images, weight decay 0.1, 40 epochs of
warm-up in 300, temperature 0.2, EMA 0.99 to 1, projector 4096-4096-256, fixed patch embedding and
fixed positions, class token. Ours: the network, which is configs/dino_vit_cifar10.py's, batch 512
for its 4096, and a predictor that ends without batch norm. No number is published.

python -m mi_ssl_jax.main --config=configs/mocov3_vit_cifar10.py
"""

from configs.base import tuned


def get_config():
    config = tuned.vit(
        'mocov3',
        'cifar10',
        views={'name': 'mocov3'},
        temperature=0.2,
        momentum=0.99,
        momentum_schedule='cosine',
    )
    config.batch_size, config.epochs, config.warmup_epochs = 512, 300, 40
    config.optimizer.name = 'adamw'
    config.lr, config.lr_scaling, config.weight_decay = 1.5e-4, 'linear', 0.1
    config.net.projector, config.net.predictor = (4096, 4096, 256), (4096,)
    config.net.options.vit.positions = 'fixed'
    config.net.options.vit.fixed_patches = True
    return config
