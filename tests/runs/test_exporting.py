"""Exported encoders: read back to the bit, run without this package, opened by PyTorch."""

import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import jax.export
import numpy as np
import pytest

from configs.base import images
from mi_ssl_jax import export, nets
from mi_ssl_jax.runs import after_training, encoders, exporting, run, run_folder, weights
from tests.helpers import runs, subprocesses, untrained_runs

ROOT = pathlib.Path(__file__).parents[2]
TORCH = ROOT / 'tests' / 'helpers' / 'torch_features.py'
WIDE = 1e-9  # of float64


def resnet_config(name, stem, size):
    own = images.cifar('simclr', 'cifar10')
    own.net.name, own.net.projector, own.net.dtype = name, (8,), 'auto'
    if name in own.net.options and 'stem' in own.net.options[name]:
        own.net.options[name].stem = stem
    own.views.options.size = size
    return own


def vit_config(**changes):
    own = images.cifar('simclr', 'cifar10')
    own.net.name, own.net.projector = 'vit', (8,)
    with own.unlocked():
        own.net.options.vit = {
            'patch': 4,
            'width': 12,
            'depth': 2,
            'heads': 3,
            'mlp_ratio': 2.0,
            'pool': 'mean',
            'positions': 'learned',
            'fixed_patches': False,
            **changes,
        }
    return own


def small_config(name='jmi'):
    own = runs.small(name, on='digits', epochs=1, warmup_epochs=0, data={'limit': 64})
    own.update({'seeds': 2, 'batch_size': 32, 'probe': {'labels': ('all',)}})
    own.net.options.digits_conv.width = 4
    return own


@pytest.fixture(scope='module')
def digits(tmp_path_factory, own_data_dir):
    """A run with everything that is done at its end."""
    folder = tmp_path_factory.mktemp('digits') / 'run'
    own = small_config()
    own.export = 'torchvision'
    after_training.finish(run.run(own, folder, say=lambda line: None), folder)
    return folder


def written(config, folder, form, **changes):
    untrained_runs.write(folder / 'run', config)
    return exporting.write(folder / 'run', folder / 'out', form=form, **changes)


CASES = {
    'small stem': (lambda: resnet_config('resnet18', 'small', 32), 'torchvision'),
    'imagenet stem': (lambda: resnet_config('resnet18', 'imagenet', 32), 'timm'),
    'own names': (lambda: resnet_config('conv4', 'small', 32), 'npz'),
    'vit': (vit_config, 'timm'),
}


@pytest.mark.parametrize('case', CASES)
def test_an_exported_encoder_is_read_back_to_the_bit(case, tmp_path):
    config, form = CASES[case]
    written(config(), tmp_path, form)
    found = weights.load(tmp_path / 'out')
    kept = encoders.load_encoder(tmp_path / 'run')[1]
    for collection in ('params', 'batch_stats'):
        own = kept[collection].get('backbone', {})
        assert jax.tree.structure(found.variables[collection]) == jax.tree.structure(dict(own))
        jax.tree.map(np.testing.assert_array_equal, found.variables[collection], dict(own))
    assert found.norm.mean == pytest.approx((0.4914, 0.4822, 0.4465)) and not found.ignored
    ready = encoders.setup(tmp_path / 'run')
    assert weights.fitted(found, ready) is found.variables


@pytest.mark.slow
def test_the_end_of_a_run_exports_where_the_configuration_says_so(digits):
    folder = digits / 'exported'
    assert {path.name for path in folder.iterdir()} == {
        'README.md',
        'config.json',
        'model.safetensors',
    }
    card = (folder / 'README.md').read_text()
    probe = json.loads((digits / 'probe.json').read_text())
    row = next(row for row in probe['rows'] if row['encoder'] == 'theta')
    assert '# digits_conv by JMI on digits' in card and 'one of 2 seeds' in card
    assert f'{row["seeds"][0]:.1f}' in card and row['protocol'] in card
    assert 'cos-DV' in card and 'torch.nn.Sequential' in card
    described = json.loads((folder / 'config.json').read_text())
    assert described['pretrained_cfg']['mean'] == [0.3053]
    assert described['mi_ssl_jax']['options'] == {'width': 4}


@pytest.mark.slow
def test_the_command_writes_one_encoder_and_says_so(digits, tmp_path, monkeypatch, capsys):
    arguments = [f'--workdir={digits}', '--format=npz', '--seed=1', f'--out={tmp_path / "out"}']
    monkeypatch.setattr(sys, 'argv', ['export', *arguments])
    export.main()
    assert 'weights.npz' in capsys.readouterr().out
    found = weights.load(tmp_path / 'out')
    kept = encoders.load_encoder(digits, seed=1)[1]['params']['backbone']
    jax.tree.map(np.testing.assert_array_equal, found.variables['params'], dict(kept))


@pytest.mark.slow
def test_another_format_replaces_the_one_before(digits, tmp_path):
    out = tmp_path / 'out'
    exporting.write(digits, out, form='npz')
    exporting.write(digits, out, form='torchvision')
    assert not (out / 'weights.npz').exists() and weights.load(out).network == 'digits_conv'


ELSEWHERE = """
import re, sys
import numpy as np
sys.modules['mi_ssl_jax'] = None
(code,) = re.findall(r'```python\\n(.*?)```', open('README.md').read(), flags=re.DOTALL)
exec(code)
x = np.load('x.npz')['x']
np.savez('y.npz', all=model.call(x), one=model.call(x[:1]))
"""


def run_elsewhere(out, x):
    """The features of all examples and of the first, by a process without the package."""
    np.savez(out / 'x.npz', x=x)
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu'}
    environment.pop('PYTHONPATH', None)
    done = subprocess.run(
        [sys.executable, '-c', ELSEWHERE], cwd=out, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(out / 'y.npz') as found:
        return found['all'], found['one']


@pytest.mark.slow
def test_a_program_runs_without_this_package(digits, tmp_path):
    exporting.write(digits, tmp_path, form='stablehlo')
    x = np.random.default_rng(0).integers(0, 17, (5, 8, 8, 1)).astype(np.uint8)
    every, one = run_elsewhere(tmp_path, x)
    ready = encoders.setup(digits, exporting.PLAIN)
    apply, variables = encoders.restored(ready, digits, branch=None, seed=0, best=False)
    expected = apply(variables, x).features
    np.testing.assert_allclose(every, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(one, expected[:1], rtol=1e-6, atol=1e-6)
    program = bytearray((tmp_path / 'model.stablehlo').read_bytes())
    text = jax.export.deserialize(program).mlir_module()
    # JAX's check of the input's shape is the one call that is no operation of StableHLO's own.
    assert set(re.findall(r'custom_call @(\w+)', text)) <= {'shape_assertion'}
    assert 'stablehlo.convolution' in text


@pytest.mark.slow
@pytest.mark.parametrize(
    'config',
    [lambda: resnet_config('resnet18', 'small', 32), lambda: vit_config(pool='cls')],
    ids=['resnet18', 'vit'],
)
def test_programs_of_large_networks_run_without_this_package(config, tmp_path):
    written(config(), tmp_path, 'stablehlo')
    x = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    every, one = run_elsewhere(tmp_path / 'out', x)
    ready = encoders.setup(tmp_path / 'run', exporting.PLAIN)
    apply, variables = encoders.restored(ready, tmp_path / 'run', branch=None, seed=0, best=False)
    expected = np.asarray(apply(variables, x).features)
    np.testing.assert_allclose(every, expected, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_allclose(one, expected[:1], atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    'name, options, form, line',
    [
        (
            'resnet18',
            {'width': 16},
            'timm',
            'begins with 64 channels, and net.options.resnet18.wid',
        ),
        ('conv4', {'width': 16}, 'timm', r'has no such form \(resnet18, resnet50, vit have\)'),
        ('vit', {}, 'torchvision', "net.name='vit' has no such form"),
        ('gcn', {}, 'stablehlo', "it takes graphs; use 'npz'"),
        ('mlp', {}, 'onnx', "export='onnx': use one of timm, torchvision, npz, stablehlo"),
    ],
)
def test_formats_that_a_network_has_not(name, options, form, line):
    own = images.cifar('simclr', 'cifar10')
    own.net.name = name
    with own.unlocked():
        own.net.options[name] = options
    with pytest.raises(ValueError, match=line):
        exporting.check(own, form)


def test_a_format_that_cannot_be_is_refused_before_training(own_data_dir, tmp_path):
    own = small_config()
    own.export = 'timm'
    with pytest.raises(ValueError, match="export='timm': net.name='digits_conv' has no such form"):
        run.run(own, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.slow
def test_a_runs_folder_is_not_overwritten(digits):
    before = run_folder.read_config(digits)
    with pytest.raises(ValueError, match='is the folder of a run: name another'):
        exporting.write(digits, digits, form='npz')
    assert run_folder.read_config(digits) == before


# With PyTorch
# --------------------------------------------------------------------------------------------------


def torch_python():
    python = os.environ.get('MI_SSL_TIMM_PYTHON')
    if not python:
        pytest.skip('MI_SSL_TIMM_PYTHON names no Python that has torch and timm')
    return python


def by_torch(folder, *arguments):
    done = subprocess.run(
        [torch_python(), TORCH, *map(str, arguments)],
        cwd=folder,
        env=subprocesses.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def apply_both(network, options, variables, x):
    """Features in evaluation mode in float32, in training mode in float64, and the statistics after
    that; x (N, C, H, W).
    """
    net = nets.load(network, convolution='xla', **options)
    x = x.transpose(0, 2, 3, 1)
    running = jax.jit(lambda v, x: net.apply(v, x, train=False))(variables, x)
    with jax.enable_x64(True):
        wide = nets.load(network, convolution='xla', dtype=np.float64, **options)
        own = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
        batch, moved = jax.jit(lambda v, x: wide.apply(v, x, train=True, mutable=['batch_stats']))(
            own, x.astype(np.float64)
        )
        batch, moved = jax.device_get((batch, moved))
    assert batch.dtype == np.float64
    return running, batch, moved.get('batch_stats', {})


def assert_close(found, expected, atol=1e-5):
    np.testing.assert_allclose(found, expected, atol=atol * max(1, np.abs(expected).max()))


EXPORTED = {
    'resnet18 small timm': (lambda: resnet_config('resnet18', 'small', 32), 'timm'),
    'resnet18 small torchvision': (lambda: resnet_config('resnet18', 'small', 32), 'torchvision'),
    'resnet18 imagenet timm': (lambda: resnet_config('resnet18', 'imagenet', 64), 'timm'),
    'resnet18 imagenet torchvision': (
        lambda: resnet_config('resnet18', 'imagenet', 64),
        'torchvision',
    ),
    'resnet50 imagenet timm': (lambda: resnet_config('resnet50', 'imagenet', 64), 'timm'),
    'resnet50 imagenet torchvision': (
        lambda: resnet_config('resnet50', 'imagenet', 64),
        'torchvision',
    ),
    'vit timm': (vit_config, 'timm'),
    'vit fixed timm': (
        lambda: vit_config(pool='cls', positions='fixed', fixed_patches=True),
        'timm',
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('case', EXPORTED)
def test_pytorch_gives_the_same_features(case, tmp_path):
    torch_python()
    config, form = EXPORTED[case]
    config = config()
    written(config, tmp_path, form)
    out, size = tmp_path / 'out', config.views.options.size
    x = np.random.default_rng(0).standard_normal((3, 3, size, size)).astype(np.float32)
    np.savez(out / 'x.npz', x=x)
    by_torch(out, 'read', 'x.npz', 'y.npz')
    own = encoders.load_encoder(tmp_path / 'run')[1]
    variables = {name: own[name].get('backbone', {}) for name in ('params', 'batch_stats')}
    options = dict(config.net.options[config.net.name])
    running, batch, moved = apply_both(config.net.name, options, variables, x)
    if options.get('fixed_patches'):  # their kernel is scaled on the way out, in float32
        read = weights.load(out)
        _, batch, _ = apply_both(read.network, read.options, read.variables, x)
    with np.load(out / 'y.npz') as found:
        assert_close(found['running'], running)
        assert_close(found['batch'], batch, WIDE)
        if config.net.name == 'vit':
            return
        assert_statistics(found, variables, moved, config.net.name)


def assert_statistics(found, variables, moved, network):
    """After a step in training mode; PyTorch's variance is n / (n - 1) times that of the batch."""
    before = nets.to_torch(network, jax.tree.map(np.float64, variables))
    after = nets.to_torch(network, {'params': {}, 'batch_stats': moved})
    names = [key[6:] for key in found.files if key.startswith('count/')]
    assert len(names) == len([key for key in after if key.endswith('running_mean')])
    for name in names:
        n = int(found[f'count/{name}'])
        mean, var = f'{name}.running_mean', f'{name}.running_var'
        assert_close(found[f'after/{mean}'], after[mean], WIDE)
        ours = after[var] - 0.9 * before[var]
        assert_close(found[f'after/{var}'] - 0.9 * before[var], ours * n / (n - 1), WIDE)


@pytest.mark.slow
def test_a_small_network_is_an_nn_sequential(digits, tmp_path):
    torch_python()
    exporting.write(digits, tmp_path, form='torchvision')
    x = np.random.default_rng(0).standard_normal((4, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / 'x.npz', x=x)
    by_torch(tmp_path, 'read', 'x.npz', 'y.npz')
    found = weights.load(tmp_path)
    running, batch, moved = apply_both(found.network, found.options, found.variables, x)
    with np.load(tmp_path / 'y.npz') as theirs:
        assert_close(theirs['running'], running)
        assert_close(theirs['batch'], batch, WIDE)
        assert_statistics(theirs, found.variables, moved, found.network)


@pytest.mark.slow
@pytest.mark.parametrize(
    'kind, network',
    [
        ('torchvision:resnet18', 'resnet18'),
        ('timm:resnet18', 'resnet18'),
        ('timm:resnet18:cifar', 'resnet18'),
        ('torchvision:resnet50', 'resnet50'),
        ('timm:vit_tiny_patch16_224', 'vit'),
    ],
)
def test_pytorchs_weights_give_the_same_features_here(kind, network, tmp_path):
    by_torch(tmp_path, 'write', kind, 'w.safetensors', 'y.npz')
    found = weights.load(tmp_path / 'w.safetensors')
    assert found.network == network
    assert {name.split('.')[0] for name in found.ignored} <= {'fc', 'head'} and found.ignored
    with np.load(tmp_path / 'y.npz') as theirs:
        running, _, _ = apply_both(found.network, found.options, found.variables, theirs['x'])
        assert_close(running, theirs['y'])
