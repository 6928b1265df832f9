"""The paper's Table 2, the curves and the ablations in numbers, as markdown and as text of fixed
width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.figures import methods, run_files, statistics
from mi_ssl_jax.figures.paper import gaussian
from mi_ssl_jax.figures.statistics import number

CLOSE = 5.0  # degrees: a mean gap this near to the paper's counts as reproduced
STEP_TOLERANCE = 1e-3  # nats: smaller falls of a curve are not visible in it


class Table(NamedTuple):
    """rows: cells as strings, one for each entry of header; the first column is text."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()


def markdown(table: Table) -> str:
    """The table with its title and notes."""
    lines = [table.header, ('---',) + ('---:',) * (len(table.header) - 1), *table.rows]
    body = '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in lines)
    return '\n\n'.join([f'**{table.title}**', body, *table.notes]) + '\n'


def text(table: Table) -> str:
    """The same for a terminal: columns of fixed width, the first to the left, the others to the
    right.
    """
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows)]
    lines = [table.header, tuple('-' * width for width in widths), *table.rows]
    body = [
        '  '.join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths))
        ).rstrip()
        for cells in lines
    ]
    return '\n'.join([table.title, '', *body, '', *table.notes]).rstrip() + '\n'


def table2(workdirs: gaussian.Workdirs) -> Table:
    """Nearest-neighbour gaps of {method: workdir} beside the paper's Table 2."""
    reported = run_files.paper()['table2']['rows']
    rows, medians, counts = [], {}, []
    for encoder in gaussian.encoders(workdirs):
        gaps = run_files.final_gaps(encoder.run, encoder.branch)
        paper, over = reported[encoder.key], statistics.spread(gaps.mean)
        medians[encoder.label] = over.median
        counts.append(encoder.run)
        ours = [f'{np.mean(value):.2f}' for value in gaps]
        away = over.mean - paper['mean']
        rows.append(
            (
                encoder.label,
                *(f'{paper[name]:.2f}' for name in ('mean', 'min', 'max', 'sd')),
                *ours,
                number(over.sd, 1),
                f'{over.low:.0f} to {over.high:.0f}',
                f'{over.median:.2f}',
                f'{"yes" if abs(away) <= CLOSE else "no"} ({away:+.1f})',
            )
        )
    header = (
        'Model',
        'paper mean',
        'min',
        'max',
        'SD',
        'ours mean',
        'min',
        'max',
        'SD',
        'seed SD',
        'seed range',
        'median',
        f'within {CLOSE:.0f}°',
    )
    notes = (
        (
            f'Ours: {run_files.seeds(counts)}. Mean, min, max and SD are over the five centres of'
            ' one seed, then averaged over seeds; seed SD, range and median are of the mean gap.'
            ' The paper gives one number a cell.'
        ),
    )
    return Table(
        'Table 2: nearest-neighbour angle gaps at the end of training (degrees)',
        header,
        rows,
        notes + ranking(medians),
    )


def ranking(medians: Mapping[str, float]) -> tuple[str, ...]:
    """Whether median gaps are ordered JMI > SDMI > each of MoCo-v3, SimSiam, BYOL; () when one is
    missing.
    """
    sdmi, others = ('SDMI f', 'SDMI g'), ('MoCo-v3', 'SimSiam', 'BYOL')
    if not {'JMI', *sdmi, *others} <= medians.keys():
        return ()
    ordered = medians['JMI'] > max(medians[name] for name in sdmi) and min(
        medians[name] for name in sdmi
    ) > max(medians[name] for name in others)
    values = ', '.join(f'{name} {medians[name]:.1f}' for name in ('JMI', *sdmi, *others))
    return (
        (
            f'Medians over seeds ({values}): {"" if ordered else "not "}ordered JMI > SDMI > each'
            ' of MoCo-v3, SimSiam, BYOL.'
        ),
    )


def growth(workdirs: gaussian.Workdirs) -> Table:
    """Format how monotonically each estimate of {method: workdir} grows, and whether it stays below
    the true value.
    """
    true = run_files.paper()['true_mi']['nats']
    rows = []
    for name, run in run_files.read_all(workdirs).items():
        for estimator, label in run_files.ESTIMATORS.items():
            epochs, values = statistics.trained(*run_files.series(run, 'mi', estimator))
            highest = values.max()
            below = '–' if estimator == 'jsd' else 'yes' if highest <= true else 'no'
            numbers = [
                (statistics.spearman(epochs, values).mean(), 3),
                (statistics.rising(values, tolerance=0.0).mean(), 2),
                (statistics.rising(values, tolerance=STEP_TOLERANCE).mean(), 2),
                (values[-1].mean(), 3),
                (highest, 3),
            ]
            rows.append(
                (methods.METHODS[name].label, label, *(number(*pair) for pair in numbers), below)
            )
    header = (
        'Model',
        'estimator',
        'Spearman',
        'no fall',
        f'fall < {STEP_TOLERANCE:g}',
        'final',
        'maximum',
        f'below {true}',
    )
    note = (
        'Spearman correlation with epoch, share of epoch-to-epoch steps without a fall, share'
        f' without a fall of more than {STEP_TOLERANCE:g}, and final value are means over seeds,'
        ' from epoch 1 on; the maximum is over epochs and seeds. The true mutual information of'
        f' the views is {true} nats; JSD is not in nats of information.'
    )
    return Table('Mutual information over training', header, rows, (note,))


def ablations(runs: Mapping[str, Mapping[int, str | Path]]) -> Table:
    """Separation and collapse figures of {variant: {epochs: workdir}} at each length."""
    lengths = sorted({length for own in runs.values() for length in own})
    rows, counts = [], []
    for variant, own in runs.items():
        read = {length: run_files.read(workdir) for length, workdir in own.items()}
        counts += read.values()
        letters = run_files.encoders(next(iter(read.values())))
        for letter, branch in letters.items():
            columns = [
                [_cell(read.get(length), branch, path, digits) for length in lengths]
                for path, digits in (
                    (('nn_gap', 'mean'), 1),
                    (('std',), 3),
                    (('effective_rank',), 2),
                )
            ]
            rows.append((f'{variant} {letter}'.strip(), *sum(columns, [])))
    header = (
        'Variant',
        *(
            f'{name} {length}'
            for name in ('NN gap (°)', 'std', 'effective rank')
            for length in lengths
        ),
    )
    note = (
        f'Columns: figure and epochs trained. Mean ± SD over {run_files.seeds(counts)}. std: mean'
        " over the embedding's features of the standard deviation of the normalised embeddings,"
        ' 0.577 = 1/sqrt(3) when spread evenly over the sphere; effective rank: at most 3.'
    )
    return Table('Ablations on the Gaussian mixture at the end of training', header, rows, (note,))


def _cell(run: run_files.Run | None, branch: str, path: Sequence[str], digits: int) -> str:
    if run is None:
        return '–'
    return statistics.cell(run_files.series(run, 'collapse', branch, *path)[1][-1], digits)
