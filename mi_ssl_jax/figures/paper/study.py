"""The study of all methods on CIFAR-10 in numbers: learning rates, ranks beside the paper's, every
probe, falls of the mutual information.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.stats

from mi_ssl_jax.figures import methods, run_files, statistics
from mi_ssl_jax.figures.paper import figure2, table1
from mi_ssl_jax.figures.probes import Pool, Probed
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.figures.tables import Table


def choices(found: Mapping[str, Mapping[float, float]]) -> Table:
    """Format the scores of the learning rates that each method was tried at.

    found: {method: {learning rate: percent, NaN where the run diverged}}.
    """
    lrs = sorted({lr for scores in found.values() for lr in scores})
    rows = []
    for name, scores in found.items():
        known = {lr: score for lr, score in scores.items() if np.isfinite(score)}
        best = f'{max(known, key=lambda lr: known[lr]):g}' if len(scores) == len(lrs) else '–'
        cells = [
            number(scores[lr], 1) if lr in known else 'diverged' if lr in scores else table1.NOT_RUN
            for lr in lrs
        ]
        rows.append((methods.METHODS[name].label, *cells, best))
    note = (
        'kNN top-1 in percent on held-out training images after the runs of the choice, by learning'
        ' rate. Ablations take the learning rate of their method.'
    )
    return Table('Learning rates', ('Model', *(f'{lr:g}' for lr in lrs), 'chosen'), rows, (note,))


def ranks(pools: Sequence[Pool]) -> Table:
    """Order the methods by accuracy, here and in the paper, with Kendall's tau of the two."""
    accuracy = {pool.variant: pool for pool in pools if table1.inside(pool)}
    ours, papers = {}, {}
    for key, reported in run_files.paper()['table1']['rows'].items():
        name, _, letter = key.partition(' ')
        label = methods.METHODS[name].label
        if label in accuracy:
            row = f'{label} {letter}'.strip()
            ours[row] = float(accuracy[label].accuracy(letter).mean())
            papers[row] = reported['cifar10']['mean']
    tau = scipy.stats.kendalltau(list(ours.values()), list(papers.values()))
    rows = [
        (row, number(ours[row], 2), here, number(papers[row], 2), there)
        for row, here, there in zip(ours, _places(ours), _places(papers), strict=True)
    ]
    note = (
        f'Rank 1 is the most accurate. Kendall’s tau of the two columns: {number(tau.statistic, 2)}'
        f' over {len(ours)} rows (p = {number(tau.pvalue, 2)} if the orders were independent).'
    )
    header = ('Model', 'here (%)', 'rank', 'paper (%)', 'rank in the paper')
    return Table('Ranks beside the paper’s', header, rows, (note,))


def accuracies(runs: Sequence[Probed]) -> Table:
    """Format every probe of every run, with the last mutual information and collapse figures."""
    rows = []
    for run in runs:
        found = run_files.probe_result(run.folder / 'probe.json')['rows']
        last = run.run.lines[-1]
        probes = {
            (row['encoder'], row['probe']): row['seeds'][0]
            for row in found
            if row['labels'] == 'all'
        }
        kinds = dict.fromkeys(kind for _, kind in probes)
        for branch in dict.fromkeys(encoder for encoder, _ in probes):
            if branch not in last['collapse']:
                continue
            own = last['collapse'][branch]
            cells = [number(probes.get((branch, kind), np.nan), 2) for kind in kinds]
            effective = own.get('effective_rank', [None])
            figures = (effective[0], own['std'][0], last['mi']['cos_dv'][0])
            rows.append(
                (
                    run.variant,
                    branch,
                    str(run.run.config['seed']),
                    *cells,
                    *(number(np.nan if value is None else value, 3) for value in figures),
                )
            )
    header = (
        'Run',
        'branch',
        'seed',
        *(f'{kind} (%)' for kind in kinds),
        'effective rank',
        'std',
        'cos-DV (nats)',
    )
    note = 'Top-1 on the held-out split; collapse figures and mutual information at the end.'
    return Table('Every run', header, rows, (note,))


def falls(workdirs: Mapping[str, str | Path]) -> Table:
    """Count how often each estimate of {method: workdir} fell from an evaluation to the next."""
    rows = []
    for name, run in run_files.read_all(workdirs).items():
        for estimator, label in run_files.ESTIMATORS.items():
            _, values = figure2.trained(run, estimator)
            steps = np.diff(values, axis=0)
            whole = values.max() - values.min()
            rows.append(
                (
                    methods.METHODS[name].label,
                    label,
                    f'{(steps < 0).sum()} of {steps.size}',
                    number(max(0.0, -steps.min()) if steps.size else np.nan, 4),
                    number(max(0.0, -steps.min()) / whole if steps.size and whole else np.nan, 3),
                )
            )
    header = ('Model', 'estimator', 'falls', 'largest fall', 'of its range')
    note = (
        'Falls from one evaluation to the next, the one before training left out; the largest also'
        ' as a share of the whole range of the curve.'
    )
    return Table('Falls of the mutual information', header, rows, (note,))


def _places(values: Mapping[str, float]) -> list[str]:
    """Ranks from 1, the highest value's; ties share their mean."""
    return [number(1 + rank, 1) for rank in statistics.ranks(-np.array(list(values.values())))]
