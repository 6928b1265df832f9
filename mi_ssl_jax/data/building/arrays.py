"""Arrays of the user's own: a .npz file, a .npy file or a folder of .npy files, with images,
vectors or series along the first axis, with or without labels.

Names: x, y; x_train, y_train, x_test, y_test; train_images, train_labels, test_images, ... (Keras,
MedMNIST), see X, Y and `examples.HELD_OUT`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.data import faults, zips
from mi_ssl_jax.data.building import examples, own
from mi_ssl_jax.data.building.plan import Plan

X = ('x', 'X', 'data', 'images', 'image', 'features', 'series', 'inputs', 'arr_0')
Y = ('y', 'Y', 'labels', 'label', 'targets', 'target')


class _Item(NamedTuple):
    array: str
    index: int
    label: int | None


class _Source(NamedTuple):
    """arrays: by name. files: they lie in them."""

    place: Path
    arrays: Mapping[str, np.ndarray]
    files: Sequence[Path]


class _Part(NamedTuple):
    """The names of the arrays of one split; y is None without labels."""

    x: str
    y: str | None


def plan(source: str | None, wanted: examples.Wanted) -> Plan:
    """How to make a set from arrays. ValueError, in one line, for what cannot be one."""
    if source is None:
        raise ValueError('arrays are made from a file that you have: give it by --source=FILE.npz')
    found = _open(Path(source).expanduser())
    with examples.naming(found.place):
        parts = _parts(found.arrays, wanted)
        return _plan(found, parts, wanted)


def _plan(found: _Source, parts: Mapping[str, _Part], wanted: examples.Wanted) -> Plan:
    arrays = {part.x: _examples(found, part.x) for part in parts.values()}
    form = examples.form_of(
        arrays[parts['train'].x].shape[1:], arrays[parts['train'].x].dtype, wanted, parts['train'].x
    )
    labels, names = _labels(found, arrays, parts)
    items: dict[str, list[_Item]] = {}
    shapes = {name: array.shape[1:] for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        said = ' and '.join(f'{name} has {shape}' for name, shape in shapes.items())
        raise ValueError(f'examples of both splits must have one shape, but {said}')
    for split, part in parts.items():
        numbers = labels.get(split)
        items[split] = [
            _Item(part.x, i, None if numbers is None else int(numbers[i]))
            for i in range(len(arrays[part.x]))
        ]
    items, notes = own.divided(items)
    used = {name for part in parts.values() for name in part if name}
    rest = [name for name in found.arrays if name not in used]
    notes += [f'not read: {faults.listed(rest)}'] if rest else []
    return own.plan(
        'arrays',
        'Arrays',
        form=form,
        names=names,
        items=items,
        value=lambda item: arrays[item.array][item.index],
        file_name=lambda item: f'{item.array}[{item.index}]',
        notes=notes,
        place=found.place,
        files=found.files,
        wanted=wanted,
        where=lambda item: f'{found.place}: {item.array}[{item.index}]',
        size=sum(array.nbytes for array in arrays.values()),
        bad=[],
        item='example',
    )


def _open(place: Path) -> _Source:
    if place.is_dir():
        files = sorted(place.glob('*.npy'))
        if not files:
            raise ValueError(
                f'{faults.shown(place)} has no .npy files: give a .npz, a .npy file or'
                ' a folder of .npy files by --source'
            )
        arrays = {}
        for file in files:
            with faults.reading(f'cannot read {file}'):
                arrays[file.stem] = examples.load(file)
        return _Source(place, arrays, files)
    with faults.reading(f'cannot read {own.existing(place)}'):
        held = examples.load(place)
        if isinstance(held, np.ndarray):
            return _Source(place, {'x': held}, [place])
        with held as file:
            zips.check(place, file.zip)
            return _Source(place, {name: file[name] for name in file.files}, [place])


def _parts(arrays: Mapping[str, np.ndarray], wanted: examples.Wanted) -> dict[str, _Part]:
    """'train' and, where the arrays have them, 'test': the names of their arrays."""
    x = _named(arrays, (wanted.x,) if wanted.x else X, 'train')
    y = _named(arrays, (wanted.y,) if wanted.y else Y, 'train')
    if x is None:
        raise ValueError(
            f'it has no array {wanted.x or "x"} (nor {wanted.x or "x"}_train); it has'
            f' {faults.listed(list(arrays))}: name the examples by --x=NAME'
        )
    if wanted.y and y is None:
        raise ValueError(f'it has no array {wanted.y}; it has {faults.listed(list(arrays))}')
    parts = {'train': _Part(x, y)}
    for split in examples.HELD_OUT:
        held = _named(arrays, (wanted.x,) if wanted.x else X, split)
        if held is not None and held != x:
            labels = _named(arrays, (wanted.y,) if wanted.y else Y, split)
            if (labels is None) != (y is None):
                lacking = f'{x} has no labels' if y is None else f'{held} has no labels'
                raise ValueError(f'{lacking}, but the other split has: give both or none')
            parts['test'] = _Part(held, labels)
            break
    return parts


def _named(arrays: Mapping[str, Any], names: Sequence[str], split: str) -> str | None:
    """The first name, beside the split's or, of 'train', alone, that there is."""
    known = [key for name in names for key in (f'{name}_{split}', f'{split}_{name}')]
    known += names if split == 'train' else []
    return next((name for name in known if name in arrays), None)


def _examples(found: _Source, name: str) -> np.ndarray:
    array = found.arrays[name]
    if not array.ndim or not len(array):
        raise ValueError(f'{name} has shape {array.shape}: it holds no examples')
    return array


def _labels(
    found: _Source, arrays: Mapping[str, np.ndarray], parts: Mapping[str, _Part]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The class numbers of each split, over both together, and the classes' names."""
    given = {split: np.asarray(found.arrays[part.y]) for split, part in parts.items() if part.y}
    if not given:
        return {}, ()
    for split, part in parts.items():
        if len(np.atleast_1d(given[split])) != len(arrays[part.x]):
            raise ValueError(
                f'{part.x} has {len(arrays[part.x]):,} examples, but {part.y} has shape'
                f' {given[split].shape}'
            )
    if len({values.dtype.kind in 'US' for values in given.values()}) > 1:
        raise ValueError('the labels of one split are numbers, of the other text')
    name = ' and '.join(str(part.y) for part in parts.values())
    flat = [values.reshape(len(values), -1) for values in given.values()]
    if len({values.shape[1] for values in flat}) > 1:
        raise ValueError(f'{name} have labels of different shapes')
    known = examples.labels(np.concatenate(flat), name)
    ends = np.cumsum([0, *(len(values) for values in flat)])
    numbers = {split: known.numbers[a:b] for split, a, b in zip(given, ends, ends[1:])}
    return numbers, known.names
