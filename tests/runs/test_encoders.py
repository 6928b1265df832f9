"""Encoders and embeddings of finished runs."""

import json
import sys

import numpy as np
import pytest

from configs.base import digits
from mi_ssl_jax import embed
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.runs import encoders, probes, run


def config():
    found = digits.base(
        'jmi',
        temperature=0.5,
        objective='dv',
        marginal='bound',
        marginal_weight=1.0,
        block_size=0,
    )
    found.update(
        {
            'epochs': 1,
            'warmup_epochs': 0,
            'seeds': 2,
            'data': {'limit': 64},
            'batch_size': 32,
            'probe': {'at_end': False},
        }
    )
    found.net.options.digits_conv.width = 4
    return found


@pytest.fixture(scope='module')
def workdir(tmp_path_factory, own_data_dir):
    folder = tmp_path_factory.mktemp('run')
    run.run(config(), folder)
    return folder


@pytest.mark.slow
def test_the_encoder_of_a_run_gives_what_its_probe_sees(workdir):
    ready = experiments.setup(config())
    apply, variables = encoders.load_encoder(workdir, seed=1)
    population, _ = run.restore(ready, workdir)
    seen = probes.backbone_features(ready, population.members()[1].variables['theta'], 'theta')
    features = apply(variables, ready.source.test.x).features
    np.testing.assert_allclose(features, seen.test, rtol=1e-5, atol=1e-5)
    other = apply(encoders.load_encoder(workdir)[1], ready.source.test.x).features
    assert np.abs(other - features).max() > 1e-2  # another seed is another encoder


@pytest.mark.slow
def test_embeddings_are_written_in_the_order_of_the_data(workdir, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['embed', f'--workdir={workdir}'])
    embed.main()
    ready, folder = experiments.setup(config()), workdir / 'embeddings'
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in folder.glob('*.npy')}
    assert {name: value.shape for name, value in arrays.items()} == {
        'train_features': (64, 16),
        'train_z': (64, 64),
        'train_labels': (64,),
        'test_features': (360, 16),
        'test_z': (360, 64),
        'test_labels': (360,),
    }
    np.testing.assert_array_equal(arrays['test_labels'], ready.source.test.y)
    apply, variables = encoders.load_encoder(workdir)
    np.testing.assert_allclose(
        arrays['test_z'][-3:], apply(variables, ready.source.test.x[-3:]).z, rtol=1e-5, atol=1e-5
    )
    assert 'test_z.npy: 360 x 64' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    'changes, line',
    [
        ({'seed': 2}, 'seed=2, but the run has 2: count from 0'),
        ({'branch': 'xi'}, "no branch 'xi': the run has theta"),
    ],
)
def test_what_the_run_does_not_have_is_said(workdir, changes, line):
    with pytest.raises(ValueError, match=line):
        encoders.load_encoder(workdir, **changes)


def test_a_folder_without_a_run_is_said(tmp_path):
    with pytest.raises(ValueError, match='is not the folder of a run'):
        encoders.load_encoder(tmp_path)
    (tmp_path / 'config.json').write_text(json.dumps(config().to_dict()))
    with pytest.raises(ValueError, match='holds no checkpoint'):
        encoders.load_encoder(tmp_path)
