"""Features of timm's ViT on random images, for tests/nets/test_vit.py; needs torch and timm alone:

    PYTHON tests/helpers/timm_vit.py FILE.npz SIZE PATCH WIDTH DEPTH HEADS RATIO POOL

The arrays of tests/golden/nets_vit_POOL.npz are those of `8 4 12 2 3 2 POOL`, POOL token and avg,
by timm 1.0.31 and torch 2.13.0 on a CPU.
"""

import sys

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer


def write(file, size, patch, width, depth, heads, ratio, pool):
    """Weights that are not timm's initial ones, which are zero in places, two images, features."""
    torch.manual_seed(0)
    net = VisionTransformer(
        img_size=size,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=ratio,
        num_classes=0,
        global_pool=pool,
    ).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        x = torch.randn(2, 3, size, size)
        y = net(x)
    state = {f'state/{name}': value.numpy() for name, value in net.state_dict().items()}
    np.savez_compressed(file, x=x.numpy(), y=y.numpy(), **state)


if __name__ == '__main__':
    name, *numbers, kind = sys.argv[1:]
    write(name, *map(int, numbers), kind)
