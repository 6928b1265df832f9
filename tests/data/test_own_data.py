"""Data of one's own: arrays, parquet files and WebDataset tars, read back value by value; bad
sources in one line."""

import io
import json
import sys
import tarfile

import cv2
import numpy as np
import pytest
from sklearn import datasets

from mi_ssl_jax import data
from mi_ssl_jax.data import statistics
from mi_ssl_jax.data.building import examples

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(20, 4)).astype(np.float32)
LABELS = np.arange(20) % 2
SERIES = RNG.normal(size=(20, 9, 2)).astype(np.float32)
GREY16 = RNG.integers(0, 65536, (20, 6, 6)).astype(np.uint16)
TILES = RNG.normal(size=(20, 6, 6, 5)).astype(np.float32)
RGB = RNG.integers(0, 256, (20, 6, 6, 3)).astype(np.uint8)


def png(image):
    return cv2.imencode('.png', image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def npy(array):
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def tar(path, files):
    with tarfile.open(path, 'w') as archive:
        for name, contents in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    return path


def table(path, **columns):
    pa = pytest.importorskip('pyarrow')
    parquet = pytest.importorskip('pyarrow.parquet')
    parquet.write_table(pa.table(columns), path, row_group_size=7)
    return path


def wrapped(images):
    """Encoded images as Hugging Face's Image has them."""
    return [{'bytes': png(image), 'path': None} for image in images]


def rows(split):
    """(example, label) of a split as bytes, in any order."""
    return sorted((x.tobytes(), int(y)) for x, y in zip(split.x, split.y, strict=True))


def expected(x, y):
    return sorted((a.tobytes(), int(b)) for a, b in zip(x, y, strict=True))


def check(found, x, y):
    """Both splits together hold the source, each example once; a fifth is held out."""
    assert rows(found.train) + rows(found.test) != expected(x, y)  # mixed
    assert sorted(rows(found.train) + rows(found.test)) == expected(x, y)
    assert len(found.test.y) == len(x) // 5
    assert found.train.x.dtype == x.dtype and found.shape == x.shape[1:]


# Round trips
# --------------------------------------------------------------------------------------------------

ARRAYS = {  # name: arrays, options, examples as they come back
    'vectors': ({'x': VECTORS.astype(np.float64)}, (), VECTORS),
    'series': ({'series': SERIES}, ('--kind=series',), SERIES),
    'series of one channel': ({'x': VECTORS}, ('--kind=series',), VECTORS[..., None]),
    'grey 16 bits': ({'images': GREY16}, (), GREY16[..., None]),
    'five channels': ({'data': TILES}, (), TILES),
    'truth values': ({'x': VECTORS > 0}, (), (VECTORS > 0).astype(np.float32)),
    'channels first, if so said': (
        {'x': TILES.transpose(0, 3, 1, 2)},
        ('--kind=images',),
        TILES.transpose(0, 3, 1, 2),
    ),
}


@pytest.mark.parametrize('labelled', [True, False])
@pytest.mark.parametrize('name', ARRAYS)
def test_arrays(prepare, tmp_path, name, labelled):
    arrays, options, x = ARRAYS[name]
    labels = {'y': LABELS} if labelled else {}
    code, out, err = prepare('arrays', npz(tmp_path / 'a.npz', **arrays, **labels), *options)
    assert (code, err) == (0, [])
    assert ('16 ' in out and '2 classes of 8' in out) if labelled else 'no labels' in out
    found = data.load('arrays', str(tmp_path / 'data'))
    check(found, x, LABELS if labelled else np.full(20, -1))
    assert found.class_names == (('0', '1') if labelled else ())
    again = data.load('arrays', str(tmp_path / 'data'))  # from the decoded copy
    np.testing.assert_array_equal(again.train.x, found.train.x)


def test_splits_that_the_source_names(prepare, tmp_path):
    """MedMNIST's names; text labels; the third split is listed as not read."""
    text = np.array(['cat', 'dog'])[LABELS]
    source = npz(
        tmp_path / 'a.npz',
        train_images=RGB,
        train_labels=text[:, None],
        val_images=RGB[:4],
        test_images=RGB[4:10],
        test_labels=text[4:10, None],
    )
    code, out, _ = prepare('arrays', source, '--as=cats')
    assert code == 0 and 'not read: val_images' in out and 'test: 6 images' in out
    found = data.load('cats', str(tmp_path / 'data'))
    assert rows(found.test) == expected(RGB[4:10], LABELS[4:10])
    assert found.class_names == ('cat', 'dog')


def test_npy_files(prepare, tmp_path):
    np.save(tmp_path / 'x.npy', SERIES)
    assert prepare('arrays', tmp_path / 'x.npy', '--kind=series', '--as=alone')[0] == 0
    check(data.load('alone', str(tmp_path / 'data')), SERIES, np.full(20, -1))
    folder = tmp_path / 'folder'
    folder.mkdir()
    np.save(folder / 'mine.npy', SERIES)
    np.save(folder / 'kind.npy', LABELS)
    options = ('--kind=series', '--x=mine', '--y=kind', '--as=both')
    assert prepare('arrays', folder, *options)[0] == 0
    check(data.load('both', str(tmp_path / 'data')), SERIES, LABELS)


def test_same_source_again_and_another(prepare, tmp_path):
    source = npz(tmp_path / 'a.npz', x=VECTORS)
    assert prepare('arrays', source)[0] == 0
    assert 'prepared already' in prepare('arrays', source)[1]
    code, _, err = prepare('arrays', npz(source, x=VECTORS + 1))
    assert code == 2 and len(err) == 1 and 'was prepared from what this source was then' in err[0]


PARQUET = {  # name: columns, options, examples as they come back
    'images': ({'image': wrapped(RGB)}, (), RGB),
    'bytes': ({'picture': [png(image) for image in RGB]}, (), RGB),
    '16 bits': ({'image': wrapped(GREY16)}, (), GREY16[..., None]),
    'arrays': ({'x': TILES.tolist()}, (), TILES),
    'series': ({'signal': SERIES.tolist()}, ('--kind=series',), SERIES),
    'columns': ({name: VECTORS[:, i] for i, name in enumerate('abcd')}, (), VECTORS),
    'some columns': (
        {name: VECTORS[:, i] for i, name in enumerate('abcd')},
        ('--x=a,c',),
        VECTORS[:, ::2].copy(),
    ),
}


@pytest.mark.parametrize('name', PARQUET)
def test_parquet(prepare, tmp_path, name):
    columns, options, x = PARQUET[name]
    code, out, err = prepare(
        'parquet', table(tmp_path / 'a.parquet', **columns, label=LABELS), *options
    )
    assert (code, err) == (0, []) and 'labels: label' in out
    found = data.load('parquet', str(tmp_path / 'data'))
    assert sorted(rows(found.train) + rows(found.test)) == expected(x, LABELS)


@pytest.mark.parametrize('saved', ['hub', 'disk'])
def test_hugging_face_folders(prepare, tmp_path, saved):
    """Splits and class names as they describe them; row groups and record batches alike."""
    pa, parquet = pytest.importorskip('pyarrow'), pytest.importorskip('pyarrow.parquet')
    names = {'info': {'features': {'label': {'names': ['zebra', 'ant'], '_type': 'ClassLabel'}}}}
    for split, chosen in (('train', slice(4, 20)), ('test', slice(0, 4))):
        held = pa.table({'image': wrapped(RGB[chosen]), 'label': LABELS[chosen]})
        held = held.replace_schema_metadata({b'huggingface': json.dumps(names).encode()})
        if saved == 'hub':
            (tmp_path / 'hf' / 'data').mkdir(parents=True, exist_ok=True)
            parquet.write_table(held, tmp_path / 'hf' / 'data' / f'{split}-00000-of-00001.parquet')
        else:
            (tmp_path / 'hf' / split).mkdir(parents=True)
            path = str(tmp_path / 'hf' / split / 'data-00000-of-00001.arrow')
            with pa.ipc.new_stream(path, held.schema) as writer:
                writer.write_table(held, max_chunksize=5)
    (tmp_path / 'hf' / 'README.md').write_text('a card')
    code, out, _ = prepare('parquet', tmp_path / 'hf')
    assert code == 0 and 'passed over: 1 other file, such as README.md' in out
    found = data.load('parquet', str(tmp_path / 'data'))
    assert found.class_names == ('zebra', 'ant')
    assert rows(found.test) == expected(RGB[:4], LABELS[:4])


def test_parquet_without_pyarrow(prepare, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    code, _, err = prepare('parquet', tmp_path)
    said = "error: parquet needs the package pyarrow: pip install 'mi_ssl_jax[parquet]'"
    assert code == 2 and err == [said]


TARS = {  # name: files of key i, options, examples as they come back, labels
    'png and cls': (lambda i: {'png': png(RGB[i]), 'cls': b'%d\n' % LABELS[i]}, (), RGB, LABELS),
    '16 bits': (lambda i: {'png': png(GREY16[i])}, (), GREY16[..., None], None),
    'npy and json': (
        lambda i: {'npy': npy(TILES[i]), 'json': b'{"label": "c%d"}' % LABELS[i]},
        (),
        TILES,
        LABELS,
    ),
    'series': (lambda i: {'npy': npy(SERIES[i])}, ('--kind=series',), SERIES, None),
    'of two the named one': (
        lambda i: {'seg.png': png(GREY16[i]), 'png': png(RGB[i]), 'txt': b'c%d' % LABELS[i]},
        ('--x=png', '--y=txt'),
        RGB,
        LABELS,
    ),
}


@pytest.mark.parametrize('name', TARS)
def test_webdataset(prepare, tmp_path, name):
    made, options, x, y = TARS[name]
    files = {f'{i:03d}.{end}': contents for i in range(20) for end, contents in made(i).items()}
    code, _, err = prepare('webdataset', tar(tmp_path / 'a.tar', files), *options)
    assert (code, err) == (0, [])
    found = data.load('webdataset', str(tmp_path / 'data'))
    y = np.full(20, -1) if y is None else y
    assert sorted(rows(found.train) + rows(found.test)) == expected(x, y)


def test_webdataset_shards_have_their_split_in_their_name(prepare, tmp_path):
    folder = tmp_path / 'shards'
    folder.mkdir()
    for shard, (name, chosen) in enumerate(
        {
            'train-000000': range(8),
            'train-000001': range(8, 16),
            'val-000000': range(16, 20),
        }.items()
    ):
        files = {f'{i - chosen[0]:03d}.png': png(RGB[i]) for i in chosen}  # keys repeat
        tar(folder / f'{name}.tar', {**files, **({'000.txt': b'a'} if shard == 0 else {})})
    code, out, _ = prepare('webdataset', folder)
    assert code == 0 and 'not read: 1 .txt' in out
    found = data.load('webdataset', str(tmp_path / 'data'))
    assert rows(found.test) == expected(RGB[16:], np.full(4, -1))


def test_a_folder_of_16_bit_images_keeps_its_bits(prepare, tmp_path):
    for i, image in enumerate(GREY16[:12]):
        path = tmp_path / 'scans' / ('val' if i < 4 else 'train') / 'ab'[i % 2] / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
    assert prepare('image_folder', tmp_path / 'scans')[0] == 0
    found = data.load('image_folder', str(tmp_path / 'data'))
    assert found.train.x.dtype == np.uint16 and found.shape == (6, 6, 1)
    small = data.load('image_folder', str(tmp_path / 'data'), short_side=3)
    assert small.train.x.shape == (8, 3, 3, 1) and small.train.x.dtype == np.uint16


def test_images_of_many_channels_are_streamed(prepare, tmp_path):
    assert prepare('arrays', npz(tmp_path / 'a.npz', x=TILES))[0] == 0
    stream = data.stream('arrays', str(tmp_path / 'data'), canvas=8)
    reader = data.streamed.Batches(stream, batch_size=4, seed=0, worker_count=0)
    batch = next(reader)
    reader.close()
    assert batch.x.shape == (4, 8, 8, 5) and batch.x.dtype == np.float32
    assert prepare('arrays', npz(tmp_path / 'b.npz', x=VECTORS), '--as=points')[0] == 0
    with pytest.raises(ValueError, match='points is held in memory: set data.streamed=False'):
        data.stream('points', str(tmp_path / 'data'), canvas=8)
    with pytest.raises(ValueError, match='short_side=9 is for images, and points holds vectors'):
        data.load('points', str(tmp_path / 'data'), short_side=9)


def test_bad_examples_can_be_left_out(prepare, tmp_path):
    x = VECTORS.copy()
    x[3, 1], x[7] = np.nan, np.inf
    source = npz(tmp_path / 'a.npz', x=x, y=LABELS)
    code, _, err = prepare('arrays', source)
    assert code == 2 and err[:2] == [
        f'bad example: {source}: x[3]: 1 value of 4 not finite as float32',
        f'bad example: {source}: x[7]: 4 values of 4 not finite as float32',
    ]
    assert err[2].startswith('error: 2 bad examples, so nothing was written') and len(err) == 3
    assert prepare('arrays', source, '--skip_bad')[0] == 0
    found = data.load('arrays', str(tmp_path / 'data'))
    kept = np.delete(np.arange(20), [3, 7])
    assert sorted(rows(found.train) + rows(found.test)) == expected(x[kept], LABELS[kept])


# Parts
# --------------------------------------------------------------------------------------------------


def test_the_held_out_part_is_a_fifth_of_each_class_and_always_the_same():
    wine = datasets.load_wine()
    train, test, note = examples.divide(len(wine.target), wine.target)
    assert sorted([*train, *test]) == list(range(178)) and '36 of 178' in note
    assert np.bincount(wine.target[test]).tolist() == [12, 14, 10]  # of 59, 71 and 48
    again = examples.divide(len(wine.target), wine.target)
    np.testing.assert_array_equal(again[1], test)


def test_statistics_of_each_channel():
    x = RNG.normal([1.0, -2.0, 7.0], [0.1, 3.0, 0.0], (50, 4, 3))
    found = statistics.of(x.astype(np.float32))
    flat = x.astype(np.float32).reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(found.mean, flat.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.std[:2], flat.std(0)[:2], rtol=1e-6)
    np.testing.assert_allclose(found.low, flat.min(0))
    np.testing.assert_allclose(found.high[:2], flat.max(0)[:2])
    assert found.std[2] == 1 and found.high[2] == found.low[2] + 1  # it does not vary
    eight = statistics.of(RGB)
    assert eight.low == (0, 0, 0) and eight.high == (255, 255, 255)


# One line for each mistake
# --------------------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def flipped(path, at):
    contents = bytearray(path.read_bytes())
    for place in at:
        contents[place] ^= 0xFF
    path.write_bytes(contents)
    return path


def written(path, contents):
    path.write_bytes(contents)
    return path


BAD_ARRAYS = [
    (lambda f: None, (), 'give it by --source=FILE.npz'),
    (lambda f: f / 'nowhere', (), 'nowhere does not exist'),
    (lambda f: written(f / 'a.csv', b'1,2\n'), (), 'it is neither a .npy nor a .npz file'),
    (lambda f: cut(npz(f / 'a.npz', x=VECTORS)), (), 'a.npz: File is not a zip file'),
    (lambda f: flipped(npz(f / 'a.npz', x=VECTORS), [250]), (), "Bad CRC-32 for file 'x.npy'"),
    (lambda f: f, (), 'has no .npy files'),
    (lambda f: npz(f / 'a.npz', foo=VECTORS), (), 'it has foo: name the examples by --x=NAME'),
    (lambda f: npz(f / 'a.npz', x=VECTORS), ('--y=k',), 'it has no array k; it has x'),
    (lambda f: npz(f / 'a.npz', x=VECTORS, y=LABELS[1:]), (), 'x has 20 examples, but y has shape'),
    (lambda f: npz(f / 'a.npz', x=VECTORS, y=LABELS + 0.5), (), 'y holds float64 that are not'),
    (lambda f: npz(f / 'a.npz', x=VECTORS, y=LABELS - 1), (), 'y has the label -1'),
    (lambda f: npz(f / 'a.npz', x=VECTORS, y=np.arange(20)), (), '20 different labels'),
    (lambda f: npz(f / 'a.npz', x=VECTORS, y=np.eye(20)), (), 'shape (20, 20): one label an'),
    (lambda f: npz(f / 'a.npz', x=VECTORS[:5]), (), '5 examples: at least 10 are needed'),
    (lambda f: npz(f / 'a.npz', x=VECTORS[:0]), (), 'it holds no examples'),
    (lambda f: npz(f / 'a.npz', x=np.array([None] * 20)), (), 'Object arrays cannot be loaded'),
    (lambda f: npz(f / 'a.npz', x=np.array(['a'] * 20)), (), 'holds <U1, not numbers'),
    (lambda f: npz(f / 'a.npz', x=VECTORS[:, 0]), (), 'one number an example'),
    (lambda f: npz(f / 'a.npz', x=np.zeros((20, 2, 2, 2, 2))), (), 'reduce or split them'),
    (lambda f: npz(f / 'a.npz', x=SERIES), (), '--kind=series if it is (steps, channels)'),
    (lambda f: npz(f / 'a.npz', x=SERIES[:, :3]), ('--kind=series',), 'at least 4 steps'),
    (lambda f: npz(f / 'a.npz', x=TILES.transpose(0, 3, 1, 2)), (), 'move the channels last'),
    (lambda f: npz(f / 'a.npz', x=VECTORS), ('--kind=images',), 'but images have (height, width)'),
    (lambda f: npz(f / 'a.npz', x_train=VECTORS, x_test=SERIES), (), 'must have one shape'),
    (
        lambda f: npz(f / 'a.npz', x_train=VECTORS, y_train=LABELS, x_test=VECTORS),
        (),
        'x_test has no labels',
    ),
    (
        lambda f: npz(f / 'a.npz', x_train=VECTORS, x_test=VECTORS[:1]),
        (),
        '1 held-out example: at least 2',
    ),
    (lambda f: npz(f / 'a.npz', x=VECTORS), ('--as=My set',), '--as=My set: use small letters'),
    (lambda f: npz(f / 'a.npz', x=VECTORS), ('--as=digits',), 'choose another name'),
]
BAD_PARQUET = [
    (lambda f: None, (), 'give the file or folder by --source'),
    (lambda f: f / 'nowhere', (), 'nowhere does not exist'),
    (lambda f: f, (), 'holds neither .parquet nor .arrow files'),
    (lambda f: cut(table(f / 'a.parquet', x=VECTORS.tolist())), (), 'Parquet magic bytes not'),
    (lambda f: table(f / 'a.parquet', t=['a'] * 20), (), 'no column holds images, arrays or'),
    (
        lambda f: table(f / 'a.parquet', a=VECTORS.tolist(), b=VECTORS.tolist()),
        (),
        'several columns hold images or arrays, a, b: name one by --x',
    ),
    (lambda f: table(f / 'a.parquet', x=VECTORS.tolist()), ('--y=k',), 'it has no column k'),
    (
        lambda f: table(f / 'a.parquet', x=VECTORS.tolist(), y=RNG.normal(size=20)),
        (),
        'the column y holds float64 that are not whole',
    ),
    (
        lambda f: table(f / 'test.parquet', x=VECTORS.tolist()).parent,
        (),
        'it has files of test, none to train on',
    ),
    (
        lambda f: [table(f / f'{n}.parquet', **{n: VECTORS.tolist()}) for n in 'ab'][0].parent,
        (),
        'a.parquet and b.parquet have other columns',
    ),
]
BAD_TARS = [
    (lambda f: None, (), 'give the tar or its folder by --source'),
    (lambda f: f / 'nowhere.tar', (), 'nowhere.tar does not exist'),
    (lambda f: f, (), 'holds no tars'),
    (lambda f: written(f / 'a.csv', b'1,2'), (), 'is neither a folder nor a zip or tar archive'),
    (
        lambda f: cut(tar(f / 'a.tar', {f'{i}.npy': npy(SERIES[i]) for i in range(20)})),
        (),
        'a.tar: it ends at byte',
    ),
    (lambda f: tar(f / 'a.tar', {'1.txt': b'a'}), (), 'the extensions are txt: name one by --x'),
    (lambda f: tar(f / 'a.tar', {'1.png': b'', '1.jpg': b''}), (), 'holds several examples'),
    (lambda f: tar(f / 'a.tar', {'1.png': b''}), ('--y=cls',), 'no key has a label in a file .cls'),
    (lambda f: tar(f / 'a.tar', {'1.png': png(RGB[0])}), (), '1 example: at least 10 are needed'),
    (
        lambda f: tar(f / 'a.tar', {f'{i}.npy': npy(SERIES[i]) for i in range(20)}),
        (),
        'say --kind=images',
    ),
]
CASES = [
    (name, *case)
    for name, cases in (
        ('arrays', BAD_ARRAYS),
        ('parquet', BAD_PARQUET),
        ('webdataset', BAD_TARS),
    )
    for case in cases
]


@pytest.mark.parametrize('name, make, options, message', CASES)
def test_one_line_for_each_mistake(prepare, tmp_path, name, make, options, message):
    (tmp_path / 'source').mkdir()
    code, out, err = prepare(name, make(tmp_path / 'source'), *options)
    assert (code, out, len(err)) == (2, '', 1) and message in err[0]
    assert err[0].count(str(tmp_path / 'source')) <= 1  # the file is named once
    assert not list((tmp_path / 'data').glob('*/[0-9]*'))


BAD_KEYS = {  # file of a tar of images with labels -> what it holds, or None; what is said of it
    '003.cls': (None, '003: no label, which other keys have'),
    '004.png': (None, '004: no image or array, only .cls'),
    '005.cls': (b'', '005.cls: an empty label'),
    '006.png': (b'junk', '006.png: not an image that can be decoded'),
    '007.png': (png(RGB[7])[:50], '007.png: truncated'),
    '008.png': (png(GREY16[8]), '008.png: grey of 16 bits, but the first image of the set is RGB'),
}


def test_every_bad_key_of_a_tar_is_named(prepare, tmp_path):
    files = {
        f'{i:03d}.{end}': contents
        for i in range(20)
        for end, contents in (('png', png(RGB[i])), ('cls', b'%d' % LABELS[i]))
    }
    changed = {**files, **{name: contents for name, (contents, _) in BAD_KEYS.items()}}
    source = tar(tmp_path / 'a.tar', {name: c for name, c in changed.items() if c is not None})
    code, _, err = prepare('webdataset', source)
    assert code == 2 and len(err) == len(BAD_KEYS) + 1
    for _, said in BAD_KEYS.values():
        assert sum(said in line for line in err) == 1
    assert prepare('webdataset', source, '--skip_bad')[0] == 0
    found = data.load('webdataset', str(tmp_path / 'data'))
    kept = [i for i in range(20) if not 3 <= i <= 8]
    assert sorted(rows(found.train) + rows(found.test)) == expected(RGB[kept], LABELS[kept])


def test_every_bad_row_of_a_parquet_file_is_named(prepare, tmp_path):
    x, y = VECTORS.tolist(), LABELS.tolist()
    x[3], x[4], x[5], y[6] = None, x[4][:2], [1.0, None, 2.0, 3.0], None
    x[7][0] = float('nan')
    code, _, err = prepare('parquet', table(tmp_path / 'a.parquet', x=x, y=y))
    said = {
        'row 3': 'it is empty (null)',
        'row 4': 'its shape is (2,), but the first example has (4,)',
        'row 5': '1 value of it are empty (null)',
        'row 6': 'no label',
        'row 7': '1 value of 4 not finite as float32',
    }
    assert code == 2 and len(err) == len(said) + 1
    for row, reason in said.items():
        assert sum(f'{row}: {reason}' in line for line in err) == 1


def test_rows_of_a_damaged_row_group_are_named_and_can_be_left_out(prepare, tmp_path):
    source = table(tmp_path / 'a.parquet', x=VECTORS.tolist())  # in groups of 7 rows
    code, _, err = prepare('parquet', flipped(source, range(4, 20)))
    assert code == 2 and len(err) == 8
    for row in range(7):
        assert (
            sum(f'a.parquet: row {row}: row group 0 cannot be read: ' in line for line in err) == 1
        )
    assert prepare('parquet', source, '--skip_bad')[0] == 0
    found = data.load('parquet', str(tmp_path / 'data'))
    assert sorted(rows(found.train) + rows(found.test)) == expected(VECTORS[7:], np.full(13, -1))


def test_options_of_own_data_are_refused_elsewhere(prepare):
    code, _, err = prepare('digits', None, '--kind=series')
    said = ['error: --kind is for arrays, parquet, webdataset, not for digits']
    assert code == 2 and err == said
