"""VICReg with LARS by a loop of its own in PyTorch, for tests/train/test_vicreg_recipe.py; needs
torch and numpy alone:

    PYTHON tests/helpers/torch_vicreg.py IN.npz OUT.npz TYPE [adapted]

IN: views (T, 2, N, H, W, 1), rates (T,), decay, eta, the method's weights and eps, and the first
parameters, named as in flax. OUT: loss (T,), and the largest entry of every parameter after each
step (T,). TYPE: float32 or float64. adapted: biases and batch norms are adapted and decay too; else
they are not, as in solo-learn.
"""

import sys

import numpy as np
import torch
from torch.nn import functional

STRIDES = (1, 2, 2)


def embed(params, images):
    """Three convolutions, each with batch norm and ReLU, the mean over positions, two layers."""
    x = images.permute(0, 3, 1, 2)
    for number, stride in enumerate(STRIDES):
        kernel = params[f'backbone/Conv_{number}/kernel'].permute(3, 2, 0, 1)
        x = functional.conv2d(x, kernel, stride=stride, padding=1)
        x = functional.relu(norm(params, f'backbone/BatchNorm_{number}', x))
    x = x.mean(dim=(2, 3))
    x = x @ params['projector/Dense_0/kernel'] + params['projector/Dense_0/bias']
    x = functional.relu(norm(params, 'projector/BatchNorm_0', x))
    return x @ params['projector/Dense_1/kernel']


def norm(params, name, x):
    return functional.batch_norm(
        x, None, None, params[f'{name}/scale'], params[f'{name}/bias'], training=True, eps=1e-5
    )


def vicreg(za, zb, *, invariance, variance, covariance, eps):
    """Its paper's three terms; the variance term is the mean of both views', as its code has it."""
    hinge = [functional.relu(1 - torch.sqrt(z.var(dim=0) + eps)).mean() for z in (za, zb)]
    redundant = 0.0
    for z in (za, zb):
        square = torch.cov(z.T) ** 2
        redundant = redundant + (square.sum() - square.diagonal().sum()) / z.shape[1]
    distance = functional.mse_loss(za, zb)
    return invariance * distance + variance * sum(hinge) / 2 + covariance * redundant


def lars(params, velocity, *, rate, decay, eta, everything):
    """LARS around SGD with momentum 0.9: weights are adapted, by a clipped ratio, and decay."""
    for name, p in params.items():
        gradient = p.grad
        if p.ndim > 1 or everything:
            size, length = p.norm(), gradient.norm()
            if size > 0 and length > 0:
                ratio = eta * size / (length + decay * size + 1e-8)
                gradient = (gradient + decay * p) * torch.clamp(ratio / rate, max=1)
        velocity[name] = 0.9 * velocity.get(name, 0.0) + gradient
        p -= rate * velocity[name]
        p.grad = None


def train(arrays, dtype, everything):
    named = {name: arrays[name] for name in arrays if '/' in name}
    params = {
        name: torch.tensor(value, dtype=dtype, requires_grad=True) for name, value in named.items()
    }
    weights = {
        name: float(arrays[name]) for name in ('invariance', 'variance', 'covariance', 'eps')
    }
    velocity, losses, sizes = {}, [], {name: [] for name in params}
    for views, rate in zip(arrays['views'], arrays['rates']):
        za, zb = (embed(params, torch.tensor(view, dtype=dtype)) for view in views)
        loss = vicreg(za, zb, **weights)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            lars(
                params,
                velocity,
                rate=float(rate),
                decay=float(arrays['decay']),
                eta=float(arrays['eta']),
                everything=everything,
            )
            for name, p in params.items():
                sizes[name].append(p.abs().max().item())
    return {'loss': np.array(losses), **{name: np.array(own) for name, own in sizes.items()}}


if __name__ == '__main__':
    file, output, kind, *rest = sys.argv[1:]
    with np.load(file) as stored:
        found = train(dict(stored), getattr(torch, kind), rest == ['adapted'])
    np.savez(output, **found)
