"""The table's columns: what a run is, what it reached, what it cost, and in what it differs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.figures import run_files, timing
from mi_ssl_jax.figures.comparing import series
from mi_ssl_jax.figures.comparing.summary import Summary

GROUPS = {
    'run': 'Run',
    'accuracy': 'Accuracy',
    'information': 'Mutual information',
    'collapse': 'Collapse',
    'cost': 'Cost',
    'settings': 'Settings that differ',
}
# These have columns of their own.
NAMED = ('method.name', 'data.name', 'epochs', 'seeds')
NONE = '–'


class Cell(NamedTuple):
    """text: as it is read. value: by which rows are sorted; None comes last."""

    text: str
    value: float | str | None


class Column(NamedTuple):
    """A cell for each run. title: its heading. note: what it means, if that is not plain."""

    group: str
    title: str
    note: str
    cells: list[Cell]


def of(runs: Sequence[Summary]) -> list[Column]:
    """The columns, group by group; those in which no run has a value are left out."""
    every = (
        *_runs(runs),
        *_accuracy(runs),
        *_information(runs),
        *_collapse(runs),
        *_cost(runs),
        *_settings(runs),
    )
    return [column for column in every if any(cell.text != NONE for cell in column.cells)]


def shared(runs: Sequence[Summary]) -> dict[str, str]:
    """The settings that all runs have in common."""
    if not runs:
        return {}
    different = set(differing(runs))
    return {
        name: value_text(value) for name, value in runs[0].settings.items() if name not in different
    }


def differing(runs: Sequence[Summary]) -> list[str]:
    """The fields in which the runs' configurations differ, in the order of the configurations."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    values = {name: {_key(run.settings, name) for run in runs} for name in names}
    return [name for name in names if len(values[name]) > 1]


def value_text(value: Any) -> str:
    """A setting's value for people."""
    if value is None or value == '':
        return 'none'
    if isinstance(value, list):
        return f'({", ".join(map(value_text, value))})'
    return f'{value:g}' if isinstance(value, float) else str(value)


def _runs(runs: Sequence[Summary]) -> Iterator[Column]:
    words = {
        'method': lambda run: run_files.look(run.run).label,
        'data': lambda run: run.run.config['data']['name'],
    }
    for title, word in words.items():
        yield Column('run', title, '', [Cell(word(run), word(run).lower()) for run in runs])
    done = [Cell(f'{run.epoch:g} of {run.run.config["epochs"]}', run.epoch) for run in runs]
    yield Column('run', 'epochs', 'Epochs done of those configured', done)
    seeds = [run.run.config['seeds'] for run in runs]
    yield Column('run', 'seeds', '', [Cell(str(count), count) for count in seeds])


def _accuracy(runs: Sequence[Summary]) -> Iterator[Column]:
    keys = dict.fromkeys(key for run in runs for key in run.accuracy)
    first = [key for key in keys if key == ('linear', 'all')]
    note = 'Top-1 on the held-out split, frozen backbone features; mean ± SD over seeds'
    for probe, labels in [*first, *(key for key in keys if key not in first)]:
        cells = [_several(run.accuracy.get((probe, labels), {}), 1) for run in runs]
        yield Column('accuracy', f'{probe}, {labels} (%)', note, cells)


def _information(runs: Sequence[Summary]) -> Iterator[Column]:
    notes = {
        'jsd': 'Last evaluation; −1.386 for independent views, not in nats of information',
    }
    for name, label in run_files.ESTIMATORS.items():
        note = notes.get(name, 'Last evaluation, nats; a lower bound, mean ± SD over seeds')
        yield Column(
            'information', label, note, [_one(series.last(run.run, 'mi', name), 3) for run in runs]
        )


def _collapse(runs: Sequence[Summary]) -> Iterator[Column]:
    seen = [Cell(run.verdict or NONE, run.verdict) for run in runs]
    yield Column('collapse', 'collapsed?', 'What the last evaluation shows', seen)
    figures: dict[str, tuple[str, Callable[[Summary], dict[str, np.ndarray]], int]] = {
        'spread (% of even)': (
            'Standard deviation of a feature as a share of an even spread over the sphere',
            _spread,
            0,
        ),
        'effective rank': (
            'RankMe: how many directions are in use',
            lambda run: _by_branch(run, 'effective_rank'),
            1,
        ),
        'NN gap (°)': (
            'Mean angle from a class to its nearest other class',
            lambda run: _by_branch(run, 'nn_gap', 'mean'),
            1,
        ),
    }
    for title, (note, values, digits) in figures.items():
        yield Column('collapse', title, note, [_several(values(run), digits) for run in runs])


def _by_branch(run: Summary, *path: str) -> dict[str, np.ndarray]:
    branches = run_files.keys(run.run, 'collapse')
    letters = run_files.LETTERS if 'xi' in branches else {}
    found = {}
    for branch in branches:
        value = series.last(run.run, 'collapse', branch, *path)
        if value is not None:
            found[letters.get(branch, branch) if len(branches) > 1 else ''] = value
    return found


def _spread(run: Summary) -> dict[str, np.ndarray]:
    width = run_files.width(run.run)
    scale = 100 * np.sqrt(width) if width else np.nan
    return {name: scale * value for name, value in _by_branch(run, 'std').items() if width}


def _cost(runs: Sequence[Summary]) -> Iterator[Column]:
    times = [run.timing for run in runs]
    wall = [NOTHING if own is None else _seconds(own) for own in times]
    yield Column('cost', 'wall time', 'Of the training loop, all seeds together (h:mm:ss)', wall)
    each = [
        NOTHING if run.timing is None or not run.epoch else _pace(run.timing.seconds / run.epoch)
        for run in runs
    ]
    yield Column('cost', 's per epoch', 'Wall time by epochs, evaluations included', each)
    goodput = [
        NOTHING
        if own is None or np.isnan(own.goodput)
        else Cell(f'{100 * own.goodput:.0f} %', own.goodput)
        for own in times
    ]
    yield Column('cost', 'goodput', 'Share of the wall time spent in training steps', goodput)
    devices = [Cell(run.device or NONE, run.device.lower() or None) for run in runs]
    yield Column('cost', 'device', '', devices)


def _settings(runs: Sequence[Summary]) -> Iterator[Column]:
    for name in differing(runs):
        if name in NAMED:
            continue
        values = [run.settings.get(name, NOTHING) for run in runs]
        yield Column('settings', name, '', [_setting(value) for value in values])


NOTHING = Cell(NONE, None)


def _seconds(own: timing.Timing) -> Cell:
    return Cell(timing.clock(own.seconds), own.seconds)


def _pace(seconds: float) -> Cell:
    return Cell(f'{seconds:.3g}', seconds)


def _setting(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(value_text(value), value if numeric else value_text(value).lower())


def _one(values: np.ndarray | None, digits: int) -> Cell:
    if values is None:
        return NOTHING
    return Cell(series.shown(values, digits), float(np.mean(values)))


def _several(values: Mapping[str, np.ndarray], digits: int) -> Cell:
    """The figures of a run's encoders; rows are sorted by their mean."""
    if not values:
        return NOTHING
    words = [f'{letter} {series.shown(own, digits)}'.strip() for letter, own in values.items()]
    mean = _mean(float(np.mean(own)) for own in values.values())
    return Cell(', '.join(words), None if np.isnan(mean) else mean)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _key(settings: Mapping[str, Any], name: str) -> str:
    return json.dumps(settings[name], sort_keys=True) if name in settings else 'absent'
