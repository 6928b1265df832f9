"""A training step on a CPU by each form of convolution, beside PyTorch, in alternation.

    python launch/measuring/on_cpu.py [--network=resnet18] [--size=32] [--batch=32] [--cores=1]
        [--rounds=7] [--steps=5] [--forms=torch,compile,xla,accurate,fast,devices]

Two views of each image (ours under vmap, as training has them), forward, backward and SGD with
momentum, in float32. Every form is a process of its own, bound to the same cores; a round gives
each in turn `steps` steps. Process CPU time and wall time are medians over rounds; ratios are
PyTorch's time (the first form's where that is another) over the form's, round by round, with the
least and the greatest.

'torch' is eager and channels_last, 'compile' the same by torch.compile; TORCH_PYTHON is an
interpreter that has it (default: this one). 'devices' is 'fast' with a logical device a core, each
with its share of the batch, as XLA_FLAGS=--xla_force_host_platform_device_count=CORES gives a run.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve()
TORCH, OURS = ('torch', 'compile'), ('xla', 'accurate', 'fast', 'devices')


def main():
    values = arguments(forms=(*TORCH, *OURS))
    if values.worker:
        step = (torch_step if values.worker in TORCH else our_step)(values)
        serve(lambda count: [step() for _ in range(count)], values.steps)
    else:
        alternate(values, HERE)


def arguments(*, forms, default='', batch=32, cores=1):
    parser = argparse.ArgumentParser()
    parser.add_argument(
        '--network', default='resnet18', choices=('resnet18', 'resnet50', 'conv4', 'digits_conv')
    )
    parser.add_argument('--worker', default='', help=argparse.SUPPRESS)
    parser.add_argument('--forms', default=default or ','.join(forms))
    for name, value, use in (
        ('size', 32, 'of the images, px'),
        ('batch', batch, 'images, of each of which there are two views'),
        ('cores', cores, 'the last ones that this process may use'),
        ('rounds', 7, 'turns of each form'),
        ('steps', 5, 'a turn'),
    ):
        parser.add_argument(f'--{name}', type=int, default=value, help=use)
    values = parser.parse_args()
    unknown = set(values.forms.split(',')) - set(forms)
    if unknown:
        parser.error(f'--forms: no form {min(unknown)}; use {", ".join(forms)}')
    return values


# The process that lets the others take turns
# --------------------------------------------------------------------------------------------------


def alternate(values, script):
    cores = sorted(os.sched_getaffinity(0))[-values.cores :]
    os.sched_setaffinity(0, cores)
    workers, rounds = {}, {}
    for form in values.forms.split(','):
        python = sys.executable if form in OURS else os.environ.get('TORCH_PYTHON', sys.executable)
        process = subprocess.Popen(
            [python, script, *sys.argv[1:], '--worker', form],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {'JAX_PLATFORMS': 'cpu', 'OMP_NUM_THREADS': str(len(cores))},
            text=True,
        )
        ready = process.stdout.readline()
        if ready:
            workers[form], rounds[form] = process, []
            print(f'{form}: first step {json.loads(ready):.1f} s', flush=True)
        else:
            print(f'{form}: failed, see above', flush=True)
    for _ in range(values.rounds):
        for form, process in workers.items():
            process.stdin.write('\n')
            process.stdin.flush()
            rounds[form].append(json.loads(process.stdout.readline()))
    for process in workers.values():
        process.stdin.close()
        process.wait()
    if rounds:
        print(table(rounds))


def table(rounds):
    """Markdown; a round is (CPU seconds a step, wall seconds a step, peak bytes)."""
    base = next(iter(rounds))
    lines = [
        f'| form | CPU ms | wall ms | speed over {base}, CPU | wall | peak GB |',
        '|---|---|---|---|---|---|',
    ]
    for form, own in rounds.items():
        cells = [form, *(f'{1e3 * statistics.median(r[i] for r in own):.1f}' for i in (0, 1))]
        for i in (0, 1):
            ratios = [a[i] / b[i] for a, b in zip(rounds[base], own, strict=True)]
            middle = statistics.median(ratios)
            cells.append(f'{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})')
        lines.append('| ' + ' | '.join([*cells, f'{own[-1][2] / 1e9:.2f}']) + ' |')
    return '\n'.join(lines)


# The processes that take steps
# --------------------------------------------------------------------------------------------------


def serve(take, steps):
    """Say when the first step is done; then take `steps` steps for every line, and say how long."""
    start = time.perf_counter()
    take(1)
    print(time.perf_counter() - start, flush=True)
    take(steps)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        take(steps)
        times = time.process_time() - cpu, time.perf_counter() - wall
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps([own / steps for own in times] + [peak]), flush=True)


def channels(network):
    return 1 if network == 'digits_conv' else 3


def prepare(values):
    """(devices, net.convolution) of one of our forms, with the settings a command makes before JAX
    is imported.
    """
    sys.path.insert(0, str(HERE.parents[2]))
    from mi_ssl_jax.cli import cpu_tuning

    devices = values.cores if values.worker == 'devices' else 1
    if devices > 1:
        os.environ['XLA_FLAGS'] = f'--xla_force_host_platform_device_count={devices}'
    cpu_tuning.convolve_fast(os.environ)
    cpu_tuning.keep_freed_memory()
    return devices, 'fast' if values.worker == 'devices' else values.worker


def our_step(values):
    devices, form = prepare(values)
    import jax
    import jax.numpy as jnp
    import optax

    from mi_ssl_jax import nets

    stem = {'stem': 'small' if values.size <= 64 else 'imagenet'}
    options = stem if 'resnet' in values.network else {}
    net = nets.load(values.network, convolution=form, **options)
    shape = (2, values.batch, values.size, values.size, channels(values.network))
    views = jax.random.normal(jax.random.key(0), shape)
    variables = jax.jit(lambda key: net.init(key, views[0], False))(jax.random.key(1))
    optimiser = optax.sgd(0.01, momentum=0.9)

    def loss(params, batch_stats, views):
        def encode(x):
            own = {'params': params, 'batch_stats': batch_stats}
            return net.apply(own, x, True, mutable=['batch_stats'])

        y, updates = jax.vmap(encode)(views)
        y = y / jnp.linalg.norm(y, axis=-1, keepdims=True)
        means = jax.tree.map(lambda own: own.mean(0), updates['batch_stats'])
        return jnp.sum(y[0] * y[1], -1).mean(), means

    def update(own, views):
        params, batch_stats, state = own
        gradient = jax.value_and_grad(loss, has_aux=True)
        means = gradient(params, batch_stats, views)
        if devices > 1:
            means = jax.lax.pmean(means, 'devices')
        (value, batch_stats), gradients = means
        changes, state = optimiser.update(gradients, state)
        return (optax.apply_updates(params, changes), batch_stats, state), value

    params = variables['params']
    held = [(params, variables['batch_stats'], optimiser.init(params))]
    if devices > 1:
        program = jax.pmap(update, 'devices', donate_argnums=0)
        held = [jax.tree.map(lambda leaf: jnp.stack([leaf] * devices), held[0])]
        views = jnp.stack(jnp.split(views, devices, axis=1))
    else:
        program = jax.jit(update, donate_argnums=0)

    def step():
        held[0], value = program(held[0], views)
        return float(jnp.ravel(value)[0])

    return step


def torch_step(values):
    import torch
    import torch.nn.functional as F
    import torch_nets

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    net = torch_nets.load(values.network, values.size)[0].to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    x = torch.randn(2 * values.batch, channels(values.network), values.size, values.size)
    x = x.contiguous(memory_format=torch.channels_last)
    run = torch.compile(net) if values.worker == 'compile' else net

    def step():
        y = F.normalize(run(x), dim=1)
        loss = (y[: values.batch] * y[values.batch :]).sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


if __name__ == '__main__':
    main()
