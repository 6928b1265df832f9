"""Columns of numbers from a CSV file."""

import csv
import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def columns(path: Path, names: Sequence[str] | None) -> np.ndarray:
    """Read columns (N, D) of a CSV file (RFC 4180, UTF-8).

    The first line is a header where one of its cells is no number.

    Args:
        path: the file.
        names: columns by their names in the header, in this order; None for all.

    Returns:
        (N, D) float64.

    Raises:
        ValueError: in one line, naming the line, for a file that cannot be read, an unknown column
            or a cell that is no number.
    """
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except OSError as error:
        raise ValueError(f'cannot read {path}: {error.strerror or error}') from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path} is no CSV file in UTF-8: {error}') from error
    header = _header(rows)
    body = rows[1:] if header else rows
    if not body:
        raise ValueError(f'{path} has no rows of numbers')
    width = len(rows[0][1])
    places = range(width) if names is None else [_place(path, name, header) for name in names]
    found = np.empty((len(body), len(places)))
    for place, (number, row) in enumerate(body):
        if len(row) != width:
            raise ValueError(f'line {number} of {path} has {len(row)} cells, the first {width}')
        for column, cell in enumerate(places):
            found[place, column] = _number(path, number, row[cell])
    return found


def _header(rows: Sequence[tuple[int, Sequence[str]]]) -> list[str] | None:
    """The names of the columns, None where the first line holds numbers alone."""
    first = [cell.strip() for cell in rows[0][1]] if rows else []
    return None if all(map(_numeric, first)) else first


def _place(path: Path, name: str, header: Sequence[str] | None) -> int:
    if header is None:
        raise ValueError(f"{path} has no line of names, so no column '{name}': leave the names out")
    if header.count(name) > 1:
        raise ValueError(f"{path} has {header.count(name)} columns called '{name}'")
    if name not in header:
        near = difflib.get_close_matches(name, header, 1)
        hint = f"; did you mean '{near[0]}'?" if near else f'; it has {", ".join(header)}'
        raise ValueError(f"{path} has no column '{name}'{hint}")
    return header.index(name)


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(path: Path, line: int, cell: str) -> float:
    if not _numeric(cell):
        raise ValueError(f'line {line} of {path} holds {cell!r}, which is no number')
    return float(cell)
