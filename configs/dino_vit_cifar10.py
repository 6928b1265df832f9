"""DINO with a ViT of 4-px patches on CIFAR-10: the recipe of Gani et al. for small images.

Source: arXiv 2210.07240 (BMVC 2022): width 192, depth 9, 12 heads; AdamW 1e-4 to 1e-6, weight decay
0.04 to 0.4, 30 epochs of warm-up in 200, batch 256; EMA 0.996 to 1; 1024 prototypes; teacher
temperature 0.04 to 0.07 in 10 epochs. Published: 96.41 % after supervised fine-tuning; no number of
frozen features is known. Not its own: no drop path (0.1 there), for networks here draw no random
numbers; local views of 16 px; DINO's head, 2048-2048-256 without batch norm.

python -m mi_ssl_jax.main --config=configs/dino_vit_cifar10.py
"""

from configs.base import tuned


def get_config():
    config = tuned.vit('dino', 'cifar10', views={'name': 'dino_vit'})
    config.batch_size, config.epochs, config.warmup_epochs = 256, 200, 30
    config.optimizer.name = 'adamw'
    config.lr, config.schedule.final = 1e-4, 0.01
    config.weight_decay = 0.04
    config.net.projector = (2048, 2048, 256)
    config.method.prototypes = 1024
    config.method.teacher_warmup_epochs = 10
    config.method.head_norm = False
    return config
