"""Data sets that lie prepared in the TFDS folder, images (encoded, or arrays of any channels),
vectors and series: found by name, described, read record by record.
"""

import functools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.data import faults, images, records

_HELD_OUT = {'imagenet2012': 'validation'}  # its TFDS split 'test' has no labels
_NAMES = ('file_name', 'filename', 'id')  # what TFDS's sets call the name of an example
_AT_ONCE = 512  # examples that are read together
_AGAIN = 'remove the folder and prepare it again'
_VERSION = re.compile(r'\d+\.\d+\.\d+')


class Prepared(NamedTuple):
    """A data set on disk.

    splits: 'train' and 'test' (the held-out one) -> its name in TFDS.
    sizes: 'train' and 'test' -> number of examples.
    shape: of an example: (H, W, C) of images, where H and W are None if they differ; (d,) of
    vectors; (steps, C) of series.
    class_names: position = label; () without labels.
    dtype: of an example.
    feature: 'image' for encoded images, 'array' for arrays.
    """

    name: str
    folder: Path
    splits: Mapping[str, str]
    sizes: Mapping[str, int]
    shape: tuple[int | None, ...]
    class_names: tuple[str, ...]
    dtype: np.dtype = np.dtype(np.uint8)
    feature: str = 'image'

    @property
    def is_images(self) -> bool:
        """Whether its examples are images, not vectors or series."""
        return len(self.shape) == 3


def find(name: str, data_dir: str | None, *, version: str, command: str) -> Prepared:
    """The prepared data set `name`, its newest version that begins with `version`.

    command: what prepares it, for the messages.
    Raises ValueError if it is missing, incomplete, of another version or format, or holds neither
    images nor arrays.
    """
    home = records.root(data_dir) / name
    folders = [path.parent for path in home.glob('*/dataset_info.json')]
    folders = [folder for folder in folders if _VERSION.fullmatch(folder.name)]
    folders.sort(key=lambda path: [int(number) for number in path.name.split('.')])
    matching = [folder for folder in folders if folder.name.startswith(version)]
    if not folders:
        raise ValueError(f'{name} is not prepared in {records.root(data_dir)}: run {command}')
    if not matching:
        raise ValueError(
            f'{folders[-1]} is of another version, {version}x is needed: run {command}'
        )
    return _describe(name, matching[-1], command)


def _describe(name: str, folder: Path, command: str) -> Prepared:
    remedy = f'remove the folder and run {command}'
    stored = records.info(folder, remedy)
    formats = [
        stored.get('fileFormat') or 'tfrecord',
        *(stored.get('alternativeFileFormats') or []),
    ]
    if 'array_record' not in formats:
        raise ValueError(
            f'{folder} is stored as {formats[0]}, which only TensorFlow can read: convert it '
            f'to array_record (tfds convert_format), or remove it and run {command}'
        )
    builder = records.opened(folder, remedy)
    features, splits = builder.info.features, builder.info.splits
    feature = _feature(features)
    labelled = 'label' in features
    if feature is None or labelled and not hasattr(features['label'], 'names'):
        raise ValueError(f'{folder} is no set of images or arrays: it has {", ".join(features)}')
    held_out = _HELD_OUT.get(name) or next((s for s in ('test', 'validation') if s in splits), None)
    if 'train' not in splits or held_out not in splits:
        raise ValueError(
            f'{folder} has the splits {", ".join(splits)}; train is needed, and test or validation'
        )
    chosen = {'train': 'train', 'test': held_out}
    empty = [split for split in chosen.values() if not splits[split].num_examples]
    if empty:
        raise ValueError(f'{folder} has no examples in {", ".join(empty)}: {remedy}')
    with faults.reading(folder, f': its description is damaged; {remedy}'):
        missing = [
            path.name
            for split in chosen.values()
            for path in map(Path, splits[split].filepaths)
            if not path.exists() or not path.stat().st_size
        ]
    if missing:
        raise ValueError(f'{folder} lacks the file {", ".join(missing)}: {remedy}')
    return Prepared(
        name,
        folder,
        chosen,
        {key: splits[split].num_examples for key, split in chosen.items()},
        features[feature].shape,
        _class_names(folder, features['label'].names, remedy) if labelled else (),
        np.dtype(features[feature].np_dtype),
        feature,
    )


def _feature(features: Mapping[str, Any]) -> str | None:
    """The feature that holds the examples: 'image' or 'array', None where there is neither."""
    if 'image' in features and len(features['image'].shape) == 3:
        return 'image'
    if 'array' in features and 1 <= len(features['array'].shape) <= 3:
        return 'array'
    return None


def _class_names(folder: Path, names: Sequence[str], remedy: str) -> tuple[str, ...]:
    """The names checked against the number of classes. TFDS calls classes by number where the file
    of their names is missing, as it may be for sets from elsewhere: that is told.
    """
    file, features = folder / 'label.labels.txt', folder / 'features.json'
    with faults.reading(features, f': it is damaged; {remedy}'):
        connector = records.tfds().features.FeatureConnector
        count = connector.from_json(json.loads(features.read_text()))['label'].num_classes
    if not file.exists():
        _note(
            f'{folder} has no {file.name}, the list of its classes: they are called by their'
            ' numbers'
        )
    elif not file.read_bytes().strip() or len(names) != count:
        raise ValueError(f'{file}: it does not name {count} classes; it is damaged: {remedy}')
    return tuple(names)


@functools.cache
def _note(line: str) -> None:
    """Said once."""
    print(line, file=sys.stderr, flush=True)


@functools.cache
def _source(folder: Path, split: str, feature: str) -> Sequence[dict[str, Any]]:
    builder = records.opened(folder, _AGAIN)
    encoded = {'image': records.tfds().decode.SkipDecoding()} if feature == 'image' else None
    return records.source(builder, split, _AGAIN, decoders=encoded)


def encoded(
    prepared: Prepared, split: str, indices: Sequence[int]
) -> list[tuple[bytes | np.ndarray, int]]:
    """(encoded image or array, label) of some examples of the split 'train' or 'test', in the order
    of `indices`; label -1 without labels. Raises ValueError that names what is damaged.
    """
    examples = _examples(prepared, split, indices)
    classes = len(prepared.class_names)
    labels = [int(example['label']) if classes else -1 for example in examples]
    if labels and classes and not 0 <= min(labels) <= max(labels) < classes:
        raise ValueError(
            f'{prepared.folder}: {prepared.splits[split]} has labels outside its list of {classes}'
            f' classes: {_AGAIN}'
        )
    return list(zip((example[prepared.feature] for example in examples), labels, strict=True))


def _examples(prepared: Prepared, split: str, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Whole examples, with their images still encoded."""
    source = _source(prepared.folder, prepared.splits[split], prepared.feature)
    try:
        return source.__getitems__(list(indices))
    except Exception:  # record by record, to find the damaged one
        return [_example(prepared, split, index, source) for index in indices]


def _example(prepared: Prepared, split: str, index: int, source: Sequence) -> dict[str, Any]:
    where = f'{prepared.folder}: record {index} of {prepared.splits[split]} is damaged'
    with faults.reading(where, f'; {_AGAIN}'):
        return source.__getitems__([index])[0]


def names(prepared: Prepared, split: str) -> np.ndarray | None:
    """The names of all examples of the split 'train' or 'test', in order; None where the records
    hold none.
    """
    count = prepared.sizes[split]
    first = _examples(prepared, split, [0])[0] if count else {}
    key = next((key for key in _NAMES if key in first), None)
    if key is None:
        return None
    return np.array(
        [
            example[key].decode(errors='replace')
            for start in range(0, count, _AT_ONCE)
            for example in _examples(prepared, split, range(start, min(start + _AT_ONCE, count)))
        ]
    )


def example(
    prepared: Prepared,
    split: str,
    index: int,
    data: bytes | np.ndarray,
    *,
    side: int | None,
    offset: float,
) -> np.ndarray:
    """One example decoded and, if it is an image, cut to a square of `side` pixels (None: whole).
    Errors name its record.
    """
    try:
        decoded = (
            images.decode(data, prepared.shape[-1], dtype=prepared.dtype)
            if isinstance(data, bytes)
            else data
        )
    except ValueError as error:
        raise ValueError(
            f'{prepared.folder}: record {index} of {prepared.splits[split]} is damaged '
            f'({error}): {_AGAIN}'
        ) from None
    return decoded if side is None else images.square(decoded, side, offset=offset)
