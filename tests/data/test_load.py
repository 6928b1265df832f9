"""Prepared images in memory and streamed: right pixels, fixed order, resumable, one line an
error."""

import json
import os
import shutil

import numpy as np
import pytest

from mi_ssl_jax import data
from mi_ssl_jax.data import images, in_memory, records, streamed
from mi_ssl_jax.data.splits import subset
from tests.helpers import samples

REAL = os.environ.get('MI_SSL_TEST_DATA')
real_data = pytest.mark.skipif(
    not REAL, reason='MI_SSL_TEST_DATA does not say where the real data lie'
)


def write_set(root, name, *, n=23, version='1.0.0', channels=3, held_out='test', size=(40, 56)):
    """A TFDS set of `n` training and 7 held-out images; returns the training images in order."""
    random = np.random.RandomState(0)
    pixels = [samples.random_image(random, *size)[..., :channels] for _ in range(n + 7)]

    def examples(start, stop):
        for i in range(start, stop):
            yield i, {'image': images.encode_png(pixels[i]), 'label': i % 3}

    records.write(
        records.Spec(
            name,
            version,
            '',
            '',
            '',
            lambda tfds: tfds.features.FeaturesDict(
                {
                    'image': tfds.features.Image(shape=(None, None, channels)),
                    'label': tfds.features.ClassLabel(names=['a', 'b', 'c']),
                }
            ),
            {
                'train': [lambda: examples(0, 10), lambda: examples(10, n)],
                held_out: [lambda: examples(n, n + 7)],
            },
            lambda: None,
        ),
        root,
    )
    return pixels[:n]


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('held_out', ['test', 'validation'])
def test_any_tfds_set_is_read_by_name(tmp_path, channels, held_out):
    pixels = write_set(tmp_path, 'some_set', channels=channels, held_out=held_out)
    result = data.load('some_set', str(tmp_path), short_side=32)
    assert result.train.x.shape == (23, 32, 32, channels) and result.test.x.shape == (
        7,
        32,
        32,
        channels,
    )
    assert result.class_names == ('a', 'b', 'c') and result.centres is None
    np.testing.assert_array_equal(
        result.train.x, [images.square(p, 32, offset=0.5) for p in pixels]
    )
    np.testing.assert_array_equal(result.train.y, np.arange(23) % 3)


def test_newest_version_is_read(tmp_path):
    for version in ('1.2.0', '1.10.0'):
        write_set(tmp_path, 'some_set', version=version)
    assert data.find('some_set', str(tmp_path)).folder.name == '1.10.0'


def test_decoded_copy_is_used_until_the_records_change(tmp_path, monkeypatch):
    write_set(tmp_path, 'some_set')
    first = data.load('some_set', str(tmp_path), short_side=16)
    copies = list((tmp_path / 'some_set').glob('decoded.16.*'))
    assert len(copies) == 1
    with monkeypatch.context() as patched:
        patched.setattr(in_memory, '_decode', None)  # not called
        second = data.load('some_set', str(tmp_path), short_side=16)
    for a, b in zip((*first.train, *first.test), (*second.train, *second.test)):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    file = next((tmp_path / 'some_set' / '1.0.0').glob('*train.array_record-00000*'))
    os.utime(file, ns=(0, 0))
    data.load('some_set', str(tmp_path), short_side=16)
    renewed = list((tmp_path / 'some_set').glob('decoded.16.*'))
    assert len(renewed) == 1 and renewed != copies


def test_loading_needs_no_writable_folder(tmp_path, monkeypatch):
    write_set(tmp_path, 'some_set')
    monkeypatch.setattr(in_memory.os, 'access', lambda path, mode: False)
    data.load('some_set', str(tmp_path), short_side=16)
    assert not list((tmp_path / 'some_set').glob('decoded*'))


def test_memory_is_announced_and_refused(tmp_path, monkeypatch, capsys):
    write_set(tmp_path, 'some_set')
    data.load('some_set', str(tmp_path), short_side=1000)
    assert capsys.readouterr().err == 'some_set at 1000x1000 pixels takes 90 MB of memory\n'
    monkeypatch.setattr(in_memory, 'available_memory', lambda: 50_000_000)
    with pytest.raises(
        ValueError, match=r'takes 90 MB of memory, and 50 MB are free: take a smaller side'
    ):
        data.load('some_set', str(tmp_path), short_side=1000)


def test_available_memory_is_plausible():
    total = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    assert 0 < in_memory.available_memory() <= total


@pytest.mark.parametrize(
    'name,source',
    [
        ('cifar10', ''),
        ('imagenet100', ' --source=ILSVRC2012_FOLDER'),
        ('tiny_imagenet', ' --source=tiny-imagenet-200.zip'),
    ],
)
def test_missing_set_names_the_command(tmp_path, name, source):
    with pytest.raises(ValueError) as info:
        data.load(name, str(tmp_path))
    command = f'python -m mi_ssl_jax.data.prepare {name} --data_dir={tmp_path}{source}'
    assert str(info.value) == f'{name} is not prepared in {tmp_path}: run {command}'


def change_info(tmp_path, name, version, change):
    file = tmp_path / name / version / 'dataset_info.json'
    stored = json.loads(file.read_text())
    change(stored)
    file.write_text(json.dumps(stored))


def test_what_cannot_be_read_has_its_own_line(tmp_path):
    def message(name):
        with pytest.raises(ValueError) as info:
            data.load(name, str(tmp_path), short_side=16)
        assert '\n' not in str(info.value)
        return str(info.value)

    write_set(tmp_path, 'cifar10', version='2.0.0')
    assert 'cifar10/2.0.0 is of another version, 3.x is needed: run python -m' in message('cifar10')
    write_set(tmp_path, 'old')
    change_info(tmp_path, 'old', '1.0.0', lambda stored: stored.update(fileFormat='tfrecord'))
    assert 'old/1.0.0 is stored as tfrecord, which only TensorFlow can read' in message('old')
    write_set(tmp_path, 'lost')
    next((tmp_path / 'lost' / '1.0.0').glob('*train.array_record-00001*')).unlink()
    assert 'lost/1.0.0 lacks the file lost-train.array_record-00001-of-00002' in message('lost')
    write_set(tmp_path, 'half', held_out='extra')
    assert 'half/1.0.0 has the splits train, extra; train is needed, and test or' in message('half')
    (tmp_path / 'started' / 'incomplete.x').mkdir(parents=True)
    assert 'started is not prepared in' in message('started')
    data.load('gaussian', str(tmp_path))
    with pytest.raises(
        ValueError, match='is no set of images or arrays: it has point, label|label, point'
    ):
        data.on_disk.find('gaussian', str(tmp_path), version='', command='')


def test_damaged_record_is_named(tmp_path):
    def two_classes(tfds):
        label = tfds.features.ClassLabel(num_classes=2)
        return tfds.features.FeaturesDict({'image': tfds.features.Image(), 'label': label})

    def examples():
        yield 0, {'image': images.encode_png(np.zeros((8, 8, 3), np.uint8)), 'label': 0}
        yield 1, {'image': b'no image', 'label': 0}

    shards = {'train': [examples], 'test': [examples]}
    records.write(
        records.Spec('bad', '1.0.0', '', '', '', two_classes, shards, lambda: None), tmp_path
    )
    with pytest.raises(
        ValueError, match=r'bad/1\.0\.0: record 1 of train is damaged \(not an image'
    ):
        data.load('bad', str(tmp_path), short_side=8)


@pytest.fixture(scope='module')
def stream(tmp_path_factory):
    root = tmp_path_factory.mktemp('stream')
    write_set(root, 'some_set')
    return data.stream('some_set', str(root), canvas=24)


def take(batches, count):
    taken = [next(batches) for _ in range(count)]
    batches.close()
    return taken


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)


def test_stream_order_follows_from_the_seed_alone(stream):
    options = dict(batch_size=5, worker_count=0)
    first = take(streamed.Batches(stream, seed=1, **options), 9)
    assert first[0].x.shape == (5, 24, 24, 3)
    assert first[0].x.dtype == np.uint8 and first[0].y.dtype == np.int32
    assert_equal(first, take(streamed.Batches(stream, seed=1, **options), 9))
    other = take(streamed.Batches(stream, seed=2, **options), 9)
    assert any((a.y != b.y).any() for a, b in zip(first, other))


def test_stream_is_the_same_for_any_worker_count(stream):
    expected = take(streamed.Batches(stream, batch_size=5, seed=1, worker_count=0), 6)
    assert_equal(expected, take(streamed.Batches(stream, batch_size=5, seed=1, worker_count=2), 6))


def test_parts_of_a_batch_side_by_side_are_the_batch(stream):
    """Over the end of an epoch, where examples are left over, and from a position in the middle."""

    def part(index, count, start=0):
        reader = streamed.Batches(stream, batch_size=4, seed=1, worker_count=0, part=(index, count))
        reader.set_state({**reader.get_state(), 'taken': start})
        return take(reader, 20)

    whole, parts = part(0, 1), [part(index, 2) for index in range(2)]
    for batch, *halves in zip(whole, *parts, strict=True):
        assert len(halves[0].y) == 2
        np.testing.assert_array_equal(np.concatenate([half.x for half in halves]), batch.x)
        np.testing.assert_array_equal(np.concatenate([half.y for half in halves]), batch.y)
    assert_equal(part(1, 2, start=7)[:13], parts[1][7:])
    with pytest.raises(ValueError, match='batch_size 4 does not divide into 3 parts'):
        part(0, 3)


def test_stream_epochs_are_permutations(stream):
    """With batches of one, an epoch of 23 shows each example once; the next has other order and
    cuts."""
    shown = take(streamed.Batches(stream, batch_size=1, seed=0, worker_count=0), 46)
    centres = next(streamed.once(stream, 'train', indices=None, batch_size=23))

    def nearest(
        batch,
    ):  # the cuts differ by at most 8 of 40 pixels: the centre cut tells which image it is
        return np.abs(centres.x.astype(int) - batch.x.astype(int)).mean(axis=(1, 2, 3)).argmin()

    first, second = ([nearest(batch) for batch in shown[k : k + 23]] for k in (0, 23))
    assert sorted(first) == sorted(second) == list(range(23)) and first != second
    one, two = shown[first.index(0)].x, shown[23 + second.index(0)].x
    assert (one != two).any()
    assert [int(batch.y[0]) for batch in shown[:23]] == [k % 3 for k in first]


def test_stream_resumes_at_its_position(stream):
    batches = streamed.Batches(stream, batch_size=5, seed=1, worker_count=0)
    take(batches, 3)
    state = json.loads(json.dumps(batches.get_state()))
    rest = take(batches, 4)  # goes on after close
    resumed = streamed.Batches(stream, batch_size=5, seed=1, worker_count=0)
    resumed.set_state(state)
    assert_equal(rest, take(resumed, 4))
    with pytest.raises(ValueError, match=r'another seed \(1, now 7\)$'):
        streamed.Batches(stream, batch_size=5, seed=7, worker_count=0).set_state(state)


def test_stream_batch_larger_than_the_data(stream):
    assert streamed.Batches(stream, batch_size=5, seed=0, worker_count=0).steps_per_epoch == 4
    for size in (24, 0):
        with pytest.raises(
            ValueError, match=f'batch_size {size} is impossible: some_set has 23 images'
        ):
            streamed.Batches(stream, batch_size=size, seed=0, worker_count=0)


def test_once_reads_in_order(stream):
    whole = data.load('some_set', str(stream.prepared.folder.parents[1]), short_side=24)
    batches = list(streamed.once(stream, 'test', indices=None, batch_size=4))
    assert [len(batch.y) for batch in batches] == [4, 3] and stream.shape == (24, 24, 3)
    np.testing.assert_array_equal(np.concatenate([batch.x for batch in batches]), whole.test.x)
    np.testing.assert_array_equal(np.concatenate([batch.y for batch in batches]), whole.test.y)
    chosen = next(streamed.once(stream, 'train', indices=[7, 2], batch_size=4))
    np.testing.assert_array_equal(chosen.x, whole.train.x[[7, 2]])


def test_subsets_are_fixed_and_complete_each_other():
    y = np.random.RandomState(0).randint(0, 5, 3000)
    sizes = np.bincount(y)
    fit, select = subset(y, 'fit'), subset(y, 'select')
    np.testing.assert_array_equal(np.sort(np.concatenate([fit, select])), np.arange(3000))
    np.testing.assert_array_equal(np.bincount(y[select]), np.round(sizes / 10))
    np.testing.assert_array_equal(np.bincount(y[subset(y, '1%')]), np.round(sizes / 100))
    np.testing.assert_array_equal(subset(y, '10%'), subset(y, '10%'))
    assert not np.array_equal(subset(y, '10%'), select)
    assert len(subset(y, 'all')) == len(subset(y, 'sample')) == 3000
    assert abs(len(subset(np.zeros(40_000, int), 'sample')) - 10_000) <= 1
    with pytest.raises(ValueError, match="unknown subset '5%': known are all, select"):
        subset(y, '5%')


@real_data
def test_real_cifar10_is_found_as_it_is():
    result = data.load('cifar10', f'{REAL}/tfds')
    assert result.train.x.shape == (50000, 32, 32, 3) and result.test.x.shape == (10000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(result.train.y), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(result.test.y), [1000] * 10)
    assert result.class_names[0] == 'airplane'
    # The known channel means of CIFAR-10 (0.4914, 0.4822, 0.4465); its JPEG copy keeps them to a
    # grey level.
    means = result.train.x.reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(means, 255 * np.array([0.4914, 0.4822, 0.4465]), atol=1.5)


@real_data
@pytest.mark.parametrize(
    'name,folder,train,test',
    [('tiny_imagenet', 'tiny-imagenet-200', 500, 50), ('image_folder', 'imagenette', 60, 20)],
)
def test_real_folders(prepare, tmp_path, name, folder, train, test):
    code, out, err = prepare(name, f'{REAL}/raw/{folder}')
    assert (code, err) == (0, [])
    result = data.load(
        name, str(tmp_path / 'data'), short_side=None if name == 'tiny_imagenet' else 128
    )
    np.testing.assert_array_equal(np.bincount(result.train.y), [train] * 10)
    np.testing.assert_array_equal(np.bincount(result.test.y), [test] * 10)
    shutil.rmtree(tmp_path / 'data')
