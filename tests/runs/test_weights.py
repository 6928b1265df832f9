"""Weights from elsewhere: what a run begins with, and what is refused in one line."""

import functools
import json
import pickle

import jax
import numpy as np
import pytest
import safetensors.numpy

from configs.base import common, images
from mi_ssl_jax import nets, parallel
from mi_ssl_jax.experiment import build, inputs, schema
from mi_ssl_jax.runs import encoders, run, weights
from tests.helpers import runs, untrained_runs


def config(name='sdmi', **changes):
    found = runs.small(name, on='digits', epochs=1, warmup_epochs=0, data={'limit': 64})
    found.update({'seeds': 1, 'batch_size': 32, 'probe': {'at_end': False}})
    found.net.options.digits_conv.width = 4
    found.update(changes)
    return found


def drawn(seed=0, width=4):
    """Variables of a small digits_conv."""
    net = nets.load('digits_conv', width=width)
    x, key = np.zeros((1, 8, 8, 1), np.float32), jax.random.PRNGKey(0)
    rng = np.random.default_rng(seed)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: untrained_runs.drawn(rng, path, leaf),
        dict(jax.eval_shape(lambda: net.init(key, x, train=False))),
    )


def save(path, variables=None, **more):
    state = nets.to_torch('digits_conv', variables or drawn())
    arrays = {name: np.asarray(own, order='C') for name, own in state.items()}
    safetensors.numpy.save_file(arrays | more, path)
    return path


@pytest.fixture(scope='module')
def trained(tmp_path_factory, own_data_dir):
    """An SDMI run on digits that began with drawn weights."""
    folder = tmp_path_factory.mktemp('begun')
    file = save(folder / 'start.safetensors', **{'fc.weight': np.zeros((10, 16), np.float32)})
    said = []
    own = config()
    own.net.weights = str(file)
    run.run(own, folder / 'run', say=said.append)
    return folder, said


def test_every_branch_begins_with_the_weights_and_with_heads_of_its_own(own_data_dir, tmp_path):
    own = config()
    own.net.weights = str(save(tmp_path / 'w.safetensors'))
    ready = build.setup(own)
    said = []
    state = weights.initial(ready, say=said.append).first()
    plain = build.initial(ready).first()
    for branch in ('theta', 'xi'):
        for collection in ('params', 'batch_stats'):
            jax.tree.map(
                np.testing.assert_array_equal,
                state.variables[branch][collection]['backbone'],
                drawn()[collection],
            )
        jax.tree.map(
            np.testing.assert_array_equal,
            state.variables[branch]['params']['projector'],
            plain.variables[branch]['params']['projector'],
        )
    assert any('digits_conv' in line for line in said)


@pytest.mark.slow
def test_a_run_says_what_it_began_with_and_needs_the_file_no_more(trained, monkeypatch):
    folder, said = trained
    assert any('begin' in line or 'backbone from' in line for line in said)
    assert any('left aside' in line and 'fc.weight' in line for line in said)
    (folder / 'start.safetensors').unlink()
    own = config(epochs=2)
    own.net.weights = str(folder / 'start.safetensors')
    run.run(own, folder / 'run', say=lambda line: None)
    assert encoders.load_encoder(folder / 'run')[1]


def test_what_a_lagged_method_remembers_begins_with_the_weights_too(own_data_dir, tmp_path):
    own = config('simsiam')
    own.net.weights = str(save(tmp_path / 'w.safetensors'))
    state = weights.initial(build.setup(own), say=lambda line: None).first()
    kernel = state.lagged['params']['backbone']['Conv_0']['kernel']
    np.testing.assert_array_equal(kernel, drawn()['params']['Conv_0']['kernel'])


@pytest.mark.slow
def test_the_weights_of_a_run(trained):
    folder, _ = trained
    found = weights.load(folder / 'run', branch='xi')
    apply, variables = encoders.load_encoder(folder / 'run', branch='xi')
    assert (found.network, found.options['width']) == ('digits_conv', 4)
    assert found.norm.mean == pytest.approx((0.3053,)) and 'projector' in found.ignored
    jax.tree.map(
        np.testing.assert_array_equal,
        found.variables['params'],
        dict(variables['params']['backbone']),
    )
    x = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 1)).astype(np.uint8)
    net = nets.load(found.network, **found.options)
    features = net.apply(found.variables, (x / 255 - 0.3053) / 0.3760, train=False)
    np.testing.assert_allclose(features, apply(variables, x).features, rtol=1e-4, atol=1e-5)


def resnet(path, prefix='', **more):
    """A file of torchvision's names."""
    x, key = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32), jax.random.PRNGKey(0)
    net = nets.load('resnet18', stem='small')
    shapes = dict(jax.eval_shape(lambda x: net.init(key, x, train=False), x))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float16), shapes)
    state = nets.to_torch('resnet18', zeros)
    arrays = {prefix + name: np.asarray(own, order='C') for name, own in state.items()} | more
    safetensors.numpy.save_file(arrays, path)
    return path


def test_an_encoder_inside_a_larger_model(tmp_path):
    projector = {'projector.0.weight': np.zeros((4, 512), np.float32)}
    found = weights.load(resnet(tmp_path / 'a.safetensors', 'module.backbone.', **projector))
    assert (found.network, found.options, found.norm) == ('resnet18', {'stem': 'small'}, None)
    assert found.ignored == ('projector.0.weight',)
    assert {leaf.dtype for leaf in jax.tree.leaves(found.variables)} == {np.dtype('float32')}


@functools.cache
def cifar(stem='small'):
    """Images of which nothing is read."""
    own = images.cifar('simclr', 'cifar10')
    own.net.projector, own.net.dtype, own.probe.at_end = (8,), 'float32', False
    own.net.options.resnet18.stem = stem
    example = {'dtype': 'uint8', 'shape': [32, 32, 3]}
    described = {'name': 'cifar10', 'size': 50_000, 'class_names': [], 'labels': []}
    source = inputs.described({**described, 'example': example})
    return build.build(own, source, parallel.choose_devices(1))


def test_weights_that_do_not_fit_are_listed_in_one_line(tmp_path):
    found = weights.load(resnet(tmp_path / 'a.safetensors'))
    with pytest.raises(ValueError) as error:
        weights.fitted(found, cifar('imagenet'))
    line = str(error.value)
    assert 'conv1.weight is (64, 3, 3, 3), not (64, 3, 7, 7)' in line and '\n' not in line
    assert "the weights are of net.options.resnet18.stem='small'" in line
    state = nets.to_torch('resnet18', found.variables)
    del state['layer4.1.bn2.bias']
    arrays = {name: np.asarray(own, order='C') for name, own in state.items()}
    arrays['layer1.0.se.weight'] = np.zeros(3, np.float32)
    safetensors.numpy.save_file(arrays, tmp_path / 'b.safetensors')
    with pytest.raises(ValueError) as error:
        weights.fitted(weights.load(tmp_path / 'b.safetensors'), cifar())
    assert 'lacks layer4.1.bn2.bias' in str(error.value)
    assert 'has layer1.0.se.weight, which the network has not' in str(error.value)


def test_another_networks_weights_are_refused(own_data_dir, tmp_path):
    found = weights.load(resnet(tmp_path / 'a.safetensors'))
    with pytest.raises(ValueError, match="holds the weights of resnet18, and net.name='digits_c"):
        weights.fitted(found, build.setup(config()))


def test_an_other_normalisation_is_told(tmp_path):
    folder = tmp_path / 'timm'
    folder.mkdir()
    resnet(folder / 'model.safetensors')
    said = {'architecture': 'resnet18', 'pretrained_cfg': {'mean': [0.5] * 3, 'std': [0.5] * 3}}
    (folder / 'config.json').write_text(json.dumps(said))
    found, ready = weights.load(folder), cifar()
    (line,) = weights.remarks(found, ready)
    assert 'expects inputs of mean (0.5, 0.5, 0.5)' in line
    own = schema.changed(ready.config, {})
    with own.unlocked():
        own.views.options.mean, own.views.options.std = (0.5,) * 3, (0.5,) * 3
    assert not weights.remarks(found, ready._replace(config=own))


def broken(tmp_path, kind):
    file = tmp_path / 'w.safetensors'
    if kind == 'pickle':
        file = tmp_path / 'w.pth'
        file.write_bytes(pickle.dumps({'conv1.weight': 1}))
    elif kind == 'cut':
        save(file)
        file.write_bytes(file.read_bytes()[:-10])
    elif kind == 'text':
        file.write_text('no tensors')
    elif kind == 'two':
        arrays = {f'{name}.layer1.0.conv1.weight': np.zeros(3, np.float32) for name in 'qk'}
        safetensors.numpy.save_file(arrays, file)
    elif kind == 'nan':
        variables = drawn()
        variables['params']['Conv_0']['kernel'][0, 0, 0, 0] = np.nan
        save(file, variables)
    elif kind == 'folder':
        file = tmp_path / 'empty'
        file.mkdir()
    elif kind == 'npz':
        file = tmp_path / 'npz'
        file.mkdir()
        (file / 'weights.npz').write_bytes(b'PK no archive')
    elif kind == 'pickled npz':
        file = tmp_path / 'npz'
        file.mkdir()
        np.savez(file / 'weights.npz', **{'params.a.b': np.array([{}], object)})
    return file


@pytest.mark.parametrize(
    'kind, line',
    [
        ('missing', 'w.safetensors is not there: give FILE.safetensors'),
        ('pickle', 'is a pickle, which may run any code, and is not read'),
        ('cut', r'w.safetensors: .*'),
        ('text', r'w.safetensors: .*'),
        ('two', 'holds several encoders, k., q.: save the one'),
        ('nan', 'params.Conv_0.kernel is not finite'),
        ('folder', 'holds no files of weights'),
        ('npz', 'weights.npz: it is no .npz file'),
        ('pickled npz', 'weights.npz: Object arrays cannot be loaded'),
    ],
)
def test_files_that_hold_no_weights(tmp_path, kind, line):
    with pytest.raises(ValueError, match=line) as error:
        weights.load(broken(tmp_path, kind))
    assert '\n' not in str(error.value)


def test_only_runs_have_branches(tmp_path):
    with pytest.raises(ValueError, match='is not the folder of a run: it has no branches'):
        weights.load(save(tmp_path / 'w.safetensors'), branch='theta')


def test_no_weights_are_the_default():
    assert common.base().net.weights == 'none' and common.base().export == 'none'
