"""The ViT against timm's features, and MoCo-v3's choices against their definitions."""

import os
import pathlib
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import nets
from mi_ssl_jax.nets import vit
from tests.helpers import subprocesses

ROOT = pathlib.Path(__file__).parents[2]
SMALL = {'patch': 4, 'width': 12, 'depth': 2, 'heads': 3, 'mlp_ratio': 2}
PLAIN = {'positions': 'learned', 'fixed_patches': False}
MOCO = {'positions': 'fixed', 'fixed_patches': True}
POOLS = {'cls': 'token', 'mean': 'avg'}  # ours, timm's


def image(size=8, batch=2):
    return np.random.default_rng(0).standard_normal((batch, size, size, 3)).astype(np.float32)


def load(**options):
    return nets.load('vit', **{**SMALL, 'pool': 'cls', **PLAIN, **options})


def assert_timms(arrays, **options):
    """Features to 1e-5, and the parameters there and back."""
    state = {key[6:]: arrays[key] for key in arrays if key.startswith('state/')}
    net, params = load(**options), nets.from_timm(state)
    x = arrays['x'].transpose(0, 2, 3, 1)
    features = jax.jit(lambda p, x: net.apply({'params': p}, x, train=False))(params, x)
    np.testing.assert_allclose(features, arrays['y'], atol=1e-5)
    own = jax.eval_shape(lambda: net.init(jax.random.PRNGKey(0), x, train=False)['params'])
    assert jax.tree.map(np.shape, own) == jax.tree.map(np.shape, params)
    back = nets.to_timm(params)
    assert set(back) == set(state)
    for name, value in state.items():
        np.testing.assert_array_equal(back[name], value)


@pytest.mark.parametrize('pool', POOLS)
def test_features_are_timms(pool):
    with np.load(ROOT / 'tests' / 'golden' / f'nets_vit_{POOLS[pool]}.npz') as arrays:
        assert_timms(dict(arrays), pool=pool)


@pytest.mark.slow
@pytest.mark.parametrize(
    'size, options',
    [
        (32, {'patch': 4, 'width': 192, 'depth': 9, 'heads': 12, 'mlp_ratio': 2}),
        (224, {'patch': 16, 'width': 192, 'depth': 12, 'heads': 3, 'mlp_ratio': 4}),
    ],
)
def test_features_are_timms_at_full_size(size, options, tmp_path):
    python = os.environ.get('MI_SSL_TIMM_PYTHON')
    if not python:
        pytest.skip('MI_SSL_TIMM_PYTHON names no Python that has torch and timm')
    file = tmp_path / 'timm.npz'
    script = ROOT / 'tests' / 'helpers' / 'timm_vit.py'
    numbers = [str(number) for number in (size, *options.values())]
    subprocess.run(
        [python, script, file, *numbers, 'token'], check=True, env=subprocesses.environment()
    )
    with np.load(file) as arrays:
        assert_timms(dict(arrays), **options)


def test_fixed_positions_are_sines_and_cosines_of_row_and_column():
    found = vit.fixed_positions(2, 3, 8)
    assert found.shape == (1, 7, 8) and not found[0, 0].any()
    for row in range(2):
        for column in range(3):
            expected = [
                wave(place / 10_000 ** (i / 2))
                for place in (column, row)
                for wave in (np.sin, np.cos)
                for i in range(2)
            ]
            np.testing.assert_allclose(found[0, 1 + 3 * row + column], expected, atol=1e-6)


@pytest.mark.slow
def test_a_fixed_patch_embedding_has_no_gradient_and_outlives_weight_decay():
    net, x = load(**MOCO), image()
    params = net.init(jax.random.PRNGKey(0), x, train=False)['params']
    assert 'pos_embed' not in params

    def features(params):
        return net.apply({'params': params}, x, train=True)

    gradient = jax.grad(lambda params: jnp.sum(features(params)[:, 0]))(params)
    kernel = gradient.pop('patch_embed')['proj']['kernel']
    np.testing.assert_array_equal(kernel, 0)
    moving = [np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient)]
    assert np.mean(moving) > 0.9
    shorter = {**params, 'patch_embed': jax.tree.map(lambda w: 0.3 * w, params['patch_embed'])}
    np.testing.assert_allclose(features(shorter), features(params), rtol=1e-4, atol=1e-5)
    weight = nets.to_timm(params)['patch_embed.proj.weight']
    # Uniform of variance 2 / (fan in + fan out), fans of 16 positions each.
    np.testing.assert_allclose(np.sqrt(np.mean(weight**2)), np.sqrt(2 / (16 * (3 + 12))), rtol=1e-5)


@pytest.mark.slow
def test_smaller_views_see_the_positions_resized():
    """DINO's local views: a grid of 1 x 1 of one of 2 x 2; of the same grid, nothing changes."""
    net = load()
    variables = net.init(jax.random.PRNGKey(0), image(8), train=False)
    assert net.apply(variables, image(4), train=False).shape == (2, 12)
    constant = jnp.tile(jnp.arange(12.0), (1, 5, 1))
    np.testing.assert_allclose(
        vit._resized(constant, 3, 4), np.tile(np.arange(12.0), (1, 13, 1)), rtol=1e-5
    )


@pytest.mark.slow
def test_half_precision_stays_near():
    x = image()
    full, half = load(), load(dtype=jnp.bfloat16)
    variables = full.init(jax.random.PRNGKey(0), x, train=False)
    found = half.apply(variables, x, train=False)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(found), full.apply(variables, x, train=False), atol=0.1)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'pool': 'avg'}, "unknown pool 'avg'; use one of cls, mean"),
        ({'positions': 'rotary'}, "unknown positions 'rotary'; use one of learned, fixed"),
        ({'heads': 5}, 'width=12 must be a multiple of heads=5'),
        ({'width': 6, 'heads': 1, 'positions': 'fixed'}, 'width=6 must be a multiple of heads=1'),
    ],
)
def test_values_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        load(**options)


def test_an_image_of_no_whole_patches():
    with pytest.raises(ValueError, match='an image of 10 x 10 px has no whole patches of 4'):
        load().init(jax.random.PRNGKey(0), image(10), train=False)
