"""Rows of results, as text and as plain records."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.bench.timing import Times


class Row(NamedTuple):
    """One result: median over the rounds with the least and the greatest, or one value.

    wall, cpu: seconds a step, one entry a round, () for what is not timed. phase: '' where it makes
    no
    difference. config: '' where it is about two.
    """

    what: str
    phase: str
    value: float
    unit: str
    least: float | None = None
    greatest: float | None = None
    wall: tuple[float, ...] = ()
    cpu: tuple[float, ...] = ()
    config: str = ''


def rate(what: str, phase: str, times: Times, views: int) -> Row:
    """Views a second of wall time. views: a step."""
    wall = np.asarray(times.wall)
    median, least, greatest = (views / found for found in (np.median(wall), wall.max(), wall.min()))
    return Row(what, phase, median, 'views/s', least, greatest, *times)


def seconds(what: str, phase: str, times: Times) -> Row:
    """Something that was timed once."""
    return Row(what, phase, times.wall[0], 's', None, None, *times)


def ratios(what: str, slow: Times, fast: Times, unit: str) -> list[Row]:
    """slow / fast, round by round, of wall and of CPU time, which what else the machine does moves
    less.
    """
    rows = []
    for clock in Times._fields:
        found = np.divide(getattr(slow, clock), getattr(fast, clock))
        name = f'{what}, {"wall" if clock == "wall" else "CPU"} time'
        rows.append(Row(name, '', float(np.median(found)), unit, found.min(), found.max()))
    return rows


def text(rows: Sequence[Row]) -> str:
    """One block of aligned columns for each configuration; milliseconds a step are medians."""
    width = max(len(row.what) for row in rows) + 2
    titles = ''.join(f'{title:>11}' for title in ('median', 'min', 'max'))
    lines = [f'{"":{width}}{"phase":7}{titles}  {"unit":14}{"wall ms":>10}{"CPU ms":>10}']
    for config, block in itertools.groupby(rows, key=lambda row: row.config):
        lines += [config] if config else []
        for row in block:
            numbers = ''.join(
                f'{_short(value):>11}' for value in (row.value, row.least, row.greatest)
            )
            medians = [1e3 * np.median(own) if own else None for own in (row.wall, row.cpu)]
            times = ''.join(f'{_short(value):>10}' for value in medians)
            lines.append(f'{row.what:{width}}{row.phase:7}{numbers}  {row.unit:14}{times}'.rstrip())
    return '\n'.join(lines)


def _short(value: float | None) -> str:
    if value is None:
        return ''
    return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.4g}'
