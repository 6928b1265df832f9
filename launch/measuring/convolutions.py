"""Every convolution of a network by its forms on a CPU: errors against float64, and times.

    python launch/measuring/convolutions.py [--network=resnet18] [--size=32] [--images=8]
        [--rounds=5]

Relative L2 errors of the output and of its gradients in the input and in the kernel, for normal
inputs, cotangents and kernels of he_normal's size. Times are process CPU time of output and both
gradients, the forms in alternation; --rounds=0 leaves them out. One row a shape, as Markdown.
"""

import argparse
import functools
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mi_ssl_jax.cli import cpu_tuning

os.environ['JAX_PLATFORMS'] = 'cpu'
cpu_tuning.convolve_fast(os.environ)
cpu_tuning.keep_freed_memory()
cpu_tuning.use_compilation_cache()

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import nets
from mi_ssl_jax.nets import convolution


def main():
    values = arguments()
    found = shapes(values.network, values.size)
    titles = [f'{choice}: output, input, kernel' for choice in convolution.CHOICES]
    titles += [f'{choice}, ms' for choice in convolution.CHOICES] * (values.rounds > 0)
    print('| ' + ' | '.join(['convolution', 'input', 'layers', *titles]) + ' |')
    print('|---' * (3 + len(titles)) + '|', flush=True)
    for (geometry, channels), layers in found.items():
        errors, times = compared(geometry, channels, values.images, values.rounds)
        (height, width), (stride, _) = geometry.window, geometry.stride
        inside, outputs = channels
        row = [
            f'{height}x{width}, {inside} to {outputs}' + f', stride {stride}' * (stride > 1),
            'x'.join(map(str, geometry.size)),
            str(layers),
            *(', '.join(f'{error:.1e}' for error in own) for own in errors),
            *(f'{1e3 * own:.1f}' for own in times),
        ]
        print('| ' + ' | '.join(row) + ' |', flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument('--network', default='resnet18', choices=sorted(FIRST))
    parser.add_argument('--size', type=int, default=32, help='of the images, px')
    parser.add_argument('--images', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=5)
    return parser.parse_args()


# network -> channels of its images
FIRST = {'resnet18': 3, 'resnet50': 3, 'conv4': 3, 'digits_conv': 1}


def shapes(network, size):
    """(geometry, (channels, outputs)) of each convolution -> layers that have it."""
    options = {'stem': 'small' if size <= 64 else 'imagenet'} if 'resnet' in network else {}
    net = nets.load(network, **options)
    x = jax.ShapeDtypeStruct((1, size, size, FIRST[network]), jnp.float32)
    traced = jax.make_jaxpr(lambda x: net.init_with_output(jax.random.key(0), x, False))(x)
    found = {}

    def visit(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == convolution.NAME:
                own = equation.params['geometry'], equation.invars[1].aval.shape[2:]
                found[own] = found.get(own, 0) + 1
            inner = equation.params.get('branches', [])[:1]  # by platform: the first is the CPU's
            for value in (*inner, equation.params.get('jaxpr'), equation.params.get('call_jaxpr')):
                if value is not None:
                    visit(getattr(value, 'jaxpr', value))

    visit(traced.jaxpr)
    return found


def compared(geometry, channels, images, rounds):
    """Return, for each choice, the errors of output and gradients and the median seconds of all
    three together.
    """
    random = np.random.default_rng(0)
    taps = (*geometry.window, *channels)
    x = random.normal(size=(images, *geometry.size, channels[0]))
    kernel = random.normal(size=taps) * np.sqrt(2 / np.prod(taps[:3]))
    g = random.normal(size=(images, *geometry.output_size, channels[1]))

    def three(convolve, x, kernel, g):
        y, pull = jax.vjp(
            functools.partial(
                convolve,
                window_strides=geometry.stride,
                padding=geometry.padding,
                dimension_numbers=convolution.LAYOUT,
            ),
            x,
            kernel,
        )
        return y, *pull(g)

    programs = {
        choice: jax.jit(functools.partial(three, convolution.load(choice)))
        for choice in convolution.CHOICES
    }
    arrays = [array.astype(np.float32) for array in (x, kernel, g)]
    with jax.enable_x64(True):
        wide = [array.astype(np.float64) for array in arrays]
        exact = [np.asarray(own) for own in programs['xla'](*wide)]
    errors = [
        [
            np.linalg.norm(own - expected) / np.linalg.norm(expected)
            for own, expected in zip(program(*arrays), exact, strict=True)
        ]
        for program in programs.values()
    ]
    times = {choice: [] for choice in programs}
    for _ in range(rounds):
        for choice, program in programs.items():
            start = time.process_time()
            jax.block_until_ready(program(*arrays))
            times[choice].append(time.process_time() - start)
    return errors, [statistics.median(own) for own in times.values() if own]


if __name__ == '__main__':
    main()
