"""ResNets against a forward pass in float64 numpy, and against torchvision's parameter counts."""

import re
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from flax import linen as flax_nn

from mi_ssl_jax import nets
from mi_ssl_jax.nets import layers, resnet
from tests.helpers import tiny


def _convolve(x, kernel, stride, padding):
    """(N, H, W, C) and (h, w, C, D), one kernel position after the other."""
    x = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    h, w = kernel.shape[:2]
    rows, columns = (x.shape[1] - h) // stride + 1, (x.shape[2] - w) // stride + 1
    return sum(
        x[:, i : i + stride * rows : stride, j : j + stride * columns : stride] @ kernel[i, j]
        for i in range(h)
        for j in range(w)
    )


class _Oracle:
    """The forward pass in float64, with batch statistics or running ones."""

    def __init__(self, variables, train):
        self.variables = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
        self.train = train

    def conv_norm(self, x, where, conv, norm, stride=1):
        params, stats = self.variables['params'], self.variables['batch_stats']
        for key in where:
            params, stats = params[key], stats[key]
        kernel = params[conv]['kernel']
        y = _convolve(x, kernel, stride, kernel.shape[0] // 2)
        mean, var = stats[norm]['mean'], stats[norm]['var']
        if self.train:
            mean, var = y.mean((0, 1, 2)), y.var((0, 1, 2))
        return (y - mean) / np.sqrt(var + 1e-5) * params[norm]['scale'] + params[norm]['bias']

    def block(self, x, name, stride):
        here = self.variables['params'][name]
        convs = [key for key in ('conv1', 'conv2', 'conv3') if key in here]
        striding = 'conv2' if 'conv3' in convs else 'conv1'
        y = x
        for conv in convs:
            y = np.maximum(y, 0) if conv != 'conv1' else y
            y = self.conv_norm(
                y, [name], conv, f'norm{conv[-1]}', stride if conv == striding else 1
            )
        if 'shortcut_conv' in here:
            x = self.conv_norm(x, [name], 'shortcut_conv', 'shortcut_norm', stride)
        return np.maximum(x + y, 0)

    def features(self, x, depths, stem):
        x = np.maximum(
            self.conv_norm(x, [], 'stem_conv', 'stem_norm', 2 if stem == 'imagenet' else 1), 0
        )
        if stem == 'imagenet':  # after a ReLU zeros are as good as minus infinity
            side = (x.shape[1] - 1) // 2 + 1
            x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            x = np.max(
                [
                    x[:, i : i + 2 * side : 2, j : j + 2 * side : 2]
                    for i in range(3)
                    for j in range(3)
                ],
                axis=0,
            )
        for stage, depth in enumerate(depths):
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                x = self.block(x, f'stage{stage + 1}_block{index + 1}', stride)
        return x.mean((1, 2))


def _random(net, x):
    """Variables drawn with numpy: nothing is trivial, and no initialisation has to be compiled."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        if path[-1].key == 'kernel':
            return rng.normal(0, np.sqrt(2 / np.prod(leaf.shape[:3])), leaf.shape).astype(
                np.float32
            )
        positive = path[-1].key in ('scale', 'var')
        values = rng.uniform(0.5, 1.5, leaf.shape) if positive else rng.normal(0, 0.2, leaf.shape)
        return values.astype(np.float32)

    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), x, True))
    return jax.tree_util.tree_map_with_path(draw, shapes)


class ResNetTest(parameterized.TestCase):
    @parameterized.parameters((resnet.BasicBlock, 'small', 8), (resnet.Bottleneck, 'imagenet', 22))
    def test_forward(self, block, stem, side):
        """Two stages hold every kind of block: the first, one without and one with a strided
        shortcut."""
        net = resnet.ResNet((2, 1), block, stem, width=4)
        x = np.random.default_rng(1).normal(size=(3, side, side, 3)).astype(np.float32)
        variables = _random(net, x)
        running = jax.jit(lambda v, x: net.apply(v, x, False))(variables, x)
        expected = _Oracle(variables, False).features(x, (2, 1), stem)
        # float32 through 11 layers and its batch statistics, relative to the largest feature.
        np.testing.assert_allclose(running, expected, atol=1e-5 * np.abs(expected).max())
        batch, updates = jax.jit(lambda v, x: net.apply(v, x, True, mutable=['batch_stats']))(
            variables, x
        )
        expected = _Oracle(variables, True).features(x, (2, 1), stem)
        np.testing.assert_allclose(batch, expected, atol=1e-5 * np.abs(expected).max())
        chex.assert_trees_all_equal_shapes_and_dtypes(
            updates['batch_stats'], variables['batch_stats']
        )

    @parameterized.parameters(
        # torchvision's counts with their classifiers: 11,689,512 and 25,557,032
        ('resnet18', 'imagenet', 11_689_512 - 513 * 1000, 512),
        ('resnet50', 'imagenet', 25_557_032 - 2049 * 1000, 2048),
        # a 3x3 stem has 9 taps instead of 49 for each of 3 x 64 pairs of channels
        ('resnet18', 'small', 11_689_512 - 513 * 1000 - 40 * 3 * 64, 512),
    )
    def test_parameters_and_shapes(self, name, stem, count, features):
        net = nets.load(name, stem=stem, dtype=jnp.bfloat16)
        x = jnp.zeros((2, 64, 64, 3))
        variables = jax.eval_shape(lambda: net.init(jax.random.key(0), x, True))
        assert sum(leaf.size for leaf in jax.tree.leaves(variables['params'])) == count
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
        out, updates = jax.eval_shape(
            lambda v: net.apply(v, x, True, mutable=['batch_stats']), variables
        )
        assert (out.shape, out.dtype) == ((2, features), jnp.bfloat16)
        chex.assert_trees_all_equal_shapes_and_dtypes(
            updates['batch_stats'], variables['batch_stats']
        )


def test_bfloat16_keeps_float32_statistics():
    """2,048 squares summed in bfloat16 would stall near 256."""
    nets_by_type = {
        dtype: resnet.ResNet((1,), resnet.BasicBlock, 'small', width=4, dtype=dtype)
        for dtype in (jnp.bfloat16, jnp.float32)
    }
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype(np.float32)
    variables = _random(nets_by_type[jnp.float32], x)
    stem = {}
    for dtype, net in nets_by_type.items():
        apply = jax.jit(lambda v, x, net=net: net.apply(v, x, True, mutable=['batch_stats']))
        out, updates = apply(variables, x)
        chex.assert_tree_all_finite((out, updates))
        chex.assert_type(jax.tree.leaves(updates), jnp.float32)
        stem[dtype] = updates['batch_stats']['stem_norm']
    # bfloat16 keeps 8 bits: single values are off by up to 1 / 256, their means and variances by
    # less.
    chex.assert_trees_all_close(stem[jnp.bfloat16], stem[jnp.float32], rtol=2e-3, atol=2e-3)


def test_initialisation():
    """Kaiming normal by fan-out; with zero_init_residual each block starts as its shortcut."""
    for block, last in ((resnet.BasicBlock, 'norm2'), (resnet.Bottleneck, 'norm3')):
        net = resnet.ResNet((1,), block, 'small', width=64, zero_init_residual=True)
        x = jnp.zeros((1, 4, 4, 3))
        params = jax.jit(net.init, static_argnums=2)(jax.random.key(0), x, True)['params'][
            'stage1_block1'
        ]
        kernel = np.asarray(params['conv2']['kernel'])
        # 36,864 draws: four standard errors of the spread are 1.5 %; a truncated normal would end
        # at 2.
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 64)), rtol=0.015)
        assert np.abs(kernel).max() > 3.5 * kernel.std()
        assert (params[last]['scale'] == 0).all() and (params['norm1']['scale'] == 1).all()


def test_unknown_stem():
    with pytest.raises(ValueError, match="unknown stem 'cifar'; use 'small' .* or 'imagenet'"):
        nets.load('resnet18', stem='cifar')


@pytest.mark.parametrize(
    'shape', [(2, 8, 8, 3), pytest.param((1, 7, 9, 2), marks=pytest.mark.slow), (1, 1, 2, 1)]
)
def test_max_pool_is_the_reduce_window_with_its_gradient(shape):
    """Also where values are equal: the first of the window has the gradient, as in PyTorch."""
    x = jnp.round(3 * jax.random.normal(jax.random.PRNGKey(0), shape))

    def reference(x):
        return flax_nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))

    weights = jax.random.normal(jax.random.PRNGKey(1), reference(x).shape)
    np.testing.assert_array_equal(resnet.max_pool(x), reference(x))
    ours, theirs = (
        jax.grad(lambda x: jnp.sum(weights * f(x)))(x) for f in (resnet.max_pool, reference)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_max_pool_hides_no_nan():
    x = jnp.zeros((1, 4, 4, 1)).at[0, 1, 1, 0].set(jnp.nan)
    assert jnp.isnan(resnet.max_pool(x)).all()


def _lowered_step(stem, platform, dtype=jnp.bfloat16, convolution='fast'):
    """Gradient of a narrow network of two bottlenecks on two views under vmap, as a step has it."""
    net = resnet.ResNet(
        (1, 1), resnet.Bottleneck, stem, width=8, dtype=dtype, convolution=convolution
    )
    views = jax.ShapeDtypeStruct((2, 4, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(
        lambda: net.init(jax.random.key(0), jnp.zeros(views.shape[1:]), True)
    )

    def loss(params, stats, views):
        own = {'params': params, 'batch_stats': stats}
        out = jax.vmap(lambda x: net.apply(own, x, True, mutable=['batch_stats'])[0])(views)
        return jnp.sum(jnp.square(out.astype(jnp.float32)))

    exported = jax.export.export(jax.jit(jax.value_and_grad(loss)), platforms=[platform])
    return exported(variables['params'], variables['batch_stats'], views).mlir_module()


def _convolutions(text):
    """Shapes (left, right) of every convolution in a lowered program."""
    found = re.findall(r'stablehlo.convolution.*: \(tensor<(\S+)>, tensor<(\S+)>\)', text)
    return [tuple(operand.rpartition('x')[0] for operand in pair) for pair in found]


def test_a_step_lowered_for_a_gpu_has_no_scatter_and_padded_channels():
    text = _lowered_step('imagenet', 'cuda')
    assert not re.search(r'stablehlo\.(scatter|select_and_scatter|reduce_window)', text)
    convolutions = _convolutions(text)
    # Forward, and the gradient of the kernel: one for both views.
    assert convolutions.count(('8x32x32x8', '7x7x8x8')) == 1
    assert convolutions.count(('8x32x32x8', '8x16x16x8')) == 1
    assert not any('32x32x3' in x for x, _ in convolutions)
    assert 'feature_group_count = 2' not in text and 'batch_group_count = 2' not in text
    # For a CPU nothing is padded, nor is a step's program different from one without the choice.
    convolutions = _convolutions(_lowered_step('imagenet', 'cpu', jnp.float32, 'xla'))
    assert convolutions.count(('8x32x32x3', '7x7x3x8')) == 1
    assert not any('32x32x4' in x for x, _ in convolutions)


def test_a_step_in_float32_holds_convolutions_for_a_gpu_and_none_for_a_cpu():
    shapes = {
        choice: _convolutions(_lowered_step('imagenet', 'cuda', jnp.float32, choice))
        for choice in ('fast', 'xla')
    }
    assert sorted(shapes['fast']) == sorted(shapes['xla']) and shapes['xla']
    assert not _convolutions(_lowered_step('imagenet', 'cpu', jnp.float32, 'fast'))


@pytest.mark.parametrize('name', ['conv4', 'resnet18'])
def test_parameters_do_not_depend_on_how_convolutions_are_computed(name):
    """Names, shapes and initial values."""
    x, options = jnp.zeros((1, 8, 8, 3)), {'width': 4}
    with tiny.quick_compilation():
        drawn = [
            jax.jit(nets.load(name, convolution=choice, **options).init, static_argnums=2)(
                jax.random.key(0), x, False
            )
            for choice in ('fast', 'xla')
        ]
    chex.assert_trees_all_equal(*drawn)


@pytest.mark.parametrize('channels', [4, 8])
def test_zero_channels_change_nothing(channels):
    """Whole numbers are summed exactly in any order: the results are equal to the bit."""
    rng = np.random.default_rng(0)
    x, kernel = (rng.integers(-3, 4, shape) for shape in ((2, 9, 9, 3), (7, 7, 3, 5)))
    x, kernel = x.astype(np.float32), kernel.astype(np.float32)

    def loss(x, kernel, convolution):
        y = convolution(
            x, kernel, (2, 2), ((3, 3), (3, 3)), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
        return jnp.sum(y * jnp.arange(y.size).reshape(y.shape) % 7), y

    gradient = jax.grad(loss, (0, 1), has_aux=True)
    with (
        mock.patch.object(layers, 'STEM_CHANNELS', channels),
        mock.patch.object(  # the branch for accelerators, on any platform
            jax.lax, 'platform_dependent', lambda *arguments, cpu, default: default(*arguments)
        ),
    ):
        padded = gradient(x, kernel, layers.stem_convolution)
    plain = gradient(x, kernel, jax.lax.conv_general_dilated)
    jax.tree.map(np.testing.assert_array_equal, padded, plain)
