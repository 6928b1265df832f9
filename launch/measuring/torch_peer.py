"""The peer on the same GPU: SimCLR with a CIFAR ResNet-18 in PyTorch, channels_last, bf16 autocast,
torch.compile.

Views are made on the GPU, each image with its own random crop, flip and colours (torchvision's
batched transforms draw one set of parameters for a whole batch, so crops go through affine_grid and
colours are written out; bilinear, one order of the
four operations a batch: less work than ours). Both views go through the network together, as one
batch of 2 N.
"""

import argparse
import json
import os
import statistics
import time
import traceback

parser = argparse.ArgumentParser()
for name in ('parts', 'results', 'project', 'data'):
    parser.add_argument(f'--{name}', default='')
parser.add_argument('--smoke', action='store_true')
VALUES = parser.parse_args()
SMOKE = VALUES.smoke


def write(**entry):
    with open(VALUES.results, 'a') as file:
        file.write(json.dumps(entry, default=float) + '\n')
        file.flush()
        os.fsync(file.fileno())


write(part='torch', event='start', time=time.time())

import torch
import torch.nn.functional as F
import torch_nets
from torch import nn

CUDA = torch.cuda.is_available() and not SMOKE
DEVICE = 'cuda' if CUDA else 'cpu'
BATCH, WIDTH, COUNT = (8, 4, 64) if SMOKE else (512, 64, 50_000) if CUDA else (32, 64, 2000)


class Encoder(nn.Module):
    def __init__(self, w=WIDTH):
        super().__init__()
        self.body = torch_nets.resnet('resnet18', stem='small', width=w)
        self.head = nn.Sequential(
            nn.Linear(8 * w, 32 * w, bias=False),
            nn.BatchNorm1d(32 * w),
            nn.ReLU(),
            nn.Linear(32 * w, 2 * w, bias=False),
            nn.BatchNorm1d(2 * w),
        )

    def forward(self, x):
        return self.head(self.body(x))


def nt_xent(z, temperature=0.1):
    z = F.normalize(z.float(), dim=1)
    scores = z @ z.T / temperature
    scores = scores.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), float('-inf'))
    return F.cross_entropy(scores, torch.arange(len(z), device=z.device).roll(len(z) // 2))


def one_view(x):
    """x (N, 3, H, W) in [0, 1] -> a view: crop of scale 0.08 to 1, flip, jitter 0.4 0.4 0.4 0.1 (p
    0.8), grey (p 0.2)."""
    n, device = len(x), x.device
    u = torch.rand(16, n, device=device)
    area, aspect = 0.08 + 0.92 * u[0], torch.exp((2 * u[1] - 1) * 0.28768)
    w, h = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    flip = torch.where(u[2] < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1] = w * flip, h
    theta[:, 0, 2], theta[:, 1, 2] = (1 - w) * (2 * u[3] - 1), (1 - h) * (2 * u[4] - 1)
    x = F.grid_sample(
        x,
        F.affine_grid(theta, list(x.shape), align_corners=False),
        mode='bilinear',
        padding_mode='reflection',
        align_corners=False,
    )
    on = (u[5] < 0.8).float()
    factor = lambda i, s: (1 + on * s * (2 * u[i] - 1)).view(n, 1, 1, 1)
    grey = lambda x: (0.2989 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]).unsqueeze(1)
    x = (x * factor(6, 0.4)).clamp(0, 1)
    f = factor(7, 0.4)
    x = (f * x + (1 - f) * grey(x).mean((2, 3), keepdim=True)).clamp(0, 1)
    f = factor(8, 0.4)
    x = (f * x + (1 - f) * grey(x)).clamp(0, 1)
    x = hue(x, on * 0.1 * (2 * u[9] - 1))
    return torch.where((u[10] < 0.2).view(n, 1, 1, 1), grey(x).expand(-1, 3, -1, -1), x)


def hue(x, shift):
    """The hexcone's turn, as in torchvision's adjust_hue, a shift for each image."""
    r, g, b = x.unbind(1)
    top, low = x.amax(1), x.amin(1)
    spread = top - low
    scale = 1 / torch.where(spread > 0, spread, torch.ones_like(spread))
    h = torch.where(
        (r >= g) & (r >= b),
        (g - b) * scale,
        torch.where(g >= b, (b - r) * scale + 2, (r - g) * scale + 4),
    ) + 6 * shift.view(-1, 1, 1)
    channel = lambda n: top - spread * torch.minimum((h + n) % 6, 4 - (h + n) % 6).clamp(0, 1)
    return torch.stack([channel(5), channel(3), channel(1)], 1)


MEAN, STD = (
    torch.tensor(v).view(1, 3, 1, 1) for v in ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
)


def two_views(images, mean, std):
    x = images.float() / 255
    return torch.cat([(one_view(x) - mean) / std, (one_view(x) - mean) / std]).contiguous(
        memory_format=torch.channels_last
    )


def measure(compiled):
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision('high')
    images = torch.randint(0, 256, (COUNT, 3, 32, 32), dtype=torch.uint8, device=DEVICE)
    mean, std = MEAN.to(DEVICE), STD.to(DEVICE)
    net = Encoder().to(DEVICE, memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, fused=CUDA
    )

    def loss_of(x):
        with torch.autocast(DEVICE, torch.bfloat16, enabled=CUDA or SMOKE):
            z = net(x)
        return nt_xent(z)

    run, make = (
        (torch.compile(loss_of), torch.compile(two_views)) if compiled else (loss_of, two_views)
    )

    def step(views=None):
        x = (
            make(images[torch.randint(0, COUNT, (BATCH,), device=DEVICE)], mean, std)
            if views is None
            else views
        )
        loss = run(x)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss

    def wait():
        if CUDA:
            torch.cuda.synchronize()

    def clock(function, steps):
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            result = function()
        wait()
        return (time.perf_counter() - start) / steps, result

    start = time.perf_counter()
    step(), wait()
    first = time.perf_counter() - start
    ready = make(images[:BATCH], mean, std)
    steps = 2 if SMOKE else 40 if CUDA else 2
    clock(step, 10 if CUDA else 2)
    whole = [clock(step, steps) for _ in range(1 if SMOKE else 3)]
    alone = [clock(lambda: step(ready), steps)[0] for _ in range(1 if SMOKE else 3)]
    made = [
        clock(lambda: make(images[:BATCH], mean, std), steps)[0] for _ in range(1 if SMOKE else 3)
    ]
    seconds, loss = statistics.median(w[0] for w in whole), float(whole[-1][1].detach())
    write(
        part='torch',
        how='compiled' if compiled else 'eager',
        views_s=2 * BATCH / seconds,
        step_ms=1e3 * seconds,
        network_alone_views_s=2 * BATCH / statistics.median(alone),
        augmentation_ms=1e3 * statistics.median(made),
        first_step_s=first,
        peak_GB=torch.cuda.max_memory_allocated() / 1e9 if CUDA else 0,
        loss=loss,
        torch=torch.__version__,
    )


for compiled in (False, True):
    try:
        measure(compiled)
    except Exception as error:
        write(
            part='torch',
            how='compiled' if compiled else 'eager',
            error=f'{type(error).__name__}: {str(error)[:300]}',
            log=traceback.format_exc()[-1500:],
        )
    if CUDA:
        torch.cuda.empty_cache()
if CUDA:
    a = torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16)
    b = torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16)
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        a @ b
    torch.cuda.synchronize()
    write(
        part='torch',
        matmul_8192_bf16_TFLOP_s=20 * 2 * 8192**3 / (time.perf_counter() - start) / 1e12,
    )
write(part='torch', event='end', time=time.time())
