"""Read-outs of encoders that were not trained here, and what their folders are good for."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from configs.base import images
from mi_ssl_jax import augment, embed, probe, readout
from mi_ssl_jax.runs import encoders, exporting, run, run_folder, weights
from mi_ssl_jax.runs import readout as readouts
from tests.helpers import runs, subprocesses, untrained_runs

QUICK = {'bounds': ('gaussian_mi', 'infonce'), 'fits': 2, 'steps': 20}


def config(**changes):
    own = runs.small('sdmi', on='digits', epochs=1, warmup_epochs=0, data={'limit': 64})
    own.update({'seeds': 1, 'batch_size': 32, 'probe': {'labels': ('all',)}})
    own.net.options.digits_conv.width = 4
    own.update(changes)
    return own


@pytest.fixture(scope='module')
def trained(tmp_path_factory, own_data_dir):
    folder = tmp_path_factory.mktemp('trained') / 'run'
    run.run(config(), folder, say=lambda line: None)
    return folder


@pytest.fixture(scope='module')
def read(trained):
    """The read-out of the run's second encoder, exported and read on the same data."""
    exporting.write(trained, trained.parent / 'out', form='torchvision', branch='xi')
    said, workdir = [], trained.parent / 'readout'
    found = readouts.run(
        config(net={'name': 'mlp'}), trained.parent / 'out', workdir, say=said.append, **QUICK
    )
    return found, workdir, said


@pytest.mark.slow
def test_a_read_out_is_of_the_encoders_own_features(trained, read):
    found, workdir, _ = read
    apply, variables = encoders.load_encoder(trained, branch='xi')
    ready = encoders.setup(trained)
    x = np.random.default_rng(0).integers(0, 17, (4, *ready.source.example.shape)).astype(np.uint8)
    own_apply, own = encoders.load_encoder(workdir)
    np.testing.assert_allclose(
        own_apply(own, x).features, apply(variables, x).features, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(own_apply(own, x).z, own_apply(own, x).features)
    assert (found.examples, found.dimension) == (360, 16)
    assert set(found.learned) == {'gaussian_mi', 'infonce'}
    assert found.cosine['cos_dv'] > 0 and 1 < found.collapse['effective_rank'] <= 16


@pytest.mark.slow
def test_its_folder_holds_the_figures(read):
    found, workdir, _ = read
    kept = json.loads((workdir / 'readout.json').read_text())
    assert kept['learned']['infonce']['mi'] == pytest.approx(found.learned['infonce'].mi, rel=1e-5)
    assert kept['network'] == 'digits_conv' and kept['collapse']['nn_gap']['mean'] > 0
    (line,) = (workdir / 'metrics.jsonl').read_text().splitlines()
    assert json.loads(line)['mi']['cos_dv'] == [pytest.approx(found.cosine['cos_dv'], rel=1e-5)]
    page = (workdir / 'report.md').read_text()
    assert '## Read-out' in page and 'Measured before training only' not in page
    rows = json.loads((workdir / 'probe.json').read_text())['rows']
    assert {row['encoder'] for row in rows} == {'theta'} and len(rows) == 2


@pytest.mark.slow
def test_its_folder_is_a_runs(read, monkeypatch, capsys):
    """probe, embed and export take it."""
    _, workdir, _ = read
    monkeypatch.setattr(sys, 'argv', ['probe', f'--workdir={workdir}'])
    probe.main()
    assert 'checkpoint of epoch 0' in capsys.readouterr().out
    monkeypatch.setattr(sys, 'argv', ['embed', f'--workdir={workdir}'])
    embed.main()
    assert np.load(workdir / 'embeddings' / 'test_features.npy').shape == (360, 16)
    assert weights.load(workdir).network == 'digits_conv'


@pytest.mark.slow
def test_the_same_encoder_again_and_another_one(trained, read):
    _, workdir, _ = read
    again = readouts.run(config(), trained.parent / 'out', workdir, say=lambda line: None, **QUICK)
    assert again.cosine == pytest.approx(read[0].cosine)
    with pytest.raises(ValueError, match='belongs to another configuration: net.weights'):
        readouts.run(config(), trained, workdir, **QUICK)


@pytest.mark.slow
def test_a_run_is_read_out_by_its_own_configuration(trained, tmp_path, monkeypatch, capsys):
    folder = tmp_path / 'own'
    arguments = [f'--weights={trained}', f'--workdir={folder}', '--branch=xi', '--steps=20']
    monkeypatch.setattr(sys, 'argv', ['readout', *arguments, '--fits=2', '--bounds=infonce'])
    readout.main()
    printed = capsys.readouterr().out
    assert 'infonce' in printed and 'effective rank' in printed and 'linear' in printed
    assert run_folder.read_config(folder).net.weights == str(trained)


def test_a_normalisation_of_its_own_comes_with_the_weights(tmp_path):
    own = images.cifar('simclr', 'cifar10')
    untrained_runs.write(tmp_path / 'run', own)
    exporting.write(tmp_path / 'run', tmp_path / 'out', form='torchvision')
    described = json.loads((tmp_path / 'out' / 'config.json').read_text())
    found = weights.load(tmp_path / 'out')
    assert 'mean' not in readouts.configured(own, found).views.options
    described['pretrained_cfg'] |= {'mean': [0.5] * 3, 'std': [0.25] * 3}
    (tmp_path / 'out' / 'config.json').write_text(json.dumps(described))
    made = readouts.configured(own, weights.load(tmp_path / 'out'))
    assert tuple(made.views.options.mean) == (0.5,) * 3
    x = np.full((32, 32, 3), 255, np.uint8)
    plain = augment.evaluation(made.views.name, **made.views.options)
    np.testing.assert_allclose(jax.jit(plain)(x), 2.0, rtol=1e-6)


@pytest.mark.slow
def test_a_timm_network_on_real_images_in_one_command(test_data, tmp_path):
    python = os.environ.get('MI_SSL_TIMM_PYTHON')
    if not python:
        pytest.skip('MI_SSL_TIMM_PYTHON names no Python that has torch and timm')
    helper = 'tests/helpers/torch_features.py'
    file = tmp_path / 'resnet18.safetensors'
    subprocess.run([python, helper, 'write', 'timm:resnet18', file, tmp_path / 'y.npz'], check=True)
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'mi_ssl_jax.readout',
            f'--weights={file}',
            '--config=configs/jmi_cifar10.py',
            f'--config.data.dir={test_data / "tfds"}',
            '--config.data.limit=2000',
            '--config.mi.examples=2000',
            "--config.probe.labels=('all',)",
            f'--workdir={tmp_path / "readout"}',
        ],
        env=subprocesses.environment(JAX_PLATFORMS='cpu'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / 'readout' / 'readout.json').read_text())
    assert kept['options'] == {'stem': 'imagenet'} and kept['examples'] == 2000
    assert 1 < kept['collapse']['effective_rank'] < 512 and kept['learned']['infonce']['mi'] > 0.1
    rows = json.loads((tmp_path / 'readout' / 'probe.json').read_text())['rows']
    assert all(15 < row['seeds'][0] < 60 for row in rows)
