"""Weights by PyTorch's names: the names, the way there and back, what is recognised."""

import jax
import numpy as np
import pytest

from mi_ssl_jax import nets
from mi_ssl_jax.nets import torch_names
from tests.helpers import untrained_runs

CASES = [
    ('resnet18', {'stem': 'small'}),
    ('resnet18', {'stem': 'imagenet'}),
    ('resnet50', {'stem': 'imagenet'}),
    ('conv4', {'width': 6}),
    ('digits_conv', {'width': 4}),
]
VIT = {
    'patch': 4,
    'width': 64,
    'depth': 2,
    'heads': 1,
    'mlp_ratio': 2.0,
    'pool': 'cls',
    'positions': 'learned',
    'fixed_patches': False,
}


def variables(name, options, channels=3):
    x = jax.ShapeDtypeStruct((1, 32, 32, channels), np.float32)
    net, key = nets.load(name, **options), jax.random.PRNGKey(0)
    shapes = dict(jax.eval_shape(lambda x: net.init(key, x, train=False), x))
    rng = np.random.default_rng(0)
    found = jax.tree_util.tree_map_with_path(
        lambda path, leaf: untrained_runs.drawn(rng, path, leaf), shapes
    )
    return {'batch_stats': {}, **found}


def resnet_names(depths, convolutions):
    """torchvision's names, spelt out."""
    norm = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
    names = {'conv1.weight', *(f'bn1.{own}' for own in norm)}
    for stage, depth in enumerate(depths, 1):
        for block in range(depth):
            stem = f'layer{stage}.{block}'
            for number in range(1, convolutions + 1):
                names |= {f'{stem}.conv{number}.weight', *(f'{stem}.bn{number}.{n}' for n in norm)}
            if block == 0 and (stage > 1 or convolutions == 3):
                names.add(f'{stem}.downsample.0.weight')
                names |= {f'{stem}.downsample.1.{own}' for own in norm}
    return names


@pytest.mark.parametrize(
    'name, depths, convolutions', [('resnet18', (2,) * 4, 2), ('resnet50', (3, 4, 6, 3), 3)]
)
def test_resnets_have_torchvisions_names_and_layouts(name, depths, convolutions):
    own = variables(name, {'stem': 'imagenet'})
    state = nets.to_torch(name, own)
    assert set(state) == resnet_names(depths, convolutions)
    assert state['conv1.weight'].shape == (64, 3, 7, 7)
    kernel = own['params']['stage2_block1']['conv1']['kernel']
    found = state['layer2.0.conv1.weight']
    assert found.shape == tuple(kernel.shape[axis] for axis in (3, 2, 0, 1))
    np.testing.assert_array_equal(found[5, 3], kernel[:, :, 3, 5])
    np.testing.assert_array_equal(
        state['layer1.0.bn1.running_var'], own['batch_stats']['stage1_block1']['norm1']['var']
    )


@pytest.mark.parametrize('name, options', CASES)
def test_there_and_back_to_the_bit(name, options):
    own = variables(name, options)
    back = nets.from_torch(name, nets.to_torch(name, own))
    assert jax.tree.structure(back) == jax.tree.structure(own)
    jax.tree.map(np.testing.assert_array_equal, back, own)


@pytest.mark.parametrize('name, options', [*CASES, ('vit', VIT)])
def test_networks_are_recognised_with_their_options(name, options):
    state = nets.to_torch(name, variables(name, options))
    shapes = {key: value.shape for key, value in state.items()}
    assert torch_names.recognised(shapes) == (name, options)


def test_a_vits_hidden_width_survives_the_ratio():
    for width, hidden in ((48, 100), (192, 383), (64, 171)):
        assert int(width * torch_names._ratio(hidden, width)) == hidden


@pytest.mark.parametrize(
    'change, line',
    [
        ({'layer1.2.conv1.weight': (64, 64, 3, 3)}, r'\(3, 2, 2, 2\) basic blocks is none of'),
        ({'conv1.weight': (64, 3, 5, 5)}, 'a stem other than one convolution of 3x3 or 7x7'),
    ],
)
def test_other_resnets_are_refused(change, line):
    state = nets.to_torch('resnet18', variables('resnet18', {'stem': 'small'}))
    shapes = {key: value.shape for key, value in state.items()} | change
    with pytest.raises(ValueError, match=line):
        torch_names.recognised(shapes)


def test_weights_of_unknown_networks_are_refused():
    with pytest.raises(ValueError, match='the weights of none of conv4, digits_conv, resnet18'):
        torch_names.recognised({'features.0.weight': (64, 3, 3, 3)})
    with pytest.raises(ValueError, match="'mlp' has no names in PyTorch: use conv4"):
        nets.to_torch('mlp', {'params': {}})
    with pytest.raises(ValueError, match="'conv1.gamma' is of no convolution"):
        nets.from_torch('resnet18', {'conv1.gamma': np.zeros(3)})
    with pytest.raises(ValueError, match=r'layers of \[3, 5\] channels are none of'):
        torch_names.recognised({'0.weight': (3, 3, 3, 3), '1.weight': (3,), '3.weight': (5, 3, 3)})
