"""Prepared examples decoded once into memory, with a copy of the decoded arrays kept beside the
records.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

from mi_ssl_jax.data import faults, threads
from mi_ssl_jax.data import on_disk as prepared_lib
from mi_ssl_jax.data.on_disk import Prepared
from mi_ssl_jax.data.splits import Resident, Split

_CHUNK = 512  # images a thread decodes at a time
_SUMS = 'crc32.json'  # of the arrays of a decoded copy


def load(prepared: Prepared, *, short_side: int | None) -> Resident:
    """Load all examples of a prepared data set as arrays (n, ...) of its type: images (n, H, W, C),
    vectors (n, d), series (n, steps, C).

    short_side: images become their central square, resized to this many pixels; None leaves them as
    they are. Raises ValueError if the sizes differ and no short side is given, if one is given for
    what are no images, and if the arrays do not fit the memory.
    """
    if short_side is not None and not prepared.is_images:
        raise ValueError(
            f'data.short_side={short_side} is for images, and {prepared.name} holds'
            f' {"vectors" if len(prepared.shape) == 1 else "series"}: leave it at 0'
        )
    shape = prepared.shape
    if short_side is not None:
        shape = (short_side, short_side, prepared.shape[-1])
    elif None in shape:
        ((first, _),) = prepared_lib.encoded(prepared, 'train', [0])
        shape = prepared_lib.example(prepared, 'train', 0, first, side=None, offset=0.5).shape
    _check_memory(prepared, shape, announce=short_side is not None)
    copy = prepared.folder.parent / f'decoded.{short_side or "full"}.{_fingerprint(prepared)}'
    splits = _read_copy(copy, prepared, shape) or _decode_and_copy(
        prepared, shape, short_side, copy
    )
    return Resident(prepared.name, *splits, shape, prepared.class_names, None)


def _check_memory(prepared: Prepared, shape: tuple[int, ...], *, announce: bool) -> None:
    needed = sum(prepared.sizes.values()) * int(np.prod(shape)) * prepared.dtype.itemsize
    free = available_memory()
    at = f' at {shape[0]}x{shape[1]} pixels' if prepared.is_images else ''
    line = f'{prepared.name}{at} takes {needed / 1e6:,.0f} MB of memory'
    if needed > free:
        raise ValueError(
            f'{line}, and {free / 1e6:,.0f} MB are free: take a smaller side, or stream it'
        )
    if announce:
        print(line, file=sys.stderr, flush=True)


def available_memory() -> int:
    """Bytes that this process can still take: the machine's, or what its control group leaves."""
    free = os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    try:
        with open(
            '/proc/meminfo'
        ) as lines:  # Linux: counts the file cache, which gives way, as free
            free = next(
                int(line.split()[1]) << 10 for line in lines if line.startswith('MemAvailable')
            )
        group = Path('/sys/fs/cgroup')
        limit = (group / 'memory.max').read_text().strip()
        if limit != 'max':
            free = min(free, int(limit) - int((group / 'memory.current').read_text()))
    except (OSError, StopIteration, ValueError):
        pass  # another system, or no control group: the first figure holds
    return free


def _fingerprint(prepared: Prepared) -> str:
    """Changes whenever the record files do."""
    files = sorted(prepared.folder.glob('*array_record*'))
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((prepared.splits, stamps)).encode()).hexdigest()[:16]


def _read_copy(
    folder: Path, prepared: Prepared, shape: tuple[int, ...]
) -> tuple[Split, Split] | None:
    """The decoded copy; None if there is none, or a damaged one, which is removed."""
    if not folder.is_dir():
        return None
    try:
        splits = tuple(
            Split(*(np.load(folder / f'{split}.{array}.npy') for array in Split._fields))
            for split in ('train', 'test')
        )
        sums = json.loads((folder / _SUMS).read_text())
        expected = [
            ((prepared.sizes[split], *tail), kind)
            for split in ('train', 'test')
            for tail, kind in ((shape, prepared.dtype), ((), np.int32))
        ]
        held = [(array.shape, array.dtype) for split in splits for array in split]
        if held == expected and sums == _sums(splits):
            return splits
        reason = 'it is not as it was written'
    except Exception as error:  # np.load raises whatever a damaged header makes it stumble upon
        reason = faults.line(error)
    print(f'{folder} is damaged ({reason}): decoding anew', file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _sums(splits: tuple[Split, Split]) -> list[int]:
    arrays = [array for split in splits for array in split]
    summed = threads.in_order(lambda array: zlib.crc32(array.data), arrays, ahead=len(arrays))
    return [value for _, value in summed]


def _decode_and_copy(
    prepared: Prepared, shape, short_side: int | None, copy: Path
) -> tuple[Split, Split]:
    splits = tuple(_decode(prepared, split, shape, short_side) for split in ('train', 'test'))
    size = sum(array.nbytes for split in splits for array in split)
    if os.access(copy.parent, os.W_OK) and shutil.disk_usage(copy.parent).free > 2 * size:
        for old in copy.parent.glob(f'{copy.stem}.*'):  # of the same size, from other record files
            shutil.rmtree(old, ignore_errors=True)
        _write_copy(splits, copy)
    return splits


def _write_copy(splits: tuple[Split, Split], copy: Path) -> None:
    """Saves beside and renames, so that a copy is whole or absent, whoever else writes it."""
    scratch = Path(tempfile.mkdtemp(prefix='incomplete.', dir=copy.parent))
    try:
        for name, split in zip(('train', 'test'), splits):
            for field, array in zip(split._fields, split):
                np.save(scratch / f'{name}.{field}.npy', array)
        (scratch / _SUMS).write_text(json.dumps(_sums(splits)))
        os.chmod(scratch, 0o755)
        os.rename(scratch, copy)
    except (
        OSError
    ):  # another process was first, or the disk is full: the arrays themselves are here
        shutil.rmtree(scratch, ignore_errors=True)


def _decode(prepared: Prepared, split: str, shape, short_side: int | None) -> Split:
    n = prepared.sizes[split]
    result = Split(np.empty((n, *shape), prepared.dtype), np.empty(n, np.int32))

    def chunk(start: int) -> None:
        indices = range(start, min(start + _CHUNK, n))
        for i, (data, label) in zip(indices, prepared_lib.encoded(prepared, split, indices)):
            example = prepared_lib.example(prepared, split, i, data, side=short_side, offset=0.5)
            if example.shape != shape and short_side is None and None in prepared.shape:
                raise ValueError(
                    f'the images of {prepared.name} have different sizes: choose a short side, such'
                    ' as data.short_side=160 (pixels), or stream them'
                )
            if example.shape != shape:
                raise ValueError(
                    f'{prepared.folder}: record {i} of {split} is {example.shape}, not {shape}'
                )
            result.x[i], result.y[i] = example, label

    for _ in threads.in_order(chunk, range(0, n, _CHUNK), ahead=2 * threads.COUNT):
        pass
    return result
