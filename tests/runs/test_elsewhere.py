"""A run of image files: its encoder without the data, what stands beside embeddings, one class."""

import json
import shutil
import sys

import numpy as np
import pytest

from configs.base import common, images
from mi_ssl_jax import data, embed
from mi_ssl_jax.cli import guard
from mi_ssl_jax.data import on_disk
from mi_ssl_jax.data import prepare as command
from mi_ssl_jax.evals import collapse
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.runs import after_training, encoders, probes, run
from tests.helpers import samples


def config(folder, **changes):
    found = images.base('jmi', 'image_folder', size=8, stem='small')
    found.data.dir, found.data.short_side = str(folder), 8
    found.net.name, found.net.projector, found.net.options.conv4.width = 'conv4', (4,), 2
    found.batch_size, found.epochs, found.mi.batch_size = 4, 1, 4
    found.method.block_size = 0
    found.update(changes)
    return found


def prepared(folder, classes):
    """A data folder with some noise images of each class."""
    source = samples.write_folder(folder / 'source', classes, held_out='val')
    command.main(['image_folder', f'--source={source}', f'--data_dir={folder / "data"}'])
    return folder / 'data'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder of a run whose data are gone, beside it the place they were moved to."""
    root = tmp_path_factory.mktemp('elsewhere')
    place = prepared(root, ('cat', 'dog'))
    wanted = config(place, probe={'at_end': False})
    run.run(wanted, root / 'run')
    apply, variables = encoders.load_encoder(root / 'run')
    ready = experiments.setup(wanted)
    expected = np.asarray(apply(variables, ready.source.test.x).features)
    shutil.move(place, root / 'moved')
    return root / 'run', root / 'moved', ready, expected


def embedded(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['embed', *map(str, arguments)])
    return guard.guard(embed.main)


@pytest.mark.slow
def test_the_folder_of_a_run_is_enough_for_its_encoder(trained):
    workdir, _, ready, expected = trained
    apply, variables = encoders.load_encoder(workdir)
    np.testing.assert_array_equal(apply(variables, ready.source.test.x).features, expected)


@pytest.mark.slow
def test_a_damaged_description_is_named(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / 'run')
    for text in ('', '[]', '{"name": 1}', '{"example": 3}'):
        (tmp_path / 'run' / 'data.json').write_text(text)
        with pytest.raises(ValueError, match='data.json does not describe the data of a run'):
            encoders.load_encoder(tmp_path / 'run')


@pytest.mark.slow
def test_embeddings_of_data_that_were_moved(trained, tmp_path, monkeypatch, capsys):
    workdir, moved, ready, expected = trained
    assert embedded(monkeypatch, f'--workdir={workdir}', f'--out={tmp_path}') == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and '--data_dir' in error and '--examples' in error
    arguments = f'--workdir={workdir}', f'--out={tmp_path}', f'--data_dir={moved}'
    assert embedded(monkeypatch, *arguments) in (None, 0)
    np.testing.assert_allclose(np.load(tmp_path / 'test_features.npy'), expected, atol=1e-6)
    names = np.load(tmp_path / 'test_names.npy')
    records = on_disk._source(moved / 'image_folder' / '1.0.0', 'validation', 'image')
    assert names.tolist() == [records[i]['file_name'].decode() for i in range(len(records))]
    np.testing.assert_array_equal(np.load(tmp_path / 'test_labels.npy'), ready.source.test.y)
    assert json.loads((tmp_path / 'class_names.json').read_text()) == ['cat', 'dog']


@pytest.mark.slow
def test_embeddings_of_an_array(trained, tmp_path, monkeypatch, capsys):
    workdir, _, ready, expected = trained
    np.save(tmp_path / 'x.npy', ready.source.test.x)
    arguments = f'--workdir={workdir}', f'--out={tmp_path / "out"}'
    assert embedded(monkeypatch, *arguments, f'--examples={tmp_path / "x.npy"}') in (None, 0)
    np.testing.assert_allclose(np.load(tmp_path / 'out' / 'features.npy'), expected, atol=1e-6)
    for wrong in (
        np.zeros((2, 8, 8, 3)),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), 'u1'),
    ):
        np.save(tmp_path / 'wrong.npy', wrong)
        capsys.readouterr()
        assert embedded(monkeypatch, *arguments, f'--examples={tmp_path / "wrong.npy"}') == 2
        assert 'one example per row' in capsys.readouterr().err


@pytest.mark.slow
def test_a_place_or_an_array_that_cannot_be_used_is_said_before_the_encoding(
    trained, tmp_path, monkeypatch, capsys
):
    (tmp_path / 'file').write_text('')
    np.savez(tmp_path / 'several.npz', x=np.zeros(3), y=np.zeros(3))
    run = f'--workdir={trained[0]}'
    for arguments, message in (
        ([run, f'--out={tmp_path / "file"}'], f'cannot use {tmp_path / "file"}: File exists'),
        ([run, f'--out={tmp_path / "file" / "out"}'], 'Not a directory'),
        ([f'--workdir={tmp_path / "none"}'], 'is not the folder of a run'),
        ([run, f'--examples={tmp_path / "several.npz"}'], 'holds several arrays'),
        ([run, f'--examples={tmp_path / "none.npy"}'], 'none.npy: No such file or directory'),
    ):
        assert embedded(monkeypatch, *arguments) == 2
        error = capsys.readouterr().err
        assert message in error and error.count('\n') == 1
    assert not (tmp_path / 'none').exists()


def test_a_description_is_what_the_networks_see(own_data_dir):
    for name in ('digits', 'karate', 'gaussian'):
        wanted = common.base()
        wanted.data.name = name
        source = inputs.load(wanted)
        again = inputs.described(json.loads(json.dumps(inputs.describe(source))))
        assert (again.rows, again.size, again.class_names) == (
            source.rows,
            source.size,
            source.class_names,
        )
        shapes = [
            {key: (leaf.shape, leaf.dtype) for key, leaf in example.items()}
            if isinstance(example, dict)
            else (example.shape, example.dtype)
            for example in (source.example, again.example)
        ]
        assert shapes[0] == shapes[1]
        assert data.example_names(name, None, 'train') is None


@pytest.mark.slow
def test_one_class_trains_without_what_needs_classes(tmp_path):
    said, place = [], prepared(tmp_path, ('all',))
    wanted = config(place, probe={'online': True})
    ready = run.run(wanted, tmp_path / 'run', say=said.append)
    assert 'image_folder has one class: probes and figures of classes are left out' in said
    line = json.loads((tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()[-1])
    assert set(line['collapse']['theta']) == {'std', 'effective_rank'}
    assert 'online_top1' not in line and np.isfinite(line['mi']['cos_dv'][0])
    after_training.finish(ready, tmp_path / 'run')
    assert (tmp_path / 'run' / 'figures' / 'collapse.png').exists()
    assert (tmp_path / 'run' / 'report.md').exists()
    with pytest.raises(ValueError, match='has one class: there is nothing to probe'):
        probes.probe(ready, None)


def test_collapse_of_data_without_labels():
    z = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    figures = collapse.figures(z, np.full(20, -1), classes=0)
    assert set(figures) == {'std', 'effective_rank'}
    assert collapse.sentence(figures, dimension=3, history=[figures]) is None
    flat = collapse.figures(0 * z + 1, np.full(20, -1), classes=0)
    assert collapse.sentence(flat, dimension=3).startswith('collapse: ')


@pytest.mark.slow
def test_a_missing_list_of_classes_is_said(trained, tmp_path, capsys):
    shutil.copytree(trained[1], tmp_path / 'data')
    (tmp_path / 'data' / 'image_folder' / '1.0.0' / 'label.labels.txt').unlink()
    assert data.find('image_folder', str(tmp_path / 'data')).class_names == ('0', '1')
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'no label.labels.txt' in error and 'numbers' in error
