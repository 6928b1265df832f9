"""Registry, dense and small convolutional encoders."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax import nets
from mi_ssl_jax.nets.mlp import MLP

_INPUTS = {'mlp': (6, 2), 'conv4': (6, 8, 8, 3), 'digits_conv': (6, 8, 8, 1), 'conv1d': (6, 9, 2)}
_FEATURES = {'mlp': 3, 'conv4': 64, 'digits_conv': 64, 'conv1d': 256}


def _init(net, x):
    """Compiled: op by op an initialisation costs seconds."""
    return jax.jit(net.init, static_argnums=2)(jax.random.key(1), x, True)


class Own(MLP):
    """A user's own network, loaded by module path."""


class SmallNetsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(
        ('mlp', jnp.float32),
        ('digits_conv', jnp.float32),
        ('conv4', jnp.bfloat16),
        ('conv1d', jnp.float32),
    )
    def test_features_and_statistics(self, name, dtype):
        net = nets.load(name, dtype=dtype)
        x = jax.random.normal(jax.random.key(0), _INPUTS[name])
        variables = _init(net, x)
        chex.assert_type(jax.tree.leaves(variables), jnp.float32)
        apply = self.variant(lambda v, x: net.apply(v, x, True, mutable=['batch_stats']))
        features, updates = apply(variables, x)
        chex.assert_shape(features, (6, _FEATURES[name]))
        chex.assert_type(features, dtype)
        chex.assert_trees_all_equal_shapes_and_dtypes(
            updates['batch_stats'], variables['batch_stats']
        )
        chex.assert_tree_all_finite((features, updates))
        running = self.variant(lambda v, x: net.apply(v, x, False))({**variables, **updates}, x)
        chex.assert_shape(running, (6, _FEATURES[name]))

    @pytest.mark.slow
    def test_evaluation_does_not_depend_on_the_batch(self):
        net = nets.load('digits_conv', width=2)
        x = jax.random.normal(jax.random.key(0), (4, 8, 8, 1))
        variables = _init(net, x)
        # 1e-6: two batch sizes may sum a convolution in another order.
        whole, first = net.apply(variables, x, False), net.apply(variables, x[:1], False)
        chex.assert_trees_all_close(whole[:1], first, atol=1e-6)


def test_the_gaussian_encoder_equals_its_equations():
    """2 -> 64 with bias, BN, ReLU -> 3 with bias, BN, in float64 numpy; the running mean moves by a
    tenth."""
    net = nets.load('mlp')
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    variables = _init(net, x)
    features, updates = net.apply(variables, x, True, mutable=['batch_stats'])
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables['params'])
    hidden = x @ p['Dense_0']['kernel'] + p['Dense_0']['bias']
    normed = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5)
    out = np.maximum(normed, 0) @ p['Dense_1']['kernel'] + p['Dense_1']['bias']
    expected = (out - out.mean(0)) / np.sqrt(out.var(0) + 1e-5)
    # float32 through two normalisations: a few units of 1e-7 at |values| <= 4.
    np.testing.assert_allclose(features, expected, atol=5e-6)
    np.testing.assert_allclose(
        updates['batch_stats']['BatchNorm_0']['mean'], 0.1 * hidden.mean(0), atol=1e-6
    )
    np.testing.assert_allclose(
        updates['batch_stats']['BatchNorm_0']['var'], 0.9 + 0.1 * hidden.var(0), rtol=1e-5
    )


def test_linear_layers_start_as_in_pytorch():
    """Weight and bias of fan-in 100 are U(-0.1, 0.1): bounds, mean 0, standard deviation 0.1 /
    sqrt(3)."""
    params = MLP(widths=(4000,)).init(jax.random.key(0), jnp.zeros((2, 100)), True)['params'][
        'Dense_0'
    ]
    for leaf in (params['kernel'], params['bias']):
        assert 0.099 < np.abs(leaf).max() <= 0.1
        # Four standard errors of 4000 draws: 0.0037 for the mean; the spread is known to 3 %.
        assert abs(leaf.mean()) < 0.0037
        np.testing.assert_allclose(leaf.std(), 0.1 / np.sqrt(3), rtol=0.03)


def test_statistics_over_an_axis_are_those_of_the_whole_batch():
    x = jax.random.normal(jax.random.key(0), (8, 2))
    alone, split = nets.load('mlp'), nets.load('mlp', axis_name='devices')
    variables = _init(alone, x)
    whole, _ = alone.apply(variables, x, True, mutable=['batch_stats'])
    parts, _ = jax.vmap(
        lambda part: split.apply(variables, part, True, mutable=['batch_stats']),
        axis_name='devices',
    )(x.reshape(2, 4, 2))
    # The mean of two means is summed in another order than one mean.
    np.testing.assert_allclose(parts.reshape(8, 3), whole, atol=1e-5)


def test_variance_survives_a_mean_much_larger_than_the_spread():
    """Mean 100, spread 0.1: E[x^2] - E[x]^2 in float32 would lose every digit of the variance
    0.01."""
    x = 100 + 0.1 * np.random.default_rng(0).normal(size=(1000, 1)).astype(np.float32)
    net = MLP(widths=(1,))
    variables = _init(net, x)
    params = variables['params']
    params = {**params, 'Dense_0': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}
    features, _ = net.apply({**variables, 'params': params}, x, True, mutable=['batch_stats'])
    np.testing.assert_allclose(features.std(), 1, rtol=1e-3)


def test_own_network_and_errors():
    assert isinstance(nets.load('tests.nets.test_small_nets:Own', widths=(5,)), MLP)
    with pytest.raises(ValueError, match="unknown network 'resnet19'; use one of .*digits_conv"):
        nets.load('resnet19')
    with pytest.raises(ValueError, match='cannot be built with these options: .*breadth'):
        nets.load('conv4', breadth=3)
    with pytest.raises(ValueError, match="cannot load the network 'no_such_module:Net'"):
        nets.load('no_such_module:Net')
    with pytest.raises(ValueError, match="cannot load the network 'mi_ssl_jax.nets:Nothing'"):
        nets.load('mi_ssl_jax.nets:Nothing')


def test_convolutions_over_time_equal_their_equations():
    """Two layers in float64 numpy: kernel 3, zeros beyond the ends, stride 1 and then 2."""
    net = nets.load('conv1d', width=3, depth=2, kernel=3)
    x = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    variables = _init(net, x)
    expected = x.astype(np.float64)
    for layer, stride in ((0, 1), (1, 2)):
        kernel = np.asarray(variables['params'][f'Conv_{layer}']['kernel'], np.float64)
        padded = np.pad(expected, ((0, 0), (1, 1), (0, 0)))
        starts = range(0, expected.shape[1], stride)
        expected = np.stack(
            [np.einsum('nkc,kcd->nd', padded[:, t : t + 3], kernel) for t in starts], axis=1
        )
        expected = (expected - expected.mean((0, 1))) / np.sqrt(expected.var((0, 1)) + 1e-5)
        expected = np.maximum(expected, 0)
    found, _ = net.apply(variables, x, True, mutable=['batch_stats'])
    assert found.shape == (5, 6)
    np.testing.assert_allclose(found, expected.mean(axis=1), atol=1e-5)


@pytest.mark.parametrize(
    'options, shape, message',
    [
        ({}, (4, 5), r'takes series \(steps, channels\), not \(5,\)'),
        ({'kernel': 4}, (4, 5, 1), 'kernel=4 odd'),
        ({'depth': 0}, (4, 5, 1), 'depth=0 must be at least 1'),
    ],
)
def test_what_convolutions_over_time_cannot_take(options, shape, message):
    with pytest.raises(ValueError, match=message):
        nets.load('conv1d', **options).init(jax.random.key(0), jnp.ones(shape), True)
