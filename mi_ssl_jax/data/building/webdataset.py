"""WebDataset tars: one example is the files of one key, 0001.jpg or 0001.npy with 0001.cls or
0001.json beside it. A tar, or a folder of tars whose names have their split (train-000000.tar).
"""

import collections
import functools
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.data import faults, images
from mi_ssl_jax.data.building import archive, examples
from mi_ssl_jax.data.building.arrays import Y
from mi_ssl_jax.data.building.plan import Plan
from mi_ssl_jax.data.building.tree import Tree

_IMAGES = ('jpg', 'jpeg', 'png', 'webp', 'tif', 'tiff', 'bmp', 'ppm', 'pgm')
_X = (*_IMAGES, 'npy')
_Y = ('cls', 'json')
_FIELDS = ('cls', 'class', *Y)  # of a .json that may hold the label
_ENDS = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz')


class _Item(NamedTuple):
    shard: int
    path: str
    label: int | None


class _Sample(NamedTuple):
    """One key of a shard. files: extension -> path."""

    shard: int
    key: str
    files: Mapping[str, str]


def plan(source: str | None, wanted: examples.Wanted) -> Plan:
    """How to make a set from tars. ValueError, in one line, for what cannot be one."""
    if source is None:
        raise ValueError(
            'webdataset sets are made from tars that you have: give the tar or its folder by'
            ' --source'
        )
    place = Path(source).expanduser()
    paths, notes = _paths(place)
    shards = [archive.open_tree(path) for split_paths in paths.values() for path in split_paths]
    for shard in shards:
        notes += [f'{shard.place.name}: {note}' for note in shard.notes]
    with examples.naming(place):
        return _plan(place, paths, shards, notes, wanted)


def _paths(place: Path) -> tuple[dict[str, list[Path]], list[str]]:
    if not place.exists():
        raise ValueError(
            f'the source {faults.shown(place)} does not exist: give another one by --source'
        )
    if place.is_file():
        return {'train': [place]}, []
    files = sorted(path for path in place.rglob('*') if path.is_file())
    tars = [path for path in files if path.name.endswith(_ENDS)]
    if not tars:
        raise ValueError(f'{faults.shown(place)} holds no tars ({", ".join(_ENDS)})')
    with examples.naming(place):
        splits, notes = examples.by_split(tars, place)
    rest = [faults.shown(file.name) for file in files if file not in tars]
    if rest:
        notes.append(f'passed over: {faults.counted(len(rest), "other file")}, such as {rest[0]}')
    return splits, notes


def _plan(
    place: Path,
    paths: Mapping[str, list[Path]],
    shards: Sequence[Tree],
    notes: list[str],
    wanted: examples.Wanted,
) -> Plan:
    split_of = [split for split, split_paths in paths.items() for _ in split_paths]
    samples = [sample for number, shard in enumerate(shards) for sample in _samples(number, shard)]
    x, bad = _contents(samples, shards, wanted)
    labels, names, unlabelled = _labels(samples, shards, wanted)
    bad += unlabelled
    items: dict[str, list[_Item]] = {split: [] for split in paths}
    for number, sample in enumerate(samples):
        if number in x and (labels is None or number in labels):
            label = None if labels is None else labels[number]
            items[split_of[sample.shard]].append(_Item(sample.shard, x[number], label))
    items, more = _divided(items, bool(names))
    form = _form(items['train'], shards, wanted)
    used = set(x.values()) | {path for sample in samples for path in _labelling(sample, wanted)}
    rest = collections.Counter(
        f'.{extension}' for s in samples for extension, path in s.files.items() if path not in used
    )
    unread = [f'{count:,} {extension}' for extension, count in rest.most_common(8)]
    notes += [*more, *([f'not read: {", ".join(unread)}'] if unread else [])]
    return Plan(
        name='webdataset',
        version='1.0.0',
        citation='',
        homepage='',
        description=f'WebDataset tars of the user: {examples.described(form)}.',
        class_names=names,
        features=functools.partial(examples.features, form, names),
        items=items,
        example=functools.partial(_example, shards, form),
        where=lambda item: faults.shown(f'{shards[item.shard].place}: {item.path}'),
        size=sum(sum(shard.sizes.values()) for shard in shards),
        bad=list(map(faults.shown, bad + _unreadable(shards))),
        notes=[examples.described(form), *map(faults.shown, notes)],
        origin={
            'source': os.path.abspath(place),
            'digest': examples.digest([shard.place for shard in shards], wanted),
        },
        noun=examples.noun(form),
    )


def _unreadable(shards: Sequence[Tree]) -> list[str]:
    return [f'{shard.place}: {path}: {reason}' for shard in shards for path, reason in shard.bad]


def _samples(number: int, shard: Tree) -> list[_Sample]:
    """The files of a shard by key: what stands before the first dot of a name."""
    found: dict[str, dict[str, str]] = {}
    for path in shard.sizes:
        folder, slash, name = path.rpartition('/')
        stem, _, extension = name.partition('.')
        found.setdefault(folder + slash + stem, {})[extension.lower()] = path
    return [_Sample(number, key, files) for key, files in found.items()]


def _contents(
    samples: Sequence[_Sample], shards: Sequence[Tree], wanted: examples.Wanted
) -> tuple[dict[int, str], list[str]]:
    """({number of a key: path of its example}, what is bad). ValueError where no key has one."""
    known = (wanted.x.lstrip('.').lower(),) if wanted.x else _X
    found, bad = {}, []
    for number, sample in enumerate(samples):
        candidates = [path for extension, path in sample.files.items() if extension in known]
        where = f'{shards[sample.shard].place}: {sample.key}'
        if len(candidates) > 1:
            raise ValueError(
                f'{sample.key} holds several examples ({", ".join(sample.files)}): name one'
                ' extension by --x'
            )
        if candidates:
            found[number] = candidates[0]
        else:
            bad.append(f'{where}: no image or array, only .{", .".join(sample.files)}')
    if not found:
        extensions = sorted({extension for sample in samples for extension in sample.files})
        others = ', '.join(extensions[:12]) or 'none'
        raise ValueError(
            f'no key has a file .{", .".join(known)}; the extensions are {others}: name one by --x'
        )
    return found, bad


def _labelling(sample: _Sample, wanted: examples.Wanted) -> list[str]:
    """The paths of the files of a key that may hold its label."""
    known = (wanted.y.lstrip('.').lower(),) if wanted.y else _Y
    return [sample.files[extension] for extension in known if extension in sample.files]


def _labels(
    samples: Sequence[_Sample], shards: Sequence[Tree], wanted: examples.Wanted
) -> tuple[dict[int, int] | None, tuple[str, ...], list[str]]:
    """({number of a key: class}, names of the classes, what is bad); None without any label."""
    values: dict[int, str] = {}
    bad, failed = [], set()
    for number, sample in enumerate(samples):
        for path in _labelling(sample, wanted):
            try:
                value = _label(shards[sample.shard].read(path), path)
            except (OSError, ValueError) as error:
                bad.append(f'{shards[sample.shard].place}: {path}: {faults.line(error)}')
                failed.add(number)
                continue
            if value is not None:
                values[number] = value
                break
    if not values and wanted.y:
        raise ValueError(f'no key has a label in a file .{wanted.y.lstrip(".")}')
    if not values:
        return None, (), bad
    bad += [
        f'{shards[sample.shard].place}: {sample.key}: no label, which other keys have'
        for number, sample in enumerate(samples)
        if number not in values and number not in failed
    ]
    read = list(values.values())
    whole = all(value.lstrip('-').isdecimal() for value in read)
    known = examples.labels(
        np.array([int(value) for value in read] if whole else read), 'the labels'
    )
    return dict(zip(values, known.numbers.tolist(), strict=True)), known.names, bad


def _label(contents: bytes, path: str) -> str | None:
    """The label of a .cls (or other text) or .json file; None of a .json without one."""
    text = contents.decode('utf-8-sig').strip()
    if not path.lower().endswith('.json'):
        if not text:
            raise ValueError('an empty label')
        return text
    held = json.loads(text)
    if not isinstance(held, dict):
        held = {'label': held}
    value = next((held[name] for name in _FIELDS if name in held), None)
    if isinstance(value, (list, dict, float)):
        raise ValueError(f'its label is {str(value)[:40]}, neither a whole number nor text')
    return None if value is None else str(value)


def _divided(
    items: Mapping[str, list[_Item]], labelled: bool
) -> tuple[dict[str, list[_Item]], list[str]]:
    """The items with a held-out part, and a note where the tars name none."""
    if 'test' in items:
        examples.check_splits(len(items['train']), len(items['test']))
        return dict(items), []
    whole = items['train']
    numbers = np.array([item.label for item in whole], np.int32) if labelled else None
    train, test, note = examples.divide(len(whole), numbers)
    return {'train': [whole[i] for i in train], 'test': [whole[i] for i in test]}, [note]


def _form(
    items: Sequence[_Item], shards: Sequence[Tree], wanted: examples.Wanted
) -> examples.Form | images.Pixels:
    first = examples.first_usable(items, functools.partial(_value, shards))
    if isinstance(first, bytes):
        return images.pixels(first)
    return examples.form_of(first.shape, first.dtype, wanted, '.npy')


def _value(shards: Sequence[Tree], item: _Item) -> bytes | np.ndarray:
    contents = shards[item.shard].read(item.path)
    if not item.path.lower().endswith('.npy'):
        return contents
    with faults.reading('not an array'):
        return examples.load(io.BytesIO(contents))


def _example(
    shards: Sequence[Tree], form: examples.Form | images.Pixels, item: _Item
) -> dict[str, Any]:
    made = examples.example(_value(shards, item), form)
    made |= {} if item.label is None else {'label': item.label}
    return {**made, 'file_name': item.path}
