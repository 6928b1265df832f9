"""The steps that the plans of arrays, tables and tars of the user's own share."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mi_ssl_jax.data import faults, images
from mi_ssl_jax.data.building import examples
from mi_ssl_jax.data.building.plan import Plan

Items = Mapping[str, list]  # split -> items, each with `label`: a class number, or None without


def existing(place: Path) -> Path:
    """The place itself. ValueError where there is nothing."""
    if not place.exists():
        raise ValueError(
            f'the source {faults.shown(place)} does not exist: give another one by --source'
        )
    return place


def files_by_split(
    place: Path, chosen: Callable[[Sequence[Path]], list[Path]]
) -> tuple[dict[str, list[Path]], list[str]]:
    """The files of each split of a file or a folder, and notes.

    chosen: all files of the folder -> those of the set; raises ValueError where there are none.
    """
    if existing(place).is_file():
        return {'train': [place]}, []
    files = sorted(path for path in place.rglob('*') if path.is_file())
    found = chosen(files)
    with examples.naming(place):
        splits, notes = examples.by_split(found, place)
    rest = [faults.shown(file.relative_to(place)) for file in files if file not in found]
    if rest:
        notes.append(f'passed over: {faults.counted(len(rest), "other file")}, such as {rest[0]}')
    return splits, notes


def divided(items: Items, *, in_order: bool = False) -> tuple[dict[str, list], list[str]]:
    """The items with a held-out part, and a note where the source names none.

    in_order: leave the items of both parts in the order of the source.
    """
    if 'test' in items:
        examples.check_splits(len(items['train']), len(items['test']))
        return dict(items), []
    whole = items['train']
    labelled = bool(whole) and whole[0].label is not None
    numbers = np.array([item.label for item in whole], np.int32) if labelled else None
    *parts, note = examples.divide(len(whole), numbers)
    chosen = (sorted(part) if in_order else part for part in parts)
    return dict(zip(('train', 'test'), ([whole[i] for i in part] for part in chosen))), [note]


def form(
    items: Sequence[Any], value: Callable[[Any], Any], wanted: examples.Wanted, name: str
) -> examples.Form | images.Pixels:
    """The form of the first example that has contents: of an encoded image, or of an array.

    value: item -> its contents. name: see `examples.form_of`.
    """
    first = examples.first_usable(items, value)
    if isinstance(first, bytes):
        return images.pixels(first)
    return examples.form_of(first.shape, first.dtype, wanted, name)


def plan(
    name: str,
    what: str,
    *,
    form: examples.Form | images.Pixels,
    names: Sequence[str],
    items: Items,
    value: Callable[[Any], Any],
    file_name: Callable[[Any], str],
    notes: Sequence[str],
    place: Path,
    files: Sequence[Path],
    wanted: examples.Wanted,
    **rest: Any,
) -> Plan:
    """The plan of a set of this form.

    what: the source, in words. value, file_name: item -> its contents, and what it is called. rest:
    the other fields of a Plan.
    """

    def example(item: Any) -> dict[str, Any]:
        made = examples.example(value(item), form)
        made |= {} if item.label is None else {'label': item.label}
        return {**made, 'file_name': file_name(item)}

    return Plan(
        name=name,
        version='1.0.0',
        citation='',
        homepage='',
        description=f'{what} of the user: {examples.described(form)}.',
        class_names=names,
        features=functools.partial(examples.features, form, names),
        items=items,
        example=example,
        notes=[examples.described(form), *map(faults.shown, notes)],
        origin={'source': os.path.abspath(place), 'digest': examples.digest(files, wanted)},
        noun=examples.noun(form),
        **rest,
    )
