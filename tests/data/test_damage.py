"""Damaged files: every reader names the file and what to do, and a damaged decoded copy is made
anew."""

import json
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest

from mi_ssl_jax import data
from mi_ssl_jax.data import images, in_memory, on_disk, records, streamed
from tests.data.test_load import write_set
from tests.helpers import samples


def png(width, height):
    """A PNG that says it is of this size, of very few bytes."""

    def chunk(kind, contents):
        return (
            struct.pack('>I', len(contents))
            + kind
            + contents
            + struct.pack('>I', zlib.crc32(kind + contents))
        )

    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')
    )


def encoded(suffix, *edits):
    image = samples.random_image(np.random.RandomState(0), 8, 8)
    raw = bytearray(cv2.imencode(suffix, image)[1].tobytes())
    for place, value in edits:
        raw[place] = value
    return bytes(raw)


def tiff(tag, value):
    """A TIFF whose entry of this tag says `value`."""
    raw = bytearray(encoded('.tiff'))
    start = int.from_bytes(raw[4:8], 'little')
    for k in range(int.from_bytes(raw[start : start + 2], 'little')):
        entry = start + 2 + 12 * k
        if int.from_bytes(raw[entry : entry + 2], 'little') == tag:
            raw[entry + 2 : entry + 12] = struct.pack('<HII', 4, 1, value)
    return bytes(raw)


HEADERS = {
    'bmp of a huge width': encoded('.bmp', (20, 0x7F)),
    'bmp of no width': encoded('.bmp', (18, 0)),
    'tiff of no width': tiff(256, 0),
    'tiff of a huge width': tiff(256, 2_000_000_000),
    'tiff of a huge height': tiff(257, 2_000_000_000),
    'png of a gigapixel': png(40_000, 40_000),
    'png of no height': png(8, 0),
    'png of a large width': png(2_000_000, 1),
    'webp cut off': encoded('.webp')[:60],
    'gif without pictures': b'GIF89a\x08\0\x08\0\0\0\0;',
    'jpeg of no height': encoded('.jpg').replace(b'\x08\0\x08\0\x08', b'\x08\0\0\0\x08', 1),
}


@pytest.mark.parametrize('name', HEADERS)
def test_damaged_headers_of_images_are_bad_files(prepare, tmp_path, name):
    folder = samples.write_folder(tmp_path / 'src', ('cat', 'dog'), train=2, val=1, size=(8, 8))
    (folder / 'train' / 'cat' / 'x.jpg').write_bytes(HEADERS[name])
    code, _, err = prepare('image_folder', folder)
    assert code == 2 and len(err) == 2
    assert err[0].startswith(f'bad file: {folder}/train/cat/x.jpg: ')
    code, out, _ = prepare('image_folder', folder, '--skip_bad')
    assert code == 0 and out.count('left out:') == 1 and 'train: 4 images' in out


# Prepared sets
# --------------------------------------------------------------------------------------------------


def message(call, *arguments, **options):
    on_disk._source.cache_clear()
    with pytest.raises(ValueError) as caught:
        call(*arguments, **options)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def load(root):
    return data.load('some_set', str(root), short_side=16)


@pytest.fixture(scope='module')
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp('original')
    write_set(root, 'some_set', size=(16, 16))
    return root


@pytest.fixture
def prepared(original, tmp_path):
    """A copy of a prepared set: the folder above it and its own."""
    shutil.copytree(original, tmp_path / 'root')
    on_disk._source.cache_clear()
    return tmp_path / 'root', tmp_path / 'root' / 'some_set' / '1.0.0'


def flip(file, place):
    raw = bytearray(file.read_bytes())
    raw[place] ^= 255
    file.write_bytes(raw)


@pytest.mark.parametrize('how', ['cut', 'flipped', 'grown', 'text'])
def test_damaged_record_files_are_named(prepared, how):
    root, folder = prepared
    file = next(folder.glob('*train*-00001*'))
    if how == 'cut':
        file.write_bytes(file.read_bytes()[:-5000])
    elif how == 'flipped':
        flip(file, 200)
    elif how == 'grown':
        shutil.copy(next(folder.glob('*train*-00000*')), file)
    else:
        file.write_text('<html>quota exceeded</html>')
    said = message(load, root)
    assert str(folder) in said and 'remove the folder' in said and 'prepare it again' in said
    if how != 'flipped':
        assert file.name in said
    else:  # its place among the records
        assert 'record 10 of train is damaged' in said
    stream = data.stream('some_set', str(root), canvas=16)
    once = streamed.once(stream, 'train', indices=None, batch_size=23)
    assert str(folder) in message(next, once)


@pytest.mark.parametrize('workers', [0, 1])
def test_a_damaged_record_ends_a_stream_with_one_line(prepared, workers):
    root, folder = prepared
    flip(next(folder.glob('*train*-00001*')), 200)
    stream = data.stream('some_set', str(root), canvas=16)
    batches = streamed.Batches(stream, batch_size=23, seed=0, worker_count=workers)
    said = message(next, batches)
    batches.close()
    assert f'{folder}: record 10 of train is damaged' in said and 'prepare it again' in said


@pytest.mark.parametrize('file', ['dataset_info.json', 'features.json', 'label.labels.txt'])
@pytest.mark.parametrize('text', ['', '{', '[]', '\ufeff\x00', 'null'])
def test_damaged_descriptions_are_named(prepared, file, text):
    root, folder = prepared
    (folder / file).write_text(text)
    said = message(load, root)
    assert str(folder) in said and 'remove the folder' in said


def test_a_missing_description_is_named(prepared):
    root, folder = prepared
    (folder / 'features.json').unlink()
    assert str(folder) in message(load, root)


def test_numbers_in_the_place_of_missing_class_names_are_told(prepared, capsys):
    root, folder = prepared
    (folder / 'label.labels.txt').unlink()
    assert load(root).class_names == ('0', '1', '2')
    said = capsys.readouterr().err
    assert f'{folder} has no label.labels.txt' in said and 'by their numbers' in said


@pytest.mark.parametrize('counts', [['9', '13'], ['10'], ['10', '-1'], ['x', '13'], []])
def test_a_description_of_other_numbers_of_records_is_no_smaller_set(prepared, counts):
    root, folder = prepared
    stored = json.loads((folder / 'dataset_info.json').read_text())
    next(split for split in stored['splits'] if split['name'] == 'train')['shardLengths'] = counts
    (folder / 'dataset_info.json').write_text(json.dumps(stored))
    assert str(folder) in message(load, root)


@pytest.mark.parametrize('name', ['gaussian', 'sbm'])
def test_damaged_generated_sets_are_named(tmp_path, name):
    small = {'nodes': 20, 'communities': 2, 'features': 2} if name == 'sbm' else {}
    data.load(name, str(tmp_path), **small)
    folder = next(tmp_path.glob(f'{name}*')) / '1.0.0'
    file = sorted(folder.glob('*array_record*'))[0]
    whole = file.read_bytes()
    flip(file, 100)
    said = message(data.load, name, str(tmp_path), **small)
    assert str(folder) in said and 'remove the folder' in said
    file.write_bytes(whole[: len(whole) // 2])
    assert file.name in message(data.load, name, str(tmp_path), **small)
    file.write_bytes(whole)
    (folder / 'dataset_info.json').write_text('')
    said = message(data.load, name, str(tmp_path), **small)
    assert f'{folder}/dataset_info.json: ' in said and 'remove the folder' in said


@pytest.mark.parametrize('name', ['dataset_info.json', '*array_record*'])
def test_a_damaged_graph_is_not_prepared_already(prepare, tmp_path, name):
    n = np.arange(8)
    np.savez(tmp_path / 'g.npz', x=np.eye(8), edge_index=np.stack([n, (n + 1) % 8]), y=n % 2)
    assert prepare('graph_npz', tmp_path / 'g.npz')[0] == 0
    folder = tmp_path / 'data' / 'graph_npz' / '1.0.0'
    next(folder.glob(name)).write_bytes(b'{')
    code, out, err = prepare('graph_npz', tmp_path / 'g.npz')
    assert (code, out, len(err)) == (2, '', 1)
    assert str(folder) in err[0] and 'remove the folder' in err[0]


def test_labels_outside_the_list_are_refused_in_streams_too(tmp_path):
    def examples():
        yield 0, {'image': images.encode_png(np.zeros((8, 8, 3), np.uint8)), 'label': -1}

    def features(tfds):
        label = tfds.features.ClassLabel(num_classes=2)
        return tfds.features.FeaturesDict({'image': tfds.features.Image(), 'label': label})

    shards = {'train': [examples], 'test': [examples]}
    spec = records.Spec('bare', '1.0.0', '', '', '', features, shards, lambda: None)
    records.write(spec, tmp_path)
    stream = data.stream('bare', str(tmp_path), canvas=8)
    once = streamed.once(stream, 'train', indices=None, batch_size=1)
    for said in (
        message(data.load, 'bare', str(tmp_path), short_side=8),
        message(next, once),
    ):
        assert 'labels outside its list of 2 classes' in said


# Decoded copies
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'how', ['cut', 'gone', 'empty', 'a pixel', 'a label', 'another shape', 'no sums', 'its header']
)
def test_a_damaged_decoded_copy_is_made_anew(prepared, capsys, how):
    root, folder = prepared
    first = load(root)
    copy = next(folder.parent.glob('decoded.16.*'))
    pixels = copy / 'train.x.npy'
    if how == 'cut':
        pixels.write_bytes(pixels.read_bytes()[:300])
    elif how == 'gone':
        pixels.unlink()
    elif how == 'empty':
        pixels.write_bytes(b'')
    elif how == 'a pixel':
        flip(pixels, 1000)
    elif how == 'a label':
        flip(copy / 'test.y.npy', -1)
    elif how == 'another shape':
        np.save(pixels, np.zeros((5, 16, 16, 3), np.uint8))
    elif how == 'no sums':
        next(copy.glob('*.json')).unlink()
    else:
        pixels.write_bytes(pixels.read_bytes().replace(b'(23,', b'(9{,', 1))
    capsys.readouterr()
    second = load(root)
    assert f'{copy} is damaged (' in capsys.readouterr().err
    for a, b in zip((*first.train, *first.test), (*second.train, *second.test)):
        np.testing.assert_array_equal(a, b)
    load(root)
    assert 'is damaged' not in capsys.readouterr().err


def test_a_copy_that_is_a_file_is_left_alone(prepared, monkeypatch):
    root, folder = prepared
    load(root)
    copy = next(folder.parent.glob('decoded.16.*'))
    shutil.rmtree(copy)
    copy.write_text('in the way')
    load(root)
    monkeypatch.setattr(in_memory.os, 'rename', None)
    assert copy.read_text() == 'in the way'
