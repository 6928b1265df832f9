"""The networks of nets/ in PyTorch, for peers."""

import torch.nn.functional as F
from torch import nn


def convolution(inside, width, window, stride=1):
    return nn.Conv2d(inside, width, window, stride, window // 2, bias=False)


class Block(nn.Module):
    """Convolutions of (width, window, stride), each with batch norm, beside a shortcut."""

    def __init__(self, inside, *layers):
        super().__init__()
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        width, stride = inside, 1
        for out, window, own in layers:
            self.convolutions.append(convolution(width, out, window, own))
            self.norms.append(nn.BatchNorm2d(out))
            width, stride = out, stride * own
        self.short = nn.Identity()
        if stride > 1 or inside != width:
            self.short = nn.Sequential(convolution(inside, width, 1, stride), nn.BatchNorm2d(width))

    def forward(self, x):
        y = x
        for index, (own, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = norm(own(F.relu(y) if index else y))
        return F.relu(y + self.short(x))


def load(name, size):
    """(network, features) for images of `size` px: the small stem up to 64."""
    if 'resnet' not in name:
        return small(name), 64
    features = {'resnet18': 512, 'resnet50': 2048}[name]
    return resnet(name, stem='small' if size <= 64 else 'imagenet'), features


def resnet(name, *, stem, width=64):
    """'resnet18' or 'resnet50'. stem: 'small' or 'imagenet'."""
    layers = [convolution(3, width, 3), nn.BatchNorm2d(width), nn.ReLU()]
    if stem == 'imagenet':
        layers[0] = convolution(3, width, 7, 2)
        layers.append(nn.MaxPool2d(3, 2, 1))
    inside, basic = width, name == 'resnet18'
    for stage, depth in enumerate((2, 2, 2, 2) if basic else (3, 4, 6, 3)):
        own = width * 2**stage
        for index in range(depth):
            stride = 2 if stage and not index else 1
            if basic:
                layers.append(Block(inside, (own, 3, stride), (own, 3, 1)))
            else:
                layers.append(Block(inside, (own, 1, 1), (own, 3, stride), (4 * own, 1, 1)))
            inside = own if basic else 4 * own
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def small(name, width=16):
    """'conv4' or 'digits_conv'."""
    w = width
    widths, strides, inside = {
        'conv4': ((w, 2 * w, 2 * w, 4 * w), (1, 2, 2, 2), 3),
        'digits_conv': ((w, 2 * w, 4 * w), (1, 2, 2), 1),
    }[name]
    layers = []
    for own, stride in zip(widths, strides, strict=True):
        layers += [convolution(inside, own, 3, stride), nn.BatchNorm2d(own), nn.ReLU()]
        inside = own
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
