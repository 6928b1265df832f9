"""Data sets that come as folders of images: TinyImageNet, ILSVRC2012, ImageNet-100, any train/CLASS
tree.
"""

import contextlib
import functools
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.data import faults, images, records
from mi_ssl_jax.data.building import accounting, archive
from mi_ssl_jax.data.building.accounting import is_image
from mi_ssl_jax.data.building.plan import Plan
from mi_ssl_jax.data.building.tree import Tree

NAMES = ('tiny_imagenet', 'imagenet2012', 'imagenet100', 'image_folder')
_HELD_OUT = ('val', 'validation', 'valid', 'test')  # the first that exists is held out
_LARGEST = 1 << 30  # bytes of one image file
_VALIDATION_IMAGES = 50_000  # of ILSVRC2012


class _Item(NamedTuple):
    path: str
    label: int


class _Labelled(NamedTuple):
    """The labelled files of a source, and its faults.

    train, held_out: (path, class) of both splits. classes: position = label. bad: (path, reason).
    """

    train: list[tuple[str, str]]
    held_out: list[tuple[str, str]]
    classes: list[str]
    bad: list[tuple[str, str]]


def plan(name: str, source: str | None, classes: str | None) -> Plan:
    """Plan the preparation of one of NAMES from the folder or archive `source`.

    classes: for imagenet100, a file that lists other class folders than the 100 of Tian et al.
    """
    if source is None:
        raise ValueError(
            f'{name} is made from files that you have: give their folder by --source=PATH'
        )
    chosen = _class_list(classes) if name == 'imagenet100' else set()
    tree = archive.open_tree(source)
    read = {
        'tiny_imagenet': _tiny_imagenet,
        'imagenet2012': _imagenet2012,
        'image_folder': _image_folder,
        'imagenet100': functools.partial(_imagenet100, chosen),
    }
    try:
        root = _root(tree)
        held_out = _held_out_folder(tree, root)
        found = read[name](tree, root, held_out)
    except ValueError as error:
        reasons = [f'; {path}: {reason}' for path, reason in tree.bad[:1]]
        raise ValueError(str(error) + faults.shown(''.join(reasons))) from error
    label = {wnid: i for i, wnid in enumerate(found.classes)}
    splits = {'train': found.train, 'validation': found.held_out}
    size = 64 if name == 'tiny_imagenet' else None
    kind = _pixels(tree, found.train) if name == 'image_folder' else None
    folders = (f'{root}train/', held_out)
    taken = {path for pairs in splits.values() for path, _ in pairs}
    bad = [*tree.bad, *_outside(tree, root, splits, label), *found.bad]
    bad += accounting.left_in(tree, folders, taken | {path for path, _ in bad})
    return Plan(
        name=name,
        version='5.1.0' if name == 'imagenet2012' else '1.0.0',
        citation='',
        homepage='',
        description=f'{len(label)} classes of image files.',
        class_names=found.classes,
        features=functools.partial(_features, found.classes, size, kind or images.RGB),
        items={
            split: _mixed([_Item(path, label[wnid]) for path, wnid in pairs if wnid in label])
            for split, pairs in splits.items()
        },
        example=functools.partial(_example, tree, size, kind),
        where=lambda item: faults.shown(tree.place / item.path),
        size=sum(tree.sizes[path] for path in taken),
        bad=[faults.shown(f'{tree.place / path}: {reason}') for path, reason in bad],
        notes=[*tree.notes, *accounting.notes(tree, folders, found.train, name)],
        origin=accounting.origin(tree, root, splits, found.classes),
    )


def _outside(
    tree: Tree,
    root: str,
    splits: Mapping[str, Sequence[tuple[str, str]]],
    label: Mapping[str, int],
) -> list[tuple[str, str]]:
    """Complaints about the files of classes that are not in the list, and about classes without any
    file.
    """
    bad = [
        (path, f'its class {wnid!r} is not in the list of classes')
        for pairs in splits.values()
        for path, wnid in pairs
        if wnid not in label
    ]
    present = {wnid for _, wnid in splits['train']}
    known = {path for path, _ in tree.bad}
    lacking = [f'{root}train/{wnid}' for wnid in label if wnid not in present]
    return bad + [(path, 'no images of this class') for path in lacking if path not in known]


def _mixed(items: list[_Item]) -> list[_Item]:
    """The items in one fixed random order, so that any part of the records holds all classes."""
    return [items[i] for i in np.random.RandomState(0).permutation(len(items))]


def _pixels(tree: Tree, train: Sequence[tuple[str, str]]) -> images.Pixels:
    """How the images are stored, by the first that can be read: 8-bit RGB, or 16 bits kept."""
    for path, _ in train[:1]:
        with contextlib.suppress(OSError, ValueError):  # it is named as bad when it is stored
            return images.pixels(tree.read(path))
    return images.RGB


def _features(classes: Sequence[str], size: int | None, kind: images.Pixels, tfds):
    return tfds.features.FeaturesDict(
        {
            'image': images.feature(tfds, kind, size),
            'label': tfds.features.ClassLabel(names=classes),
            'file_name': tfds.features.Text(),
        }
    )


def _example(
    tree: Tree, size: int | None, kind: images.Pixels | None, item: _Item
) -> dict[str, Any]:
    if tree.sizes[item.path] > _LARGEST:
        raise ValueError(f'its {tree.sizes[item.path] / 1e9:.1f} GB are too many for one image')
    contents = tree.read(item.path)
    image = (
        images.checked_rgb(contents, size=size) if kind is None else images.checked(contents, kind)
    )
    return {'image': image, 'label': item.label, 'file_name': item.path.rsplit('/', 1)[-1]}


def _root(tree: Tree) -> str:
    """The path ('' or 'a/b/') of the folder that holds train/, the shallowest one.

    Raises ValueError when there is none, or several of them hold files.
    """
    folders = [
        path[: -len('train')] for path in tree.folders if path == 'train' or path.endswith('/train')
    ]
    if not folders:
        raise ValueError(f'{tree.place} has no folder train/: --source must be the folder above it')
    depth = min(path.count('/') for path in folders)
    roots = sorted(path for path in folders if path.count('/') == depth)
    if len(roots) > 1:
        filled = [
            path for path in roots if any(file.startswith(f'{path}train/') for file in tree.sizes)
        ]
        if len(filled) > 1:
            several = ', '.join(f'{path}train' for path in filled[:4])
            raise ValueError(
                f'{tree.place} has several train/ folders ({several}): give the folder above one of'
                ' them by --source'
            )
        roots = filled or roots
    return roots[0]


def _held_out_folder(tree: Tree, root: str) -> str:
    for name in _HELD_OUT:
        if root + name in tree.folders:
            return root + name + '/'
    raise ValueError(
        f'{tree.place / root} has train/ but no held-out images: {", ".join(_HELD_OUT)}'
    )


def _by_class(tree: Tree, folder: str) -> list[tuple[str, str]]:
    """(path, class) of all images in the class folders FOLDER/CLASS/ and below them."""
    found = []
    for path in tree.sizes:
        parts = path[len(folder) :].split('/')
        if path.startswith(folder) and len(parts) > 1 and is_image(path):
            found.append((path, parts[0]))
    return found


def _text(tree: Tree, path: str) -> str:
    """A text file, with or without a byte-order mark."""
    with faults.reading(tree.place / path, ': save it as UTF-8'):
        return tree.read(path).decode('utf-8-sig')


def _image_folder(tree: Tree, root: str, held_out: str) -> _Labelled:
    """Any train/CLASS/*.jpg with val/CLASS/*.jpg. Classes are the train folders that hold images,
    sorted.
    """
    folder = f'{root}train/'
    train = _by_class(tree, folder)
    named = {name for _, name in train}
    odd = {name for name in named if not _storable(name)}
    known = {path for path, _ in tree.bad}
    empty = [
        (path, 'no images of this class')
        for path in sorted(tree.folders - known)
        if path.startswith(folder)
        and '/' not in path[len(folder) :]
        and path[len(folder) :] not in named
    ]
    return _Labelled(
        [(path, name) for path, name in train if name not in odd],
        [(path, name) for path, name in _by_class(tree, held_out) if name not in odd],
        sorted(named - odd),
        empty
        + [
            complaint
            for name in sorted(odd)
            for complaint in _renaming(tree, name, folder, held_out)
        ],
    )


def _storable(name: str) -> bool:
    """TFDS keeps class names as lines and strips them: others would come back changed."""
    return name == name.strip() and len(name.splitlines()) == 1


def _renaming(tree: Tree, name: str, *folders: str) -> list[tuple[str, str]]:
    return [
        (
            folder + name,
            f'the class name {name!r} begins or ends with white space or holds a line break:'
            ' rename the folder',
        )
        for folder in folders
        if folder + name in tree.folders
    ]


def _tiny_imagenet(tree: Tree, root: str, held_out: str) -> _Labelled:
    """train/WNID/images/*, val/images/* with val_annotations.txt (or val/WNID/*), classes in
    wnids.txt.
    """
    train = _by_class(tree, root + 'train/')
    listed = f'{root}wnids.txt' in tree.sizes
    wnids = _text(tree, f'{root}wnids.txt').split() if listed else [wnid for _, wnid in train]
    classes = sorted(set(wnids))
    annotations = f'{root}val/val_annotations.txt'
    if annotations not in tree.sizes:
        return _Labelled(train, _by_class(tree, held_out), classes, [])
    wnid = {
        f'{root}val/images/{line.split()[0]}': line.split()[1]
        for line in _text(tree, annotations).splitlines()
        if len(line.split()) > 1
    }
    present = {
        path for path in tree.sizes if path.startswith(f'{root}val/images/') and is_image(path)
    }
    bad = [
        (path, 'listed in val_annotations.txt, but missing')
        for path in sorted(wnid.keys() - present)
    ]
    bad += [
        (path, 'without a label in val_annotations.txt') for path in sorted(present - wnid.keys())
    ]
    return _Labelled(
        train, [(path, wnid[path]) for path in sorted(present & wnid.keys())], classes, bad
    )


def _imagenet2012(tree: Tree, root: str, held_out: str) -> _Labelled:
    """train/WNID/* of ILSVRC2012, and val/WNID/* or the 50,000 validation images in one folder."""
    labelled, bad = _validation(tree, held_out)
    return _Labelled(_by_class(tree, root + 'train/'), labelled, _tfds_lines('labels.txt'), bad)


def _class_list(list_file: str | None) -> set[str]:
    """The class folders that a file lists, one a line; None for those of Tian et al."""
    if list_file is None:
        text = resources.files('mi_ssl_jax.data').joinpath('imagenet100.txt').read_text()
    else:
        with faults.reading(f'cannot read the class list {list_file}'):
            text = Path(list_file).expanduser().read_text(encoding='utf-8-sig')
    lines = [line.split() for line in text.splitlines() if not line.startswith('#')]
    classes = {words[0] for words in lines if words}
    if not classes:
        raise ValueError(f'the class list {list_file} is empty: one class folder a line is needed')
    return classes


def _imagenet100(classes: set[str], tree: Tree, root: str, held_out: str) -> _Labelled:
    """The images of some ILSVRC2012 classes, out of a folder that may hold all of them."""
    labelled, bad = _validation(tree, held_out)
    train, held = (
        [(path, wnid) for path, wnid in pairs if wnid in classes]
        for pairs in (_by_class(tree, root + 'train/'), labelled)
    )
    return _Labelled(train, held, sorted(classes), bad)


def _validation(tree: Tree, folder: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(path, class) of ILSVRC2012's validation images, and what is bad; those in one folder get
    TFDS's list of labels.
    """
    pattern = re.compile(re.escape(folder) + r'ILSVRC2012_val_(\d{8})\.JPEG')
    flat = {path: int(match[1]) for path in tree.sizes if (match := pattern.fullmatch(path))}
    labels = _tfds_lines('validation_labels.txt') if flat else []
    known = {path: n for path, n in flat.items() if 1 <= n <= _VALIDATION_IMAGES}
    bad = [
        (path, f'its number is not from 1 to {_VALIDATION_IMAGES:,}')
        for path in flat.keys() - known.keys()
    ]
    return _by_class(tree, folder) + [(path, labels[n - 1]) for path, n in known.items()], bad


def _tfds_lines(file: str) -> list[str]:
    path = records.tfds().core.tfds_path(f'datasets/imagenet2012/{file}')
    return Path(path).read_text().split()
