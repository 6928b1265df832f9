"""Curves of runs as the page's script draws them: thinned, rounded, on common axes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.figures import one_run, run_files, statistics
from mi_ssl_jax.figures.comparing.summary import Summary
from mi_ssl_jax.figures.statistics import evenly

NUMBERS = 220_000  # of all curves together, about 7 bytes each
LEAST, MOST = 12, 300  # points of a curve
NO_CURVES = ('epoch', 'step', 'centres', 'mi_interval')
# Panels that are drawn at once, in this order; the others follow when they are asked for.
MAIN = {
    'mi/cos_dv': ('MI, cos-DV', 'nats'),
    'mi/infonce': ('MI, InfoNCE', 'nats'),
    'mi/jsd': ('MI, JSD', '−1.39 = independent'),
    'loss': ('Loss', ''),
    'collapse/std': ('Spread: std of a feature', ''),
    'collapse/effective_rank': ('Effective rank', ''),
    'collapse/nn_gap/mean': ('NN gap of the classes', 'degrees'),
    'online_top1': ('Online probe, top-1', '%'),
}


class Curve(NamedTuple):
    """One curve of a panel. member: the phase or encoder, '' where there is one. epochs (T,),
    values (T, seeds).
    """

    panel: str
    member: str
    epochs: np.ndarray
    values: np.ndarray


def of(run: run_files.Run) -> list[Curve]:
    """All curves of a run, without the points that are not finite."""
    found: dict[tuple[str, str], tuple[list, list]] = {}
    for line in run.lines:
        if not np.isfinite(line['epoch']):
            continue
        for panel, member, value in _entries(line):
            epochs, values = found.setdefault((panel, member), ([], []))
            epochs.append(line['epoch'])
            values.append(np.atleast_1d(np.asarray(value, float)))
    curves = []
    for (panel, member), (epochs, values) in found.items():
        stacked = np.stack(values)
        finite = np.isfinite(stacked).all(axis=1) if stacked.ndim == 2 else np.zeros(0, bool)
        if finite.any():
            own = Curve(panel, member, np.array(epochs, float)[finite], stacked[finite])
            curves.append(own)
    return curves


def payload(summaries: Sequence[Summary]) -> dict[str, Any]:
    """The value that the script reads: {panels: [{key, title, unit, main}], runs: [{name, steps,
    clock, epochs, curves}]}.

    steps: of an epoch. clock: [epochs, seconds], for the axis of wall time. epochs: lists that
    curves share. curves: {panel: [[member, number of its list of epochs, means, SDs or 0]]}.
    """
    curves = [of(summary.run) for summary in summaries]
    count = sum(map(len, curves))
    most = int(np.clip(NUMBERS / (2 * max(count, 1)), LEAST, MOST))
    keys = list(dict.fromkeys(curve.panel for own in curves for curve in own))
    order = [*(key for key in MAIN if key in keys), *(key for key in keys if key not in MAIN)]
    panels = [
        dict(zip(('key', 'title', 'unit', 'main'), (key, *_title(key), key in MAIN), strict=True))
        for key in order
    ]
    runs = [_run(summary, own, most) for summary, own in zip(summaries, curves, strict=True)]
    longest = max((len(curve.epochs) for own in curves for curve in own), default=0)
    return {'panels': panels, 'runs': runs, 'thinned': most if longest > most else 0}


def _run(summary: Summary, curves: Sequence[Curve], most: int) -> dict[str, Any]:
    lists: list[list[float]] = []
    drawn: dict[str, list] = {}
    for curve in curves:
        rows = evenly(len(curve.epochs) - 1, most - 1)  # and the last
        rows = np.append(rows, len(curve.epochs) - 1)
        epochs = _rounded(curve.epochs[rows])
        if epochs not in lists:
            lists.append(epochs)
        values = curve.values[rows]
        sd = values.std(axis=1, ddof=1) if values.shape[1] > 1 else None
        drawn.setdefault(curve.panel, []).append(
            [
                curve.member,
                lists.index(epochs),
                _rounded(values.mean(axis=1)),
                0 if sd is None else _rounded(sd, 3),
            ]
        )
    return {
        'name': summary.name,
        'steps': _steps(summary.run),
        'clock': _clock(summary),
        'epochs': lists,
        'curves': drawn,
    }


def _entries(line: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(panel, member, value) of a log point's numbers: phases and encoders of one quantity share a
    panel, estimators of mutual information have one each.
    """
    for name, value in line.items():
        if name in NO_CURVES:
            continue
        for path, leaf in _leaves(value):
            member, rest = ('', path) if name == 'mi' else (path[:1], path[1:])
            panel = '/'.join([name, *rest])
            if not panel.startswith('collapse/nn_gap/') or rest[-1:] == ('mean',):
                word = ''.join(member)
                yield panel, one_run.PHASES.get(word, run_files.LETTERS.get(word, word)), leaf


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _leaves(entry, (*path, key))
    else:
        yield path, value


def _title(key: str) -> tuple[str, str]:
    return MAIN.get(key, (key.replace('/', ', ').replace('_', ' ').capitalize(), ''))


def _steps(run: run_files.Run) -> float | None:
    """Steps of all phases in an epoch; None where the log does not say."""
    for line in reversed(run.lines):
        steps = line.get('step')
        if isinstance(steps, Mapping) and line['epoch'] > 0:
            pace = sum(steps.values()) / line['epoch']
            return float(f'{pace:.6g}') if np.isfinite(pace) else None
    return None


def _clock(summary: Summary) -> list[list[float]] | None:
    if summary.timing is None:
        return None
    rows = np.append(evenly(len(summary.timing.epochs) - 1, 60), len(summary.timing.epochs) - 1)
    return [_rounded(summary.timing.epochs[rows]), _rounded(summary.timing.seconds_at[rows], 6)]


def _rounded(values: np.ndarray, digits: int = 5) -> list[float]:
    """Numbers of so many significant digits, whole ones without a point."""
    return [
        int(value) if value == int(value) and abs(value) < 1e6 else float(f'{value:.{digits}g}')
        for value in map(float, values)
    ]


def last(run: run_files.Run, *path: str) -> np.ndarray | None:
    """The newest value (seeds,) at a path of the log; None where there is none that is finite."""
    try:
        values = run_files.series(run, *path)[1][-1]
    except ValueError:
        return None
    return values if values.ndim == 1 and np.isfinite(values).all() else None


def shown(values: np.ndarray | None, digits: int) -> str:
    """Mean and SD over seeds; a dash for none."""
    return '–' if values is None else statistics.cell(values, digits)
