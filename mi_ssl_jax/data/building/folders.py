"""Data sets that come as folders of images: TinyImageNet, ILSVRC2012, ImageNet-100, any train/CLASS
tree.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.data import images, records
from mi_ssl_jax.data.building import archive
from mi_ssl_jax.data.building.plan import Plan

NAMES = ('tiny_imagenet', 'imagenet2012', 'imagenet100', 'image_folder')
_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
_HELD_OUT = ('val', 'validation', 'valid', 'test')  # the first that exists is held out


class _Item(NamedTuple):
    path: str
    label: int


class _Labelled(NamedTuple):
    """What a source holds: (path, class) of both splits, the class list (position = label), what is
    wrong.
    """

    train: list[tuple[str, str]]
    held_out: list[tuple[str, str]]
    classes: list[str]
    bad: list[str]


def plan(name: str, source: str | None, classes: str | None) -> Plan:
    """How to make one of NAMES from the folder or zip `source`.

    classes: for imagenet100, a file that lists other class folders than the 100 of Tian et al.
    """
    if source is None:
        raise ValueError(
            f'{name} is made from files that you have: give their folder by --source=PATH'
        )
    tree = archive.open_tree(source)
    read = {
        'tiny_imagenet': _tiny_imagenet,
        'imagenet2012': _imagenet2012,
        'image_folder': _image_folder,
        'imagenet100': functools.partial(_imagenet100, classes),
    }
    found = read[name](tree, _root(tree))
    label = {wnid: i for i, wnid in enumerate(found.classes)}
    splits = {'train': found.train, 'validation': found.held_out}
    size = 64 if name == 'tiny_imagenet' else None
    return Plan(
        name=name,
        version='5.1.0' if name == 'imagenet2012' else '1.0.0',
        citation='',
        homepage='',
        description=f'{len(label)} classes of image files.',
        class_names=found.classes,
        features=functools.partial(_features, found.classes, size),
        items={
            split: _mixed([_Item(path, label[wnid]) for path, wnid in pairs if wnid in label])
            for split, pairs in splits.items()
        },
        example=functools.partial(_example, tree, size),
        where=lambda item: str(tree.place / item.path),
        size=sum(tree.sizes[path] for pairs in splits.values() for path, _ in pairs),
        bad=[f'{tree.place / path}' for path in _outside(splits, label) + found.bad],
    )


def _outside(
    splits: Mapping[str, Sequence[tuple[str, str]]], label: Mapping[str, int]
) -> list[str]:
    """Complaints about the files of classes that are not in the list, and about classes without any
    file.
    """
    bad = [
        f'{path}: its class {wnid!r} is not in the list of classes'
        for pairs in splits.values()
        for path, wnid in pairs
        if wnid not in label
    ]
    present = {wnid for _, wnid in splits['train']}
    return bad + [f'train/{wnid}: no images of this class' for wnid in label if wnid not in present]


def _mixed(items: list[_Item]) -> list[_Item]:
    """The items in one fixed random order, so that any part of the records holds all classes."""
    return [items[i] for i in np.random.RandomState(0).permutation(len(items))]


def _features(classes: Sequence[str], size: int | None, tfds):
    return tfds.features.FeaturesDict(
        {
            'image': tfds.features.Image(shape=(size, size, 3), encoding_format='jpeg'),
            'label': tfds.features.ClassLabel(names=classes),
            'file_name': tfds.features.Text(),
        }
    )


def _example(tree: archive.Tree, size: int | None, item: _Item) -> dict[str, Any]:
    image = images.checked_rgb(tree.read(item.path), size=size)
    return {'image': image, 'label': item.label, 'file_name': item.path.rsplit('/', 1)[-1]}


def _root(tree: archive.Tree) -> str:
    """The path ('' or 'a/b/') of the folder that holds train/, the shallowest if there are
    several.
    """
    folders = [
        path[: -len('train')] for path in tree.folders if path == 'train' or path.endswith('/train')
    ]
    if not folders:
        raise ValueError(f'{tree.place} has no folder train/: --source must be the folder above it')
    return min(folders, key=lambda path: (path.count('/'), path))


def _held_out_folder(tree: archive.Tree, root: str) -> str:
    for name in _HELD_OUT:
        if root + name in tree.folders:
            return root + name + '/'
    raise ValueError(
        f'{tree.place / root} has train/ but no held-out images: {", ".join(_HELD_OUT)}'
    )


def _by_class(tree: archive.Tree, folder: str) -> list[tuple[str, str]]:
    """(path, class) of all images in the class folders FOLDER/CLASS/ and below them."""
    found = []
    for path in tree.sizes:
        parts = path[len(folder) :].split('/')
        if path.startswith(folder) and len(parts) > 1 and _is_image(path):
            found.append((path, parts[0]))
    return found


def _is_image(path: str) -> bool:
    return path.lower().endswith(_SUFFIXES) and not path.rsplit('/', 1)[-1].startswith('.')


def _image_folder(tree: archive.Tree, root: str) -> _Labelled:
    """Any train/CLASS/*.jpg with val/CLASS/*.jpg. Classes are the train folders that hold images,
    sorted.
    """
    train = _by_class(tree, root + 'train/')
    classes = sorted({name for _, name in train})
    folders = {
        path[len(root + 'train/') :] for path in tree.folders if path.startswith(root + 'train/')
    }
    empty = [
        f for f in sorted(folders) if '/' not in f and f not in classes and not f.startswith('.')
    ]
    bad = [f'{root}train/{name}: no images of this class' for name in empty]
    return _Labelled(train, _by_class(tree, _held_out_folder(tree, root)), classes, bad)


def _tiny_imagenet(tree: archive.Tree, root: str) -> _Labelled:
    """train/WNID/images/*, val/images/* with val_annotations.txt (or val/WNID/*), classes in
    wnids.txt.
    """
    train = _by_class(tree, root + 'train/')
    listed = f'{root}wnids.txt' in tree.sizes
    wnids = (
        tree.read(f'{root}wnids.txt').decode().split() if listed else [wnid for _, wnid in train]
    )
    classes = sorted(set(wnids))
    annotations = f'{root}val/val_annotations.txt'
    if annotations not in tree.sizes:
        return _Labelled(train, _by_class(tree, _held_out_folder(tree, root)), classes, [])
    wnid = {
        f'{root}val/images/{line.split()[0]}': line.split()[1]
        for line in tree.read(annotations).decode().splitlines()
        if len(line.split()) > 1
    }
    present = {
        path for path in tree.sizes if path.startswith(f'{root}val/images/') and _is_image(path)
    }
    bad = [
        f'{path}: listed in val_annotations.txt, but missing'
        for path in sorted(wnid.keys() - present)
    ]
    bad += [
        f'{path}: without a label in val_annotations.txt' for path in sorted(present - wnid.keys())
    ]
    return _Labelled(
        train, [(path, wnid[path]) for path in sorted(present & wnid.keys())], classes, bad
    )


def _imagenet2012(tree: archive.Tree, root: str) -> _Labelled:
    """train/WNID/* of ILSVRC2012, and val/WNID/* or the 50,000 validation images in one folder."""
    return _Labelled(
        _by_class(tree, root + 'train/'), _validation(tree, root), _tfds_lines('labels.txt'), []
    )


def _imagenet100(list_file: str | None, tree: archive.Tree, root: str) -> _Labelled:
    """The images of some ILSVRC2012 classes, out of a folder that may hold all of them."""
    if list_file is None:
        text = resources.files('mi_ssl_jax.data').joinpath('imagenet100.txt').read_text()
    else:
        try:
            text = Path(list_file).expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f'cannot read the class list {list_file}: {error}') from None
    lines = [line.split() for line in text.splitlines() if not line.startswith('#')]
    classes = {words[0] for words in lines if words}
    if not classes:
        raise ValueError(f'the class list {list_file} is empty: one class folder a line is needed')
    train, held_out = (
        [(path, wnid) for path, wnid in pairs if wnid in classes]
        for pairs in (_by_class(tree, root + 'train/'), _validation(tree, root))
    )
    return _Labelled(train, held_out, sorted(classes), [])


def _validation(tree: archive.Tree, root: str) -> list[tuple[str, str]]:
    """(path, class) of ILSVRC2012's validation images; those in one folder get TFDS's list of
    labels.
    """
    folder = _held_out_folder(tree, root)
    pattern = re.compile(re.escape(folder) + r'ILSVRC2012_val_\d{8}\.JPEG')
    flat = [path for path in tree.sizes if pattern.fullmatch(path)]
    labels = _tfds_lines('validation_labels.txt') if flat else []
    return _by_class(tree, folder) + [(path, labels[int(path[-13:-5]) - 1]) for path in flat]


def _tfds_lines(file: str) -> list[str]:
    path = records.tfds().core.tfds_path(f'datasets/imagenet2012/{file}')
    return Path(path).read_text().split()
