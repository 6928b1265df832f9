"""Convolutions as products against lax's in float64, and what each platform's program holds."""

import functools
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mi_ssl_jax.nets import chunks, convolution
from tests.helpers import goldens, subprocesses, tiny

ROOT = pathlib.Path(__file__).parents[2]

# Relative L2 errors of the output and both gradients in float32: about twice the largest that was
# measured over the shapes of ResNets; lax's own are up to 4e-7.
BOUND = {'fast': 1e-5, 'accurate': 1.5e-6}
# name -> (height, width, channels, outputs, window, stride, padding)
SHAPES = {
    'winograd': (8, 8, 16, 20, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'odd sides': (7, 9, 16, 16, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'small sides': (2, 3, 16, 16, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'one pixel': (1, 1, 16, 16, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'other padding': (9, 8, 16, 16, (3, 3), (1, 1), ((0, 2), (3, 1))),
    'few channels': (8, 8, 3, 20, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'strided': (8, 8, 16, 20, (3, 3), (2, 2), ((1, 1), (1, 1))),
    'strided, odd sides': (7, 9, 4, 5, (3, 3), (2, 2), ((1, 1), (1, 1))),
    'one by one': (5, 6, 7, 8, (1, 1), (1, 1), ((0, 0), (0, 0))),
    'strided one by one': (5, 6, 7, 8, (1, 1), (2, 2), ((0, 0), (0, 0))),
    'padded one by one': (5, 6, 7, 8, (1, 1), (2, 3), ((1, 0), (2, 1))),
    'stem': (14, 15, 3, 8, (7, 7), (2, 2), ((3, 3), (3, 3))),
    'uneven': (9, 8, 3, 4, (2, 5), (3, 2), ((1, 0), (2, 4))),
    'window beyond': (3, 3, 2, 2, (5, 5), (4, 1), ((2, 2), (2, 2))),
}


def draw(shape, images=5):
    height, width, channels, outputs, window, stride, padding = SHAPES[shape]
    x, kernel = (
        np.random.default_rng(0).normal(size=own)
        for own in ((images, height, width, channels), (*window, channels, outputs))
    )
    options = dict(window_strides=stride, padding=padding, dimension_numbers=convolution.LAYOUT)
    return x, kernel, options


def with_gradients(function, x, kernel):
    """The output, and the gradients of its products with fixed numbers."""
    y, pull = jax.vjp(function, x, kernel)
    g = np.random.default_rng(1).normal(size=y.shape)
    return y, *pull(g.astype(y.dtype))


def exact(x, kernel, options):
    """In float64, by lax."""
    with goldens.x64():
        own = functools.partial(lax.conv_general_dilated, **options)
        return [np.asarray(a) for a in with_gradients(own, jnp.asarray(x), jnp.asarray(kernel))]


def fast(choice, options):
    return functools.partial(convolution.load(choice), **options)


def errors(actual, expected):
    return [
        np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(actual, expected, strict=True)
    ]


@pytest.mark.parametrize('choice', BOUND)
@pytest.mark.parametrize('shape', SHAPES)
def test_output_and_gradients(shape, choice):
    x, kernel, options = draw(shape)
    own = jax.jit(functools.partial(with_gradients, fast(choice, options)))
    actual = own(jnp.float32(x), jnp.float32(kernel))
    assert max(errors(actual, exact(x, kernel, options))) < BOUND[choice]


# Differentiation and mapping, each as a function of (convolution, images, kernel) -----------------


def loss(convolve, x, kernel):
    return jnp.sum(jnp.sin(convolve(x, kernel)))


def jvp(convolve, x, kernel):
    return jax.jvp(convolve, (x, kernel), (jnp.cos(x), jnp.cos(kernel)))


def of_views(convolve, x, kernel):
    """Gradients of a loss of views under vmap, as a step has them."""

    def total(x, kernel):
        return jnp.sum(jnp.sin(jax.vmap(convolve, (0, None))(x, kernel)))

    return jax.grad(total, (0, 1))(x.reshape(2, -1, *x.shape[1:]), kernel)


def of_examples(convolve, x, kernel):
    """A gradient of the kernel for each image."""
    gradient = jax.grad(functools.partial(loss, convolve), 1)
    return jax.vmap(gradient, (0, None))(x[:, None], kernel)


def of_seeds(convolve, x, kernel):
    """Networks side by side on images of their own, and on the same."""
    gradient = jax.value_and_grad(functools.partial(loss, convolve), (0, 1))
    kernels = jnp.stack([kernel, -kernel])
    own = jax.vmap(gradient)(x.reshape(2, -1, *x.shape[1:]), kernels)
    return own, jax.vmap(gradient, (None, 0))(x, kernels)


def of_a_gradient(convolve, x, kernel):
    """Second derivatives times a direction, forward over reverse and reverse over reverse."""
    gradient = jax.grad(functools.partial(loss, convolve), (0, 1))
    direction = jnp.cos(x), jnp.cos(kernel)

    def along(x, kernel):
        pairs = zip(gradient(x, kernel), direction, strict=True)
        return sum(jnp.vdot(a, b) for a, b in pairs)

    return jax.jvp(gradient, (x, kernel), direction)[1], jax.grad(along, (0, 1))(x, kernel)


def in_a_loop(convolve, x, kernel):
    """Gradient of a loss that is summed by scan, each turn computed again for the gradient."""

    @jax.checkpoint
    def turn(total, x):
        return total + loss(convolve, x, kernel), None

    def total(x):
        return jax.lax.scan(turn, jnp.zeros((), x.dtype), x)[0]

    return jax.grad(total)(x.reshape(2, -1, *x.shape[1:]))


def over_devices(convolve, x, kernel):
    """The kernel's gradient over logical devices, by vmap with their axis."""

    def gradient(x, kernel):
        return jax.lax.psum(jax.grad(functools.partial(loss, convolve), 1)(x, kernel), 'devices')

    rows = x.reshape(2, -1, *x.shape[1:])
    return jax.vmap(gradient, (0, None), out_axes=None, axis_name='devices')(rows, kernel)


def by_pmap(convolve, x, kernel):
    gradient = jax.grad(functools.partial(loss, convolve), (0, 1))
    count = jax.local_device_count()
    rows = x.reshape(count, -1, *x.shape[1:])
    both = jax.pmap(lambda *own: gradient(*own), in_axes=(0, None))(rows, kernel)
    return both[0].reshape(x.shape), both[1].sum(0)


def by_shard_map(convolve, x, kernel):
    """The kernel is the same on all devices, and so is its gradient."""
    mesh = jax.sharding.Mesh(np.array(jax.local_devices()), ('devices',))
    rows, same = jax.sharding.PartitionSpec('devices'), jax.sharding.PartitionSpec()
    gradient = jax.grad(functools.partial(loss, convolve), (0, 1))
    return jax.shard_map(gradient, mesh=mesh, in_specs=(rows, same), out_specs=(rows, same))(
        x, kernel
    )


TRANSFORMED = (
    jvp,
    of_views,
    of_examples,
    of_seeds,
    of_a_gradient,
    in_a_loop,
    over_devices,
    by_pmap,
    by_shard_map,
)


def check_transformed(transformed, shape, images=4):
    x, kernel, options = draw(shape, images)
    own = functools.partial(transformed, fast('fast', options))
    with tiny.quick_compilation():
        actual = jax.tree.leaves(jax.jit(own)(jnp.float32(x), jnp.float32(kernel)))
    with goldens.x64(), tiny.quick_compilation():
        plain = functools.partial(
            transformed, functools.partial(lax.conv_general_dilated, **options)
        )
        expected = jax.tree.leaves(jax.jit(plain)(jnp.asarray(x), jnp.asarray(kernel)))
        expected = [np.asarray(a) for a in expected]
    # Sines of sums of up to 144 numbers: their absolute errors are the sums' own.
    assert max(errors(actual, expected)) < 10 * BOUND['fast']


@pytest.mark.parametrize('shape', ['winograd', 'strided'])
@pytest.mark.parametrize('transformed', TRANSFORMED, ids=lambda own: own.__name__)
def test_transformed(transformed, shape):
    check_transformed(transformed, shape)


@pytest.mark.slow
def test_over_two_devices():
    """pmap and shard_map on two devices made of this CPU."""
    code = (
        'from tests.nets import test_convolution as own\n'
        'assert own.jax.local_device_count() == 2\n'
        'for transformed in (own.by_pmap, own.by_shard_map):\n'
        '    for shape in own.SHAPES:\n'
        '        own.check_transformed(transformed, shape)\n'
    )
    flags = '--xla_force_host_platform_device_count=2'
    environment = subprocesses.environment(JAX_PLATFORMS='cpu', XLA_FLAGS=flags)
    subprocess.run([sys.executable, '-c', code], cwd=ROOT, env=environment, check=True)


@pytest.mark.parametrize('images', [7, 12])  # with images left over, and without
@pytest.mark.parametrize('shape', ['winograd', 'strided'])
def test_in_chunks(shape, images, monkeypatch):
    monkeypatch.setattr(chunks, 'BYTES', 47_000)
    x, kernel, options = draw(shape, images=images)
    own = functools.partial(with_gradients, fast('fast', options))
    with tiny.quick_compilation():
        actual = jax.jit(own)(jnp.float32(x), jnp.float32(kernel))
    assert max(errors(actual, exact(x, kernel, options))) < BOUND['fast']
    text = lowered(own, 'cpu', x, kernel)
    assert len(re.findall(r'stablehlo\.while', text)) == 3
    for transformed in (by_shard_map, of_a_gradient, of_views):
        check_transformed(transformed, shape, images=12)


def test_eagerly():
    x, kernel, options = draw('winograd')
    y = fast('fast', options)(jnp.float32(x), jnp.float32(kernel))
    assert errors([y], exact(x, kernel, options)[:1])[0] < BOUND['fast']


# Platforms ----------------------------------------------------------------------------------------


def lowered(function, platform, *arrays):
    arrays = [jax.ShapeDtypeStruct(np.shape(array), jnp.float32) for array in arrays]
    return jax.export.export(jax.jit(function), platforms=[platform])(*arrays).mlir_module()


@pytest.mark.parametrize('transformed', [with_gradients, of_views, of_examples, of_seeds])
@pytest.mark.parametrize('shape', ['winograd', 'strided', 'stem', 'one by one'])
def test_convolutions_for_a_gpu_and_products_for_a_cpu(shape, transformed):
    x, kernel, options = draw(shape, images=4)
    programs = {
        (choice, platform): lowered(
            functools.partial(transformed, fast(choice, options)), platform, x, kernel
        )
        for choice, platform in (('fast', 'cuda'), ('xla', 'cuda'), ('fast', 'cpu'))
    }
    found = {
        own: [
            len(re.findall(rf'stablehlo\.{name}\b', text))
            for name in ('convolution', 'dot_general', 'while')
        ]
        for own, text in programs.items()
    }
    assert found['fast', 'cuda'] == found['xla', 'cuda']
    assert found['fast', 'cuda'][0] > 0 and found['fast', 'cuda'][1] == 0
    assert found['fast', 'cpu'][0] == 0 and found['fast', 'cpu'][1] > 0


def test_views_share_one_gradient_of_the_kernel():
    x, kernel, options = draw('winograd', images=4)
    text = lowered(functools.partial(of_views, fast('fast', options)), 'cuda', x, kernel)
    assert len(re.findall(r'stablehlo\.convolution', text)) == 3


@pytest.mark.parametrize(
    'dtype, changes',
    [
        ('float64', {}),
        ('bfloat16', {}),
        ('float32', {'feature_group_count': 2}),
        ('float32', {'rhs_dilation': (2, 2)}),
        ('float32', {'lhs_dilation': (2, 2)}),
        ('float32', {'padding': 'SAME'}),
        ('float32', {'dimension_numbers': ('NCHW', 'HWIO', 'NCHW')}),
    ],
    ids=str,
)
def test_what_is_left_to_lax(dtype, changes):
    _, _, options = draw('winograd')
    options |= changes
    group = options.get('feature_group_count', 1)
    with goldens.x64():
        x, kernel = (jnp.ones(size, dtype) for size in ((2, 16, 16, 16), (3, 3, 16 // group, 4)))
        convolve = fast('fast', options)
        assert convolution.NAME not in str(jax.make_jaxpr(convolve)(x, kernel))


def test_an_unknown_choice_is_refused():
    message = "unknown convolution 'quick'; use one of fast, accurate, xla"
    with pytest.raises(ValueError, match=message):
        convolution.load('quick')
