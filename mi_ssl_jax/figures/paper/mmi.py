"""Explicit MMI's experiments in tables and one picture: accuracy, information, entropies,
stability.

A part is {label: workdir} of ended runs; one that diverged has the file `DIVERGED` with what
happened, and no probe.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from mi_ssl_jax.figures import run_files, statistics, style
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.figures.tables import Table

DIVERGED = 'diverged.txt'
TITLES = {
    'methods': 'Against Barlow Twins and SimSiam',
    'projector': 'Dimension of the projector’s output',
    'form': 'Joint entropy',
    'momentum': 'Momentum encoder',
    'order': 'Order of the Taylor series',
}
SHORT = {
    'methods': 'Methods',
    'projector': 'Projector',
    'form': 'Joint entropy',
    'momentum': 'Momentum',
    'order': 'Order',
}
DOT, MEAN = '#0072B2', '#D55E00'


class Outcome(NamedTuple):
    """An ended run. diverged: what happened, '' if nothing did. accuracy, few, untrained: top-1 in
    percent of linear probes (seeds,): all labels, ten a class, and all labels before training;
    empty where there are none.
    """

    run: run_files.Run
    diverged: str
    accuracy: np.ndarray
    few: np.ndarray
    untrained: np.ndarray


def read(workdir: str | Path) -> Outcome:
    """ValueError: the run has not ended."""
    workdir = Path(workdir)
    run, note, path = run_files.read(workdir), workdir / DIVERGED, workdir / 'probe.json'
    none = np.array([])
    if note.exists():
        return Outcome(run, note.read_text().strip(), none, none, none)
    if not path.exists():
        raise ValueError(
            f'{workdir} has not been probed: python -m mi_ssl_jax.probe --workdir={workdir}'
        )
    found = {'raw': {}, 'untrained': {}, 'trained': {}}
    for row in run_files.probe_result(path)['rows']:
        kind = row['encoder'].split()[0]
        if row['probe'] == 'linear':
            found[kind if kind in found else 'trained'][row['labels']] = np.array(
                row['seeds'], float
            )
    trained = found['trained']
    return Outcome(
        run, '', trained['all'], trained.get('10 a class', none), found['untrained']['all']
    )


def table(part: str, runs: Mapping[str, str | Path]) -> Table:
    """One row a run of {label: workdir}."""
    outcomes = {label: read(workdir) for label, workdir in runs.items()}
    few = any(len(outcome.few) for outcome in outcomes.values())
    rows, notes = [], []
    for label, outcome in outcomes.items():
        if outcome.diverged:
            rows.append((label, 'diverged', *('–',) * (8 + few)))
            notes.append(f'{label}: {outcome.diverged}.')
        else:
            rows.append(
                (
                    label,
                    statistics.cell(outcome.accuracy, 1),
                    *([statistics.cell(outcome.few, 1)] if few else []),
                    statistics.cell(outcome.untrained, 1),
                    *_watched(outcome.run),
                    *_entropies(outcome.run),
                    _rise(outcome.run),
                )
            )
    header = (
        'Run',
        'accuracy (%)',
        *(['ten labels a class'] if few else []),
        'untrained',
        'cos-DV (nats)',
        'effective rank',
        'H(Z)',
        'H(Z′)',
        'H(Z, Z′)',
        'sum (nats)',
        'largest rise (%)',
    )
    read_ = [outcome.run for outcome in outcomes.values()]
    notes += [
        f'{run_files.conditions(dict(zip(outcomes, read_)))} Linear probe on frozen backbone'
        f' features, held-out; mean ± SD over {run_files.seeds(read_)}. H: entropies in the'
        ' trainable form, over the last log point’s batches; their sum H(Z) + H(Z′) − H(Z, Z′) is'
        ' what is maximised, mutual information only where the series has converged. Entropies of'
        ' different dimensions do not compare: directions that a smaller batch does not reach'
        ' count with eps alone. Largest rise: of the loss between log points in the second half of'
        ' training, in percent of its range.'
    ]
    return Table(TITLES[part], header, rows, tuple(notes))


def paper() -> str:
    """List the paper's own results, and the settings that it leaves open."""
    found = run_files.paper()['mmi']
    return (
        f'The paper: {found["imagenet100"]} % on ImageNet-100 ({found["source"]}). Its public text'
        ' has no number for what is trained here. Heavy-tailed, multimodal and generalised'
        ' Gaussian data: `python -m mi_ssl_jax.reproduce mi_benchmark`.'
    )


@style.drawing
def draw(parts: Mapping[str, Mapping[str, str | Path]], output: str | Path) -> Path:
    """Accuracy of every run, one panel a part, one dot a seed."""
    read_ = {
        part: {label: read(workdir) for label, workdir in runs.items()}
        for part, runs in parts.items()
    }
    longest = max(map(len, read_.values()))
    figure = style.new(2.2 + 3.1 * len(read_), 4.6 if longest < 5 else 5.4)
    panels = figure.subplots(
        1,
        len(read_),
        sharey=True,
        squeeze=False,
        width_ratios=[len(outcomes) + 1 for outcomes in read_.values()],
    )[0]
    for ax, (part, outcomes) in zip(panels, read_.items()):
        _panel(ax, outcomes)
        ax.set_title(SHORT[part])
    panels[0].set(ylabel='linear probe, top-1 (%)')
    runs = [outcome.run for outcomes in read_.values() for outcome in outcomes.values()]
    style.heading(
        figure,
        f'Explicit MMI on {runs[0].config["data"]["name"]}: accuracy',
        f'Dots: seeds ({run_files.seeds(runs)}); bars: their mean. Dashed: the untrained encoder. '
        'A cross at the bottom: the run diverged.',
    )
    return style.save(figure, output)


def _panel(ax: Axes, outcomes: Mapping[str, Outcome]) -> None:
    for place, outcome in enumerate(outcomes.values()):
        values = outcome.accuracy
        if outcome.diverged:
            ax.plot([place], [0.03], marker='x', color=MEAN, transform=ax.get_xaxis_transform())
            continue
        ax.plot([place - 0.3, place + 0.3], [values.mean()] * 2, color=MEAN)
        beside = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else 0.0
        ax.scatter(place + beside, values, s=14, color=DOT, linewidths=0, zorder=3)
    before = [outcome.untrained.mean() for outcome in outcomes.values() if len(outcome.untrained)]
    if before:
        ax.axhline(np.mean(before), color=style.GUIDE, linestyle=style.GUIDE_DASHES, linewidth=0.9)
    ax.set_xticks(
        range(len(outcomes)), list(outcomes), rotation=35, ha='right', rotation_mode='anchor'
    )
    ax.set_xlim(-0.6, len(outcomes) - 0.4)
    ax.grid(False, axis='x')


def _watched(run: run_files.Run) -> tuple[str, str]:
    """cos-DV and effective rank at the last evaluation."""
    information = run_files.series(run, 'mi', 'cos_dv')[1][-1].mean()
    rank = run_files.series(run, 'collapse', run_files.keys(run, 'collapse')[0], 'effective_rank')[
        1
    ][-1].mean()
    return number(information, 3), number(rank, 1)


def _entropies(run: run_files.Run) -> tuple[str, ...]:
    """H(Z), H(Z'), H(Z, Z') of the last log point and what is maximised; dashes for other
    methods.
    """
    phases = run_files.keys(run, 'h_joint')
    if not phases:
        return ('–',) * 4
    a, b, joint = (
        run_files.series(run, name, phases[0])[1][-1].mean() for name in ('h_a', 'h_b', 'h_joint')
    )
    return tuple(number(value, 1) for value in (a, b, joint, a + b - joint))


def _rise(run: run_files.Run) -> str:
    """The loss's largest rise between two log points in the second half, % of its range; mean over
    seeds.
    """
    phases = run_files.keys(run, 'loss')
    losses = run_files.series(run, 'loss', phases[0])[1] if phases else np.zeros((0, 1))
    late = np.diff(losses[len(losses) // 2 :], axis=0)
    if len(late) < 2:
        return '–'
    wide = np.ptp(losses, axis=0)
    return number(
        float(np.mean(100 * np.maximum(late.max(axis=0), 0) / np.where(wide > 0, wide, 1))), 1
    )
