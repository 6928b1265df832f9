"""CIFAR-10 and CIFAR-100 from their official binary archives, stored as TFDS's own builders store
them.
"""

import hashlib
import os
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.data import faults, images, records
from mi_ssl_jax.data.building import archive
from mi_ssl_jax.data.building.plan import Plan, check_space

_PIXELS = 3 * 32 * 32  # planes of red, green and blue, each row by row


class _Version(NamedTuple):
    url: str
    sha256: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    class_names: str  # file with one name a line
    # before each image; the last one is the label, CIFAR-100 has the coarse label before it
    label_bytes: int


_VERSIONS = {
    'cifar10': _Version(
        'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
        'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
        tuple(f'data_batch_{i}.bin' for i in range(1, 6)),
        ('test_batch.bin',),
        'batches.meta.txt',
        1,
    ),
    'cifar100': _Version(
        'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz',
        '58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec',
        ('train.bin',),
        ('test.bin',),
        'fine_label_names.txt',
        2,
    ),
}


class _Item(NamedTuple):
    split: str
    index: int  # in the split
    file: str
    record: int  # in the file


def plan(name: str, source: str | None, data_dir: str | None) -> Plan:
    """Plan the preparation of `name` from `source` (archive or folder); None downloads the official
    archive first.
    """
    version = _VERSIONS[name]
    if source is None:
        check_space(records.root(data_dir), 400_000_000)  # the archive and the records
        source = archive.download(version.url, version.sha256, records.root(data_dir) / 'downloads')
    tree = archive.open_tree(source)
    paths = _paths(tree, version)
    contents = {}
    for file in (*version.train, *version.test, version.class_names):
        with faults.reading(tree.place / paths[file]):
            contents[file] = tree.read(paths[file])
    with faults.reading(tree.place / paths[version.class_names], ': save it as UTF-8'):
        class_names = contents.pop(version.class_names).decode('utf-8-sig').split()
    size = _PIXELS + version.label_bytes
    items, bad = {}, []
    for split, files in (('train', version.train), ('test', version.test)):
        places = [(file, record) for file in files for record in range(len(contents[file]) // size)]
        items[split] = [_Item(split, i, file, record) for i, (file, record) in enumerate(places)]
        bad += [
            f'{file}: truncated, {len(contents[file])} bytes are no multiple of {size}'
            for file in files
            if len(contents[file]) % size
        ]
        bad += [f'{file}: empty file' for file in files if not contents[file]]
    return Plan(
        name=name,
        version='3.0.2',
        homepage='https://www.cs.toronto.edu/~kriz/cifar.html',
        description=f'{len(class_names)} classes of 32x32 colour images.',
        citation='Krizhevsky: Learning multiple layers of features from tiny images, 2009',
        class_names=class_names,
        features=partial(_features, class_names, version),
        items=items,
        example=partial(_example, contents, version, len(class_names)),
        where=lambda item: f'{item.file} record {item.record}',
        size=sum(map(len, contents.values())),
        bad=bad,
        notes=tree.notes,
        origin={'source': os.path.abspath(tree.place), 'digest': _digest(class_names, contents)},
    )


def _digest(class_names: list[str], contents: dict[str, bytes]) -> str:
    digest = hashlib.sha256(repr(class_names).encode())
    for file in sorted(contents):
        digest.update(contents[file])
    return digest.hexdigest()


def _paths(tree: archive.Tree, version: _Version) -> dict[str, str]:
    """Return the path of each needed file in the source, by the file's own name."""
    needed = (*version.train, *version.test, version.class_names)
    found = {}
    for path in tree.sizes:
        file = path.rsplit('/', 1)[-1]
        if file in needed and file in found:
            raise ValueError(
                f'{tree.place} holds {file} twice, {found[file]} and {path}: give the folder of one'
            )
        found[file] = path
    unread = dict(tree.bad)
    for path, reason in unread.items():
        if path.rsplit('/', 1)[-1] in needed:
            raise ValueError(faults.shown(f'{tree.place / path}: {reason}'))
    missing = [file for file in needed if file not in found]
    if missing:
        raise ValueError(
            f'{tree.place} lacks {", ".join(missing)}: give the binary version, {version.url}'
        )
    return {file: found[file] for file in needed}


def _features(class_names: list[str], version: _Version, tfds):
    features = {
        'id': tfds.features.Text(),
        'image': tfds.features.Image(shape=(32, 32, 3)),
        'label': tfds.features.ClassLabel(names=class_names),
    }
    if version.label_bytes == 2:
        features['coarse_label'] = tfds.features.ClassLabel(num_classes=20)
    return tfds.features.FeaturesDict(features)


def _example(
    contents: dict[str, bytes], version: _Version, classes: int, item: _Item
) -> dict[str, Any]:
    size = _PIXELS + version.label_bytes
    record = np.frombuffer(contents[item.file], np.uint8, size, item.record * size)
    *coarse, label = record[: version.label_bytes].tolist()
    if label >= classes:
        raise ValueError(f'its label {label} is outside 0 to {classes - 1}')
    image = record[version.label_bytes :].reshape(3, 32, 32).transpose(1, 2, 0)
    example = {
        'id': f'{item.split}_{item.index:05d}',
        'image': images.encode_png(image),
        'label': label,
    }
    if coarse and coarse[0] >= 20:
        raise ValueError(f'its coarse label {coarse[0]} is outside 0 to 19')
    return example | ({'coarse_label': coarse[0]} if coarse else {})
