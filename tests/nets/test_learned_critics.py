"""Learned critics against one pair at a time, in float64 numpy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.nets import learned_critics

RNG = np.random.default_rng(3)
X, Y = (
    RNG.standard_normal((4, 3)).astype(np.float32),
    RNG.standard_normal((6, 2)).astype(np.float32),
)


def dense(layer, x):
    return x @ np.float64(layer['kernel']) + np.float64(layer.get('bias', 0.0))


def tower(params, x):
    layers = [params[f'Dense_{index}'] for index in range(len(params))]
    for layer in layers[:-1]:
        x = np.maximum(dense(layer, x), 0)
    return dense(layers[-1], x)


def separable(params, x, y):
    return tower(params['g'], x) @ tower(params['h'], y) + params['offset']


def concatenated(params, x, y):
    return tower(params['Tower_0'], np.maximum(dense(params, np.concatenate([x, y])), 0))[0]


def bilinear(params, x, y):
    return (
        sum(x[i] * params['weight'][i, j] * y[j] for i in range(len(x)) for j in range(len(y)))
        + params['offset']
    )


@pytest.mark.parametrize(
    'net, oracle',
    [
        (learned_critics.Separable((7, 5, 4)), separable),
        (learned_critics.Concatenated((7, 5)), concatenated),
        (learned_critics.Bilinear(), bilinear),
    ],
    ids=['separable', 'concatenated', 'bilinear'],
)
def test_scores_of_all_pairs_are_those_of_each_pair(net, oracle):
    params = net.init(jax.random.PRNGKey(0), X, Y)['params']
    # What starts at zero must not hide an error.
    params = jax.tree.map(
        lambda leaf: leaf + 0.1 * RNG.standard_normal(leaf.shape).astype(np.float32), params
    )
    scores = net.apply({'params': params}, X, Y)
    chex.assert_shape(scores, (len(X), len(Y)))
    expected = [[oracle(params, np.float64(x), np.float64(y)) for y in Y] for x in X]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def test_baseline_and_conditional():
    baseline = learned_critics.Baseline((5,))
    chex.assert_shape(baseline.apply(baseline.init(jax.random.PRNGKey(0), Y), Y), (len(Y),))
    conditional = learned_critics.Conditional(2, (5,), largest_log_variance=3.0)
    params = conditional.init(jax.random.PRNGKey(0), X)
    mean, log_variance = conditional.apply(jax.tree.map(lambda leaf: 100 * leaf, params), X)
    chex.assert_shape([mean, log_variance], (len(X), 2))
    assert jnp.abs(log_variance).max() <= 3.0 < jnp.abs(mean).max()
