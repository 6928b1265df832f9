"""WebDataset tars: one example is the files of one key, 0001.jpg or 0001.npy with 0001.cls or
0001.json beside it. A tar, or a folder of tars whose names have their split (train-000000.tar).
"""

import collections
import functools
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.data import faults
from mi_ssl_jax.data.building import archive, examples, own
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
    def chosen(files: Sequence[Path]) -> list[Path]:
        tars = [path for path in files if path.name.endswith(_ENDS)]
        if not tars:
            raise ValueError(f'{faults.shown(place)} holds no tars ({", ".join(_ENDS)})')
        return tars

    return own.files_by_split(place, chosen)


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
    items, more = own.divided(items)
    value = functools.partial(_value, shards)
    form = own.form(items['train'], value, wanted, '.npy')
    used = set(x.values()) | {path for sample in samples for path in _labelling(sample, wanted)}
    rest = collections.Counter(
        f'.{extension}' for s in samples for extension, path in s.files.items() if path not in used
    )
    unread = [f'{count:,} {extension}' for extension, count in rest.most_common(8)]
    notes += [*more, *([f'not read: {", ".join(unread)}'] if unread else [])]
    return own.plan(
        'webdataset',
        'WebDataset tars',
        form=form,
        names=names,
        items=items,
        value=value,
        file_name=lambda item: item.path,
        notes=notes,
        place=place,
        files=[shard.place for shard in shards],
        wanted=wanted,
        where=lambda item: faults.shown(f'{shards[item.shard].place}: {item.path}'),
        size=sum(sum(shard.sizes.values()) for shard in shards),
        bad=list(map(faults.shown, bad + _unreadable(shards))),
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


def _value(shards: Sequence[Tree], item: _Item) -> bytes | np.ndarray:
    contents = shards[item.shard].read(item.path)
    if not item.path.lower().endswith('.npy'):
        return contents
    with faults.reading('not an array'):
        return examples.load(io.BytesIO(contents))
