"""The self-preparing data sets: the mixture against its closed form, the digits against
scikit-learn."""

import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mi_ssl_jax import data
from mi_ssl_jax.data import records
from mi_ssl_jax.data.generated import digits, gaussian
from mi_ssl_jax.data.splits import LABEL_DRAWS, few_labels


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp('tfds'))


@pytest.fixture(scope='module')
def mixture(folder):
    return data.load('gaussian', folder)


@pytest.fixture(scope='module')
def numerals(folder):
    return data.load('digits', folder)


def test_gaussian_counts_and_types(mixture):
    for split in (mixture.train, mixture.test):
        assert split.x.shape == (2500, 2) and split.x.dtype == np.float32
        assert split.y.shape == (2500,) and split.y.dtype == np.int32
        np.testing.assert_array_equal(np.bincount(split.y), [500] * 5)
    assert mixture.shape == (2,) and len(mixture.class_names) == 5


def test_gaussian_centres_are_the_papers(mixture):
    k = np.arange(1, 6)
    expected = np.stack([np.cos(2 * np.pi * k / 5), np.sin(2 * np.pi * k / 5)], axis=1)
    np.testing.assert_allclose(
        mixture.centres, expected, atol=1e-7
    )  # float32 rounding of values below 1


@pytest.mark.parametrize('name', ['train', 'test'])
def test_gaussian_statistics(mixture, name):
    """Noise moments within 4 standard errors (n = 5,000): mean 0, sd 0.05, kurtosis 3, no
    correlation."""
    split = getattr(mixture, name)
    noise = split.x.astype(np.float64) - mixture.centres[split.y]
    z = noise / 0.05
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / n)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n)
    assert abs((z[:, 0] * z[:, 1]).mean()) < 4 / np.sqrt(n / 2)
    for k in range(5):
        assert np.all(np.abs(noise[split.y == k].mean(axis=0)) < 4 * 0.05 / np.sqrt(500))
    # A pentagon has second moment I/2, so E[x x'] = (1/2 + sigma^2) I; cross terms have sd sigma
    # sqrt(2/n).
    second = split.x.T.astype(np.float64) @ split.x / 2500
    np.testing.assert_allclose(
        second, (0.5 + 0.05**2) * np.eye(2), atol=4 * 0.05 * np.sqrt(2 / 2500)
    )


def test_gaussian_splits_are_independent(mixture):
    def noise(split):
        return (split.x - mixture.centres[split.y])[
            np.argsort(split.y, kind='stable')
        ].ravel() / 0.05

    correlation = np.mean(noise(mixture.train) * noise(mixture.test))
    assert abs(correlation) < 4 / np.sqrt(5000)
    assert not set(map(bytes, mixture.train.x)) & set(map(bytes, mixture.test.x))


def test_gaussian_is_float32_exact(mixture):
    np.testing.assert_array_equal(mixture.train.x, gaussian.draw(0).x)
    np.testing.assert_array_equal(mixture.test.x, gaussian.draw(1).x)


def test_digits_are_scikit_learns(numerals):
    assert numerals.train.x.shape == (1437, 8, 8, 1) and numerals.test.x.shape == (360, 8, 8, 1)
    assert numerals.train.x.dtype == np.uint8 and numerals.train.y.dtype == np.int32
    x = np.concatenate([numerals.train.x, numerals.test.x])[..., 0]
    y = np.concatenate([numerals.train.y, numerals.test.y])
    bunch = load_digits()
    order = np.random.RandomState(0).permutation(1797)
    np.testing.assert_array_equal(y, bunch.target[order])
    np.testing.assert_array_equal(x, np.rint(bunch.images[order] * 255 / 16))


def test_digits_hold_out_every_class(numerals):
    assert np.bincount(numerals.test.y).min() >= 25 and np.bincount(numerals.train.y).min() >= 130


@pytest.mark.parametrize('module', [gaussian, digits])
def test_preparation_gives_the_same_bytes(tmp_path, module):
    first = records.write(module.spec(), tmp_path / 'a')
    second = records.write(module.spec(), tmp_path / 'b')
    files = sorted(p.name for p in first.iterdir())
    assert sum('array_record' in name for name in files) == 2
    assert files == sorted(p.name for p in second.iterdir())
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_two_processes_prepare_at_once(tmp_path):
    """Both get the same data, one prepared copy stays, nothing half-written does, and nothing is
    printed."""
    code = (
        'import hashlib, sys; from mi_ssl_jax import data; r = data.load("gaussian", sys.argv[1]); '
        'print(hashlib.sha256(r.train.x.tobytes() + r.test.y.tobytes()).hexdigest())'
    )
    started = [
        subprocess.Popen(
            [sys.executable, '-c', code, str(tmp_path)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert outputs[0] == outputs[1] and len(outputs[0][0].split()) == 1 and outputs[0][1] == ''
    assert sorted(p.name for p in (tmp_path / 'gaussian').iterdir()) == ['.lock', '1.0.0']


def test_second_writer_waits_and_uses_the_first_copy(tmp_path):
    def never():
        raise AssertionError('the second writer writes')

    spec = gaussian.spec()._replace(shards={'train': [never]})
    folder = tmp_path / 'gaussian' / '1.0.0'
    with ThreadPoolExecutor(1) as pool:
        with records._locked(folder.parent):
            second = pool.submit(records.write, spec, tmp_path)
            time.sleep(0.2)
            assert not second.done()
            folder.mkdir()
            (folder / 'dataset_info.json').write_text('{}')
        assert second.result(timeout=30) == folder


def test_loser_of_a_race_between_hosts_uses_the_winners_copy(tmp_path):
    folder = records.write(gaussian.spec(), tmp_path)
    before = (folder / 'dataset_info.json').stat().st_ino
    records._write_and_rename(
        gaussian.spec(), folder.parent, folder
    )  # as if no lock reached the winner
    assert (folder / 'dataset_info.json').stat().st_ino == before
    assert not list(folder.parent.glob('incomplete.*'))


def test_interrupt_leaves_nothing_and_the_next_start_cleans_up(tmp_path):
    def stopped():
        yield 0, {'point': np.zeros(2, np.float32), 'label': 0}
        raise KeyboardInterrupt

    spec = gaussian.spec()._replace(shards={'train': [stopped]})
    with pytest.raises(KeyboardInterrupt):
        records.write(spec, tmp_path)
    assert [p.name for p in (tmp_path / 'gaussian').iterdir()] == ['.lock']
    (tmp_path / 'gaussian' / f'incomplete.{socket.gethostname()}.killed' / 'gaussian').mkdir(
        parents=True
    )
    records.write(gaussian.spec(), tmp_path)
    assert sorted(p.name for p in (tmp_path / 'gaussian').iterdir()) == ['.lock', '1.0.0']


def test_preparation_leaves_no_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / 'temporary').mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
    data.load('gaussian', str(tmp_path / 'data'))
    assert not list((tmp_path / 'temporary').iterdir())


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(
        ValueError, match=r'cannot write .*file/data/gaussian .*TFDS_DATA_DIR'
    ) as info:
        data.load('gaussian', str(tmp_path / 'file' / 'data'))
    assert '\n' not in str(info.value)


def test_default_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    assert records.root(None) == tmp_path and records.root('/x') == records.Path('/x')
    monkeypatch.delenv('TFDS_DATA_DIR')
    monkeypatch.setenv('HOME', '/home/somebody')
    assert str(records.root(None)) == '/home/somebody/tensorflow_datasets'


def test_unknown_name_lists_the_known():
    with pytest.raises(
        ValueError, match="unknown data set 'gausian': known are .*digits, gaussian"
    ):
        data.load('gausian', None)


def test_labelled_examples_are_those_of_the_probes(numerals):
    y = numerals.train.y
    sets = data.label_sets(y, ('3 a class', '10%'))
    for draw in (0, LABEL_DRAWS - 1):
        own = data.labelled(y, '3 a class', draw=draw)
        np.testing.assert_array_equal(own, sets['3 a class'][draw])
        np.testing.assert_array_equal(data.labelled(y, '10%', draw=draw), sets['10%'][0])
    assert len(data.labelled(y, 'all', draw=0)) == len(y)
    with pytest.raises(ValueError, match="unknown labels '3 per class'"):
        data.labelled(y, '3 per class', draw=0)


def test_few_labels(numerals):
    y = numerals.train.y
    draws = [few_labels(y, per_class=10, draw=d) for d in range(LABEL_DRAWS)]
    for chosen in draws:
        np.testing.assert_array_equal(np.bincount(y[chosen]), [10] * 10)
        assert len(set(chosen)) == 100
    np.testing.assert_array_equal(draws[0], few_labels(y, per_class=10, draw=0))
    assert all(not np.array_equal(draws[0], other) for other in draws[1:])
    with pytest.raises(ValueError, match='cannot choose 400 examples of class 0: it has'):
        few_labels(y, per_class=400, draw=0)
