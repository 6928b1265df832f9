"""Parquet files and Hugging Face folders (of parquet, or saved to disk as Arrow files): a column of
encoded images or of arrays, or one number a column for vectors. Read by pyarrow.
"""

import functools
import importlib
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.data import faults
from mi_ssl_jax.data.building import examples, own
from mi_ssl_jax.data.building.arrays import X, Y
from mi_ssl_jax.data.building.plan import Plan

_X = (*X, 'img', 'pixels', 'signal')
_Y = (*Y, 'fine_label', 'class', 'category')
_HELD_GROUPS = 4  # row groups that are kept in memory: examples are read in order


class _Item(NamedTuple):
    file: int
    group: int
    row: int
    label: int | None


class _Columns(NamedTuple):
    """Columns of the examples and of the labels. single: one column of images or arrays; else one
    number a column.
    """

    x: tuple[str, ...]
    y: str | None
    single: bool
    names: tuple[str, ...]  # of the classes, where Hugging Face's description has them


class _File(NamedTuple):
    """A parquet or Arrow file. group: (number, columns) -> table."""

    path: Path
    schema: Any
    rows: Sequence[int]  # of each row group
    group: Callable[[int, Sequence[str]], Any]


def plan(source: str | None, wanted: examples.Wanted) -> Plan:
    """How to make a set from parquet files. ValueError, in one line, for what cannot be one."""
    if source is None:
        raise ValueError(
            'parquet sets are made from files that you have: give the file or folder by --source'
        )
    place = Path(source).expanduser()
    arrow = pyarrow()
    paths, notes = _paths(place)
    files = {
        split: [_open(arrow, path) for path in split_paths] for split, split_paths in paths.items()
    }
    with examples.naming(place):
        return _plan(arrow, place, files, notes, wanted)


def pyarrow() -> Any:
    """The pyarrow package. ValueError that names the extra where it is absent."""
    try:
        found = importlib.import_module('pyarrow')
        for module in ('pyarrow.parquet', 'pyarrow.ipc', 'pyarrow.types'):
            importlib.import_module(module)
    except ImportError:
        raise ValueError(
            "parquet needs the package pyarrow: pip install 'mi_ssl_jax[parquet]'"
        ) from None
    return found


def _paths(place: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """The files of each split, and notes."""

    def chosen(files: Sequence[Path]) -> list[Path]:
        found = [[file for file in files if file.suffix == end] for end in ('.parquet', '.arrow')]
        if not any(found):
            raise ValueError(f'{faults.shown(place)} holds neither .parquet nor .arrow files')
        return found[0] or found[1]

    return own.files_by_split(place, chosen)


def _open(arrow: Any, path: Path) -> _File:
    with faults.reading(f'cannot read {path}'):
        if path.suffix != '.arrow':
            file = arrow.parquet.ParquetFile(path, page_checksum_verification=True)
            rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            return _File(
                path, file.schema_arrow, rows, lambda i, names: file.read_row_group(i, list(names))
            )
        table = arrow.ipc.open_stream(arrow.memory_map(str(path))).read_all()
        return _File(path, table.schema, [len(table)], lambda i, names: table.select(list(names)))


def _plan(
    arrow: Any,
    place: Path,
    files: Mapping[str, list[_File]],
    notes: list[str],
    wanted: examples.Wanted,
) -> Plan:
    every = [file for split_files in files.values() for file in split_files]
    columns = _columns(arrow, every, wanted)
    items, bad, names = _items(files, every, columns)
    groups = _Groups(arrow, every, columns)
    # in the order of the file, so that each row group is read once
    items, more = own.divided(items, in_order=True)
    name = columns.x[0] if columns.single else f'{len(columns.x)} columns'
    form = own.form(items['train'], groups.value, wanted, name)
    rest = [column for column in every[0].schema.names if column not in (*columns.x, columns.y)]
    listed = ', '.join(columns.x[:6]) + (', ...' if len(columns.x) > 6 else '')
    labels = f'labels: {columns.y}' if columns.y else 'no labels'
    said = [f'examples: {faults.counted(len(columns.x), "column")} ({listed}); {labels}']
    said += [f'not read: the columns {", ".join(rest[:12])}'] if rest else []
    return own.plan(
        'parquet',
        'Parquet files',
        form=form,
        names=names,
        items=items,
        value=groups.value,
        file_name=groups.name,
        notes=[*said, *notes, *more],
        place=place,
        files=[file.path for file in every],
        wanted=wanted,
        where=lambda item: faults.shown(f'{every[item.file].path}: {groups.name(item)}'),
        size=sum(file.path.stat().st_size for file in every),
        bad=list(map(faults.shown, bad)),
        item='example',
    )


def _columns(arrow: Any, files: Sequence[_File], wanted: examples.Wanted) -> _Columns:
    schema = files[0].schema
    for file in files[1:]:
        if file.schema.names != schema.names:
            raise ValueError(
                f'{files[0].path.name} and {file.path.name} have other columns: give the folder of'
                ' one set'
            )
    types = {field.name: _plain(arrow, field.type) for field in schema}
    y = wanted.y or next((name for name in _Y if name in types), None)
    x = tuple(wanted.x.split(',')) if wanted.x else ()
    lacking = [name for name in (*x, *([y] if y else [])) if name not in types]
    if lacking:
        raise ValueError(f'it has no column {lacking[0]}; it has {", ".join(types)}')
    single = [name for name in types if name != y and _holds_examples(arrow, types[name])]
    numbers = [name for name in types if name != y and _is_number(arrow, types[name])]
    if not x:
        x = tuple(_chosen(single) if single else numbers)
    if not x or len(x) == 1 and x[0] not in single:
        raise ValueError(
            f'no column holds images, arrays or several numbers; it has {", ".join(types)}: name'
            ' one by --x=COLUMN, or some by --x=A,B,C'
        )
    odd = [name for name in x if len(x) > 1 and name not in numbers]
    if odd:
        raise ValueError(f'the column {odd[0]} holds {types[odd[0]]}, not one number an example')
    return _Columns(x, y, len(x) == 1, _class_names(schema, y))


def _chosen(single: list[str]) -> list[str]:
    """The one column of examples, by name where there are several."""
    named = [name for name in _X if name in single]
    if len(single) > 1 and not named:
        raise ValueError(
            f'several columns hold images or arrays, {", ".join(single)}: name one by --x'
        )
    return named[:1] or single


def _plain(arrow: Any, kind: Any) -> Any:
    """The type under a dictionary or an extension."""
    if arrow.types.is_dictionary(kind):
        return kind.value_type
    return kind.storage_type if isinstance(kind, arrow.BaseExtensionType) else kind


def _is_list(arrow: Any, kind: Any) -> bool:
    is_ = arrow.types
    return is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind)


def _is_number(arrow: Any, kind: Any) -> bool:
    is_ = arrow.types
    return is_.is_integer(kind) or is_.is_floating(kind) or is_.is_boolean(kind)


def _holds_examples(arrow: Any, kind: Any) -> bool:
    if _is_list(arrow, kind):
        return _is_list(arrow, kind.value_type) or _is_number(arrow, kind.value_type)
    return _is_bytes(arrow, kind) or _is_image(arrow, kind)


def _is_bytes(arrow: Any, kind: Any) -> bool:
    return arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind)


def _is_image(arrow: Any, kind: Any) -> bool:
    """Whether a column is Hugging Face's Image: a struct of bytes and a path."""
    return arrow.types.is_struct(kind) and kind.get_field_index('bytes') >= 0


def _class_names(schema: Any, y: str | None) -> tuple[str, ...]:
    """The names of the classes in Hugging Face's description; () where there are none."""
    try:
        described = json.loads((schema.metadata or {})[b'huggingface'])['info']['features'][y]
        return tuple(map(str, described['names']))
    except (KeyError, TypeError, ValueError):
        return ()


def _items(
    files: Mapping[str, list[_File]], every: Sequence[_File], columns: _Columns
) -> tuple[dict[str, list[_Item]], list[str], tuple[str, ...]]:
    """The examples of each split, what is bad, and the names of the classes."""
    number = {id(file): i for i, file in enumerate(every)}
    found, values, bad = {}, [], []
    for split, split_files in files.items():
        found[split] = []
        for file in split_files:
            for group, rows in enumerate(file.rows):
                read = [None] * rows
                if columns.y is not None:
                    with faults.reading(f'{file.path}, row group {group}'):
                        read = file.group(group, [columns.y]).column(0).to_pylist()
                for row, value in enumerate(read):
                    if columns.y is not None and value is None:
                        bad.append(f'{file.path}: row {sum(file.rows[:group]) + row}: no label')
                        continue
                    found[split].append(_Item(number[id(file)], group, row, None))
                    values.append(value)
    if columns.y is None:
        return found, bad, ()
    labels = examples.labels(np.asarray(values), f'the column {columns.y}') if values else None
    names, numbers = _numbered(labels, values, columns)
    numbered = iter(numbers)
    for split in found:
        found[split] = [item._replace(label=next(numbered)) for item in found[split]]
    return found, bad, names


def _numbered(
    labels: examples.Labels | None, values: Sequence[Any], columns: _Columns
) -> tuple[tuple[str, ...], list[int]]:
    """Names of the classes, in the order of a description if there is one, and each one's class."""
    if labels is None:
        raise ValueError(f'the column {columns.y} has no labels at all')
    if not columns.names or isinstance(values[0], str):
        return labels.names, labels.numbers.tolist()
    most = max(values)
    if most >= len(columns.names):
        raise ValueError(
            f'the column {columns.y} has the label {most}, but its description names'
            f' {len(columns.names)} classes'
        )
    return columns.names, [int(value) for value in values]


class _Groups:
    """The examples' columns, row group by row group; the last ones read are kept."""

    def __init__(self, arrow: Any, files: Sequence[_File], columns: _Columns):
        self._arrow, self._files, self._columns = arrow, files, columns
        self._lock = threading.Lock()
        self._read = functools.lru_cache(_HELD_GROUPS)(self._load)

    def name(self, item: _Item) -> str:
        """The row of an example in its file."""
        return f'row {sum(self._files[item.file].rows[: item.group]) + item.row}'

    def value(self, item: _Item) -> bytes | np.ndarray:
        """Encoded image or array of one example. ValueError, in one line, where there is none."""
        with self._lock:
            held = self._read(item.file, item.group)
        if not self._columns.single:
            return held[item.row]
        scalar = held[item.row]
        if not scalar.is_valid:
            raise ValueError('it is empty (null)')
        if _is_image(self._arrow, scalar.type):
            contents = scalar['bytes'].as_py()
            if contents is None:
                raise ValueError('it names a file, not the contents of one: embed the images')
            return contents
        return scalar.as_py() if _is_bytes(self._arrow, scalar.type) else self._array(scalar)

    def _load(self, file: int, group: int) -> Any:
        opened = self._files[file]
        with faults.reading(f'row group {group} cannot be read'):
            table = opened.group(group, self._columns.x)
            if self._columns.single:
                column = table.column(0)
                if isinstance(column.type, self._arrow.BaseExtensionType):
                    column = self._arrow.chunked_array(
                        [chunk.storage for chunk in column.chunks], column.type.storage_type
                    )
                return column
            numbers = [column.cast('float64').to_numpy() for column in table.columns]
            return np.stack(numbers, axis=1)

    def _array(self, scalar: Any) -> np.ndarray:
        """The array of one list of lists; its depth is that of the type."""
        values = scalar.values
        shape = [len(values)]
        while _is_list(self._arrow, values.type):
            lengths = {len(row.values) if row.is_valid else -1 for row in values}
            if len(lengths) != 1 or -1 in lengths:
                raise ValueError('its rows have different lengths')
            values = values.flatten()
            shape += lengths
        if values.null_count:
            raise ValueError(f'{faults.counted(values.null_count, "value")} of it are empty (null)')
        if math.prod(shape) != len(values):
            raise ValueError('its rows have different lengths')
        return values.to_numpy(zero_copy_only=False).reshape(shape)
