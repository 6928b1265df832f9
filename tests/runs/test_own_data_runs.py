"""Each way of data in, from the source to a short training on it: real sets that scikit-learn and
Matplotlib ship, counted when read back, with mutual information that rises on held-out examples."""

import importlib
import io
import json
import tarfile

import cv2
import matplotlib.cbook
import numpy as np
import pytest
from sklearn import datasets

from mi_ssl_jax import data
from mi_ssl_jax.data import prepare as command
from mi_ssl_jax.experiment import build
from mi_ssl_jax.runs import embeddings, encoders, run
from tests.helpers import tiny

FEW = {'batch_size': 64, 'warmup_epochs': 1, 'lr': 3e-3, 'log_every': 1000}


def sample(name):
    return matplotlib.cbook.get_sample_data(name)


def windows(array, size, step):
    """All (size, ...) or, of two axes, (size, size, ...) parts of an array, every `step`."""
    places = [range(0, length - size + 1, step) for length in array.shape[:2]]
    if array.ndim == 1:
        return np.stack([array[i : i + size] for i in places[0]])
    return np.stack([array[i : i + size, j : j + size] for i in places[0] for j in places[1]])


def wine(folder):
    """178 vectors of 13 features, 3 classes; an array file."""
    bunch = datasets.load_wine()
    np.savez(folder / 'wine.npz', x=bunch.data, y=bunch.target)
    return folder / 'wine.npz'


def digit_rows(folder):
    """1,797 labelled series: the rows of handwritten digits from top to bottom, 8 channels."""
    bunch = datasets.load_digits()
    np.savez(folder / 'rows.npz', series=bunch.images, target=bunch.target)
    return folder / 'rows.npz'


def membrane(folder):
    """Unlabelled series: windows of a recorded membrane voltage; a parquet file."""
    pa = pytest.importorskip('pyarrow')
    parquet = pytest.importorskip('pyarrow.parquet')
    with sample('membrane.dat') as file:
        voltage = np.frombuffer(file.read(), np.float32)
    parquet.write_table(
        pa.table({'signal': windows(voltage, 100, 40).tolist()}), folder / 'm.parquet'
    )
    return folder / 'm.parquet'


def head_scan(folder):
    """16-bit grey images: parts of a magnetic resonance image; a WebDataset tar of PNG."""
    with sample('s1045.ima.gz') as file:
        scan = np.frombuffer(file.read(), np.uint16).reshape(256, 256)
    parts = windows(scan, 24, 8)
    with tarfile.open(folder / 'scan.tar', 'w') as archive:
        for i, part in enumerate(parts[parts.mean(axis=(1, 2)) > 2000]):
            png = cv2.imencode('.png', part)[1].tobytes()
            member = tarfile.TarInfo(f'{i:04d}.png')
            member.size = len(png)
            archive.addfile(member, io.BytesIO(png))
    return folder / 'scan.tar'


def terrain(folder):
    """Images of five channels: height, slopes, curvature and shade of an elevation model."""
    with sample('jacksboro_fault_dem.npz') as file:
        height = file['elevation'].astype(np.float32)
    down, across = np.gradient(height)
    curvature = np.gradient(down, axis=0) + np.gradient(across, axis=1)
    shade = (1 - across) / np.sqrt(1 + across**2 + down**2)
    np.save(
        folder / 'x.npy', windows(np.stack([height, across, down, curvature, shade], -1), 24, 16)
    )
    return folder / 'x.npy'


CASES = {  # name: source, form, options, configuration, examples in all, their shape, classes
    'vectors': (wine, 'arrays', (), 'jmi_arrays', 178, (13,), 3),
    'labelled series': (digit_rows, 'arrays', ('--kind=series',), 'sdmi_series', 1797, (8, 8), 10),
    'unlabelled series': (
        membrane,
        'parquet',
        ('--kind=series',),
        'simclr_series',
        298,
        (100, 1),
        0,
    ),
    '16 bits': (head_scan, 'webdataset', (), 'jmi_scans', 510, (24, 24, 1), 0),
    'five channels': (terrain, 'arrays', (), 'jmi_scans', 504, (24, 24, 5), 0),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_from_the_source_to_a_training(name, tmp_path, monkeypatch, capsys):
    make, form, options, configuration, count, shape, classes = CASES[name]
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'tfds'))
    config = importlib.import_module(f'configs.{configuration}').get_config()
    given = [form, f'--source={make(tmp_path)}', f'--as={config.data.name}', *options]
    assert command.main(given) == 0
    held = data.load(config.data.name, None)
    assert f'train: {len(held.train.y):,} ' in capsys.readouterr().out
    assert len(held.train.y) + len(held.test.y) == count
    assert held.shape == shape and len(held.class_names) == classes

    config.update({**FEW, 'epochs': max(4, 20 * 64 // len(held.train.y))})
    config.update({'mi': {'every': config.epochs}, 'probe': {'at_end': bool(classes)}})
    config.net.options.update({'conv1d': {'width': 8}, 'conv4': {'width': 4}})
    with tiny.hardly_optimised():
        run.run(config, tmp_path / 'run')
    lines = [json.loads(line) for line in (tmp_path / 'run' / 'metrics.jsonl').open()]
    (before,), *_, (after,) = [line['mi']['cos_dv'] for line in lines if 'mi' in line]
    assert after > before + 0.1, (before, after)
    said = capsys.readouterr().out
    assert ('has no labels: probes' in said) == (not classes)
    if name == 'vectors':
        check_encoder(tmp_path, held)


def check_encoder(tmp_path, held):
    """The folder alone standardises other examples as the training set was."""
    setup = encoders.setup(tmp_path / 'run')
    np.testing.assert_allclose(setup.source.statistics.mean, held.train.x.mean(0), rtol=1e-5)
    np.save(tmp_path / 'few.npy', held.test.x[:7])
    options = {'branch': None, 'seed': 0}
    moved = tmp_path / 'moved'  # other values under the same name: no other standardisation
    both = [np.concatenate(pair) for pair in zip(held.train, held.test)]
    np.savez(tmp_path / 'other.npz', x=100 * both[0], y=both[1])
    prepared = [f'--source={tmp_path / "other.npz"}', f'--data_dir={moved}', '--as=my_vectors']
    assert command.main(['arrays', *prepared]) == 0
    embeddings.write(tmp_path / 'run', tmp_path / 'other', data_dir=str(moved), **options)
    order = data.load('my_vectors', str(moved))
    np.save(tmp_path / 'other.npy', order.test.x)
    embeddings.write_examples(
        tmp_path / 'run', tmp_path / 'same', tmp_path / 'other.npy', **options
    )
    ours, theirs = (
        np.load(tmp_path / name) for name in ('other/test_features.npy', 'same/features.npy')
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    embeddings.write(tmp_path / 'run', tmp_path / 'all', **options)
    embeddings.write_examples(tmp_path / 'run', tmp_path / 'few', tmp_path / 'few.npy', **options)
    whole = np.load(tmp_path / 'all' / 'test_features.npy')
    np.testing.assert_allclose(np.load(tmp_path / 'few' / 'features.npy'), whole[:7], atol=1e-5)


def test_data_of_another_kind_are_refused_before_anything_is_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    assert command.main(['arrays', f'--source={wine(tmp_path)}', '--as=my_series']) == 0
    config = importlib.import_module('configs.jmi_series').get_config()
    with pytest.raises(ValueError, match=r"'series' need examples \(steps, channels\)"):
        build.setup(config)
    config.data.name = 'my_set'
    with pytest.raises(ValueError, match='prepare arrays --as=my_set --source=FILE.npz$'):
        build.setup(config)
