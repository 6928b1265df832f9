"""Rows of results, as text and as plain records."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.benchmarks.timing import Times


class Row(NamedTuple):
    """One result: median over the rounds with the least and the greatest, or one value. wall, cpu: seconds a step, one
    entry a round, () for what is not timed. phase: '' where it makes no difference. config: '' where it is about two.
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
    return Row(what, phase, views / np.median(wall), 'views/s', views / wall.max(), views / wall.min(), *times)


def seconds(what: str, phase: str, times: Times) -> Row:
    """Something that was timed once."""
    return Row(what, phase, times.wall[0], 's', None, None, *times)


def ratios(what: str, slow: Times, fast: Times, unit: str) -> list[Row]:
    """slow / fast, round by round, of wall and of CPU time: what else the machine does moves the latter less."""
    rows = []
    for clock in Times._fields:
        found = np.divide(getattr(slow, clock), getattr(fast, clock))
        name = f'{what}, {"wall" if clock == "wall" else "CPU"} time'
        rows.append(Row(name, '', float(np.median(found)), unit, found.min(), found.max()))
    return rows


def text(rows: Sequence[Row]) -> str:
    """One block of aligned columns for each configuration; milliseconds a step are medians."""
    width = max(len(row.what) for row in rows) + 2
    lines = [f'{"":{width}}{"phase":7}{"median":>11}{"min":>11}{"max":>11}  {"unit":14}{"wall ms":>10}{"CPU ms":>10}']
    for config, block in itertools.groupby(rows, key=lambda row: row.config):
        lines += [config] if config else []
        for row in block:
            numbers = ''.join(f'{_short(value):>11}' for value in (row.value, row.least, row.greatest))
            times = ''.join(f'{_short(1e3 * float(np.median(own))) if own else "":>10}' for own in (row.wall, row.cpu))
            lines.append(f'{row.what:{width}}{row.phase:7}{numbers}  {row.unit:14}{times}'.rstrip())
    return '\n'.join(lines)


def _short(value: float | None) -> str:
    if value is None:
        return ''
    return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.4g}'
