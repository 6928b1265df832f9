"""From source files to a prepared TFDS data set: checked in parallel, written as a whole or not at
all.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from mi_ssl_jax.data import faults, records, threads

_SHARD = 256 << 20  # bytes of source files in one record file
_MARGIN = 1.1  # records over source bytes: some images are stored again as PNG


class Plan(NamedTuple):
    """A data set that can be made from source files.

    items: split -> what becomes one example each, in the order of the records.
    example: item -> the TFDS example; any thread may call it. Raises ValueError saying what is
    wrong.
    where: item -> its file, for people.
    size: bytes of all source files.
    bad: what was found wrong with the source before any file was read ('FILE: reason').
    notes: what of the source is passed over, a line each.
    origin: 'source' (its path) and 'digest', by which the source of a prepared set is known again.
    noun, item: one example and one item of the source, in words.
    """

    name: str
    version: str
    description: str
    homepage: str
    citation: str
    class_names: Sequence[str]
    features: Callable[[Any], Any]
    items: Mapping[str, Sequence[Any]]
    example: Callable[[Any], dict[str, Any]]
    where: Callable[[Any], str]
    size: int
    bad: Sequence[str]
    notes: Sequence[str]
    origin: Mapping[str, str]
    noun: str = 'image'
    item: str = 'file'


class BadFiles(ValueError):
    """Some source files, or examples in one, cannot be used; `files` names each one with the
    reason.
    """

    def __init__(self, files: Sequence[str], item: str = 'file'):
        super().__init__(
            f'{faults.counted(len(files), f"bad {item}")}, so nothing was written: repair or'
            ' remove them, or go on without by --skip_bad'
        )
        self.files = files
        self.item = item


class Summary(NamedTuple):
    """The result of a preparation. counts: split -> examples of each class, of all without labels.
    bad: the files left out, with reasons.
    """

    folder: Path
    counts: Mapping[str, Sequence[int]]
    bad: Sequence[str]
    seconds: float


def write(plan: Plan, data_dir: str | None, *, skip_bad: bool) -> Summary:
    """Prepares `plan` in the data folder. Raises BadFiles unless skip_bad; then nothing is kept."""
    started = time.monotonic()
    target = records.root(data_dir) / plan.name / plan.version
    if target.exists():
        raise ValueError(
            f'{target} is there, but cannot be used: remove it, or give another --data_dir'
        )
    check_space(records.root(data_dir), int(plan.size * _MARGIN))
    bad = list(plan.bad)
    counts = {split: [0] * max(1, len(plan.class_names)) for split in plan.items}
    written = False

    def finish():
        nonlocal written
        if bad and not skip_bad:
            raise BadFiles(bad, plan.item)
        empty = [split for split, count in counts.items() if not sum(count)]
        if empty:
            raise ValueError(f'{plan.name}: not one usable {plan.noun} in {", ".join(empty)}')
        written = True

    total = sum(map(len, plan.items.values()))
    with tqdm(desc=plan.name, total=total, unit=plan.noun, disable=None) as bar:
        shards = {
            split: _shards(plan, items, counts[split], bad, bar)
            for split, items in plan.items.items()
        }
        spec = records.Spec(
            plan.name,
            plan.version,
            plan.description,
            plan.homepage,
            plan.citation,
            plan.features,
            shards,
            finish,
            plan.origin,
        )
        folder = records.write(spec, data_dir)
    if not written:
        raise ValueError(f'{folder} was prepared meanwhile by another process')
    return Summary(folder, counts, bad, time.monotonic() - started)


def check_space(folder: Path, needed: int) -> None:
    """Raises ValueError when the disk of `folder` has less than `needed` bytes left."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ValueError(
            f'{folder} has {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are needed: make '
            'room, or give another --data_dir'
        )


def _shards(
    plan: Plan, items: Sequence[Any], count: list[int], bad: list[str], bar: tqdm
) -> list[records.Shard]:
    total = sum(map(len, plan.items.values()))
    per_shard = max(1, total * _SHARD // max(plan.size, 1))

    def shard(chosen: Sequence[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        attempts = threads.in_order(
            lambda item: _attempt(plan, item), chosen, ahead=8 * threads.COUNT
        )
        for i, (item, example) in enumerate(attempts):
            bar.update()
            if isinstance(example, str):
                bad.append(f'{plan.where(item)}: {example}')
            else:
                count[example.get('label', 0)] += 1
                yield i, example

    return [lambda k=k: shard(items[k : k + per_shard]) for k in range(0, len(items), per_shard)]


def _attempt(plan: Plan, item: Any) -> dict[str, Any] | str:
    """The example of one item, or what is wrong with it."""
    try:
        return plan.example(item)
    except (OSError, ValueError) as error:
        return faults.line(error)
