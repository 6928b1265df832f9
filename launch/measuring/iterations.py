"""Whole iterations of SimCLR on a CPU beside lightly's: input, views, encoder, loss, update.

    python launch/measuring/iterations.py [--network=resnet18] [--size=32] [--batch=128] [--cores=2]
        [--rounds=7] [--steps=5] [--forms=lightly,fast,devices]

lightly: its SimCLRTransform as its CIFAR-10 benchmark sets it (no blur, jitter 0.5), its projection
head and NT-Xent, PyTorch eager and channels_last, a DataLoader with a worker a core (on one core
none), whose start each turn pays, as each epoch does. Ours: `configs/simclr_cifar10.py` on made-up
images, as training runs it. The loop of turns, TORCH_PYTHON and the other forms: on_cpu.py. Compare
wall times: the CPU time of lightly's workers is not counted.
"""

import os
from pathlib import Path

import on_cpu

FORMS = ('lightly', *on_cpu.OURS)


def main():
    values = on_cpu.arguments(forms=FORMS, default='lightly,fast,devices', batch=128, cores=2)
    if values.worker:
        take = (lightly_steps if values.worker == 'lightly' else our_steps)(values)
        on_cpu.serve(take, values.steps)
    else:
        on_cpu.alternate(values, Path(__file__).resolve())


def our_steps(values):
    _, form = on_cpu.prepare(values)
    import atexit
    import contextlib
    import tempfile

    from configs import simclr_cifar10
    from mi_ssl_jax.bench import programs, synthetic
    from mi_ssl_jax.experiment import build, inputs

    config = simclr_cifar10.get_config()
    config.batch_size, config.net.name = values.batch, values.network
    config.views.options.size, config.net.convolution = values.size, form
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    ready = build.setup(synthetic.replace_data(config, Path(folder)))
    feed = stack.enter_context(inputs.feeding(ready.source, ready.spec, ready.config, 0))
    trainer = programs.Trainer(ready.spec, build.initial(ready), feed)
    return lambda steps: trainer.run(ready.method.phases[0].name, steps)


def lightly_steps(values):
    import numpy as np
    import torch
    import torch_nets
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms import SimCLRTransform
    from PIL import Image

    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    transform = SimCLRTransform(input_size=values.size, cj_strength=0.5, gaussian_blur=0.0)
    pixels = np.random.default_rng(0).integers(0, 256, (2048, values.size, values.size, 3), 'uint8')
    pictures = [Image.fromarray(own) for own in pixels]

    class Pictures(torch.utils.data.Dataset):
        def __init__(self, count):
            self.count = count

        def __len__(self):
            return self.count

        def __getitem__(self, index):
            return transform(pictures[index % len(pictures)])

    body, width = torch_nets.load(values.network, values.size)
    net = torch.nn.Sequential(body, SimCLRProjectionHead(width, 2048, 128))
    net = net.to(memory_format=torch.channels_last)
    loss = NTXentLoss(temperature=0.1)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

    def take(steps):
        batches = torch.utils.data.DataLoader(
            Pictures(steps * values.batch),
            values.batch,
            shuffle=True,
            num_workers=cores if cores > 1 else 0,
        )
        for views in batches:
            x = torch.cat(views).contiguous(memory_format=torch.channels_last)
            z = net(x)
            value = loss(z[: values.batch], z[values.batch :])
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()

    return take


if __name__ == '__main__':
    main()
