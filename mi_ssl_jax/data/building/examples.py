"""What arrays, tables and tars of the user's own share: kinds of examples, labels, a held-out part,
features.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.data import faults, images

KINDS = {  # kind -> one example in words, its axes
    'images': ('image', '(height, width) or (height, width, channels)'),
    'vectors': ('vector', '(features,)'),
    'series': ('series', '(steps,) or (steps, channels)'),
}
HELD_OUT = ('test', 'val', 'valid', 'validation')  # the first that exists is held out
SHARE = 0.2  # of the examples, held out where the source names none
FEWEST = 10  # examples: fewer leave nothing to measure on the held-out ones
_MOST_CLASSES = 100_000
_BLOCK, _BLOCKS = 1 << 20, 64  # of a file's contents, by which it is known again
_STORED = (np.uint8, np.uint16)  # as they are; all other numbers become float32


class Wanted(NamedTuple):
    """What the user says of a source: kind of its examples, names of examples and labels in it."""

    kind: str | None = None
    x: str | None = None
    y: str | None = None


class Form(NamedTuple):
    """Shape and type of every example of a set of arrays, as they are stored."""

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    given: tuple[int, ...]  # shape in the source


def form_of(shape: Sequence[int], dtype: np.dtype, wanted: Wanted, name: str) -> Form:
    """The form of examples that have this shape and type in the source. ValueError that names what
    to say or change.

    name: of the array or column, which may tell images from series.
    """
    shape, kind = tuple(map(int, shape)), wanted.kind
    each = f'{name} has examples of shape {shape}'
    if dtype.kind not in 'buif':
        raise ValueError(f'{name} holds {dtype}, not numbers: convert it to numbers')
    if not shape:
        raise ValueError(f'{name} has one number an example: vectors have at least (examples, 2)')
    if 0 in shape:
        raise ValueError(f'{each}, which hold nothing')
    if len(shape) > 3:
        raise ValueError(f'{each}: images have (height, width, channels), so reduce or split them')
    if kind is None and len(shape) == 2:
        if not any(word in name.lower() for word in ('image', 'img')):
            raise ValueError(
                f'{each}: say --kind=images if that is (height, width), --kind=series if it is'
                ' (steps, channels)'
            )
        kind = 'images'
    given, kind = kind, kind or {1: 'vectors', 3: 'images'}[len(shape)]
    ranks = {'images': (2, 3), 'vectors': (1,), 'series': (1, 2)}[kind]
    if len(shape) not in ranks:
        raise ValueError(f'{each}, but {kind} have {KINDS[kind][1]}')
    stored = shape
    if kind != 'vectors' and len(shape) == min(ranks):
        stored = (*shape, 1)
    if given is None and len(shape) == 3 and shape[1] == shape[2] != shape[0]:
        raise ValueError(
            f'{each}, which looks like (channels, height, width): move the channels last,'
            ' np.moveaxis(x, 1, -1), or say --kind=images if they are'
        )
    if kind == 'series' and stored[0] < 4:
        raise ValueError(f'{each}: series need at least 4 steps, (steps, channels)')
    keep = kind == 'images' and dtype.type in _STORED
    return Form(kind, stored, dtype if keep else np.dtype(np.float32), shape)


def stored(array: np.ndarray, form: Form) -> np.ndarray:
    """One example as it is stored. ValueError for another shape or type, and for values that are
    not finite.
    """
    if array.shape != form.given:
        raise ValueError(f'its shape is {array.shape}, but the first example has {form.given}')
    if array.dtype.kind not in 'buif':
        raise ValueError(f'it holds {array.dtype}, not numbers')
    if form.dtype.kind == 'u' and array.dtype != form.dtype:
        raise ValueError(f'it holds {array.dtype}, but the first example {form.dtype}')
    with np.errstate(over='ignore'):
        cast = np.ascontiguousarray(array.reshape(form.shape), form.dtype)
    wrong = int(np.sum(~np.isfinite(cast)))
    if wrong:
        raise ValueError(
            f'{faults.counted(wrong, "value")} of {cast.size:,} not finite as {form.dtype}'
        )
    return cast


class Labels(NamedTuple):
    """A class number for each label, and the names of the classes in their order."""

    numbers: np.ndarray
    names: tuple[str, ...]


def labels(values: np.ndarray, name: str) -> Labels:
    """Classes of labels that are integers from 0, whole floats, truth values or text. ValueError
    for other values, in one line.
    """
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f'{name} has shape {values.shape}: one label an example is needed')
    if values.dtype.kind == 'f':
        if not np.all(np.isfinite(values)) or np.any(values != np.rint(values)):
            raise ValueError(f'{name} holds {values.dtype} that are not whole: labels are classes')
        values = values.astype(np.int64)
    if values.dtype.kind not in 'buiUS':
        raise ValueError(f'{name} holds {values.dtype}: labels are whole numbers or text')
    if values.dtype.kind == 'S':
        values = np.char.decode(values, 'utf-8', 'replace')
    if values.dtype.kind == 'i' and len(values) and values.min() < 0:
        raise ValueError(f'{name} has the label {values.min()}: classes are numbered from 0 on')
    found, numbers = np.unique(values, return_inverse=True)
    names = tuple(str(value) for value in found.tolist())
    if len(names) > _MOST_CLASSES or len(names) == len(values) > 1:
        raise ValueError(f'{name} has {len(names):,} different labels: labels are classes')
    odd = [text for text in names if text != text.strip() or len(text.splitlines()) != 1]
    if odd:
        raise ValueError(
            f'{name} has the label {odd[0]!r}, empty or with white space at its ends: rename it'
        )
    return Labels(numbers.ravel().astype(np.int32), names)


def divide(count: int, numbers: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Indices to train on and held out, a fifth of each class, in one fixed random order; and a
    note. numbers: (count,) classes or None.
    """
    check_count(count)
    random = np.random.RandomState(0)  # its stream is the same in every numpy version
    numbers = np.zeros(count, np.int32) if numbers is None else numbers
    held = np.zeros(count, bool)
    for number in np.unique(numbers):
        members = random.permutation(np.flatnonzero(numbers == number))
        held[members[: round(SHARE * len(members))]] = True
    if not held.any():
        raise ValueError(
            f'no class has the 3 examples of which one is held out: name held-out examples, such'
            f' as x_test, or leave the labels away ({count} examples)'
        )
    order = random.permutation(count)
    of = 'a fifth of each class' if np.any(numbers) else 'a fifth'
    note = (
        f'note: the source names no held-out examples: {held.sum():,} of {count:,}, {of} in one'
        ' fixed random order, are held out'
    )
    return order[~held[order]], order[held[order]], note


def check_count(count: int) -> None:
    """Raises ValueError for too few examples to train on and to measure on."""
    if count < FEWEST:
        raise ValueError(f'{faults.counted(count, "example")}: at least {FEWEST} are needed')


def check_splits(train: int, test: int) -> None:
    """Raises ValueError when a split that the source names is too small."""
    check_count(train)
    if test < 2:
        raise ValueError(f'{faults.counted(test, "held-out example")}: at least 2 are needed')


def features(form: Form | images.Pixels, names: Sequence[str], tfds: Any) -> Any:
    """The TFDS features of a set: image or array, label where there are classes, file_name."""
    found = (
        {'image': images.feature(tfds, form)}
        if isinstance(form, images.Pixels)
        else {
            'array': tfds.features.Tensor(shape=form.shape, dtype=form.dtype.type, encoding='bytes')
        }
    )
    if names:
        found['label'] = tfds.features.ClassLabel(names=list(names))
    return tfds.features.FeaturesDict({**found, 'file_name': tfds.features.Text()})


def example(value: np.ndarray | bytes, form: Form | images.Pixels) -> dict[str, Any]:
    """The part of an example that holds its contents, checked. ValueError."""
    if isinstance(form, images.Pixels):
        if not isinstance(value, bytes):
            raise ValueError('an array, but the first example is an encoded image')
        return {'image': images.checked(value, form)}
    if isinstance(value, bytes):
        raise ValueError('an encoded image, but the first example is an array')
    return {'array': stored(value, form)}


def noun(form: Form | images.Pixels) -> str:
    """What one example is called."""
    return 'image' if isinstance(form, images.Pixels) else KINDS[form.kind][0]


def described(form: Form | images.Pixels) -> str:
    """The note on what one example is stored as."""
    if isinstance(form, images.Pixels):
        words = f'encoded, {form.channels} channel{"s" * (form.channels > 1)} {form.dtype}'
    else:
        words = f'{form.dtype} {form.shape}'
    return f'each {noun(form)}: {words}'


@contextlib.contextmanager
def naming(place: Path) -> Iterator[None]:
    """Puts the source before an error of the body that does not begin with it already."""
    try:
        yield
    except (OSError, ValueError) as error:
        said = faults.line(error)
        named = said.startswith(faults.shown(place))
        raise ValueError(said if named else f'{faults.shown(place)}: {said}') from error


def first_usable(items: Iterable[Any], value: Callable[[Any], Any]) -> Any:
    """The contents of the first example that has any; the others are named when they are stored.
    Raises the ValueError of the first where none has.
    """
    first = None
    for item in items:
        try:
            return value(item)
        except (OSError, ValueError) as error:
            first = first or error
    raise ValueError(faults.line(first) if first else 'it has no examples')


def load(file: Any) -> Any:
    """The array of a .npy file, or the arrays of a .npz. ValueError for another file; nothing in it
    is executed. file: a path, whose array is mapped into memory, or an open file.
    """
    on_disk = isinstance(file, Path)
    with open(file, 'rb') if on_disk else contextlib.nullcontext(file) as contents:
        start = contents.read(6)
        contents.seek(0)
    if not start.startswith((b'\x93NUMPY', b'PK')):
        raise ValueError('it is neither a .npy nor a .npz file')
    found = np.load(file, mmap_mode='r' if on_disk else None, allow_pickle=False)
    if isinstance(found, np.memmap) and found.offset + found.nbytes != file.stat().st_size:
        raise ValueError(
            f'its {faults.counted(file.stat().st_size, "byte")} are not those of an array'
            f' {found.shape} of {found.dtype}: it is damaged'
        )
    return found


def split_of(path: str) -> str:
    """'train', or the name of HELD_OUT that a file's path has as a word of its own: test-00001.tar,
    data/validation/a.parquet.
    """
    words = re.split(r'[^a-z]+', path.lower())
    return next((word for word in words if word in (*HELD_OUT, 'train')), 'train')


def by_split(files: Sequence[Path], top: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """({'train': files, 'test': files}, notes): held out is the first of HELD_OUT that there is.
    ValueError without files to train on.
    """
    named: dict[str, list[Path]] = {}
    for file in files:
        named.setdefault(split_of(str(file.relative_to(top))), []).append(file)
    held = next((name for name in HELD_OUT if name in named), None)
    if 'train' not in named:
        raise ValueError(f'it has files of {", ".join(named)}, none to train on')
    rest = [faults.counted(len(named[name]), f'{name} file') for name in named]
    rest = [words for name, words in zip(named, rest) if name not in ('train', held)]
    found = {'train': named['train'], **({'test': named[held]} if held else {})}
    return found, [f'not read: {", ".join(rest)}'] if rest else []


def digest(files: Iterable[Path], more: object) -> str:
    """SHA-256 of files' sizes and contents (of large ones, of evenly picked blocks), and of what
    the user says of them.
    """
    found = hashlib.sha256(repr(more).encode())
    for file in files:
        with faults.reading(f'cannot read {file}'), open(file, 'rb') as contents:
            size = contents.seek(0, os.SEEK_END)
            found.update(repr((file.name, size)).encode())
            count = min(_BLOCKS, -(-size // _BLOCK))
            for i in range(count):
                contents.seek(i * size // count)
                found.update(contents.read(_BLOCK))
    return found.hexdigest()


def counted(count: int, word: str) -> str:
    """'1 image', '2 images', '2 series'."""
    return f'{count:,} {word}' if word == 'series' else faults.counted(count, word)
