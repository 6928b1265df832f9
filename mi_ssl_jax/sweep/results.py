"""Results of a search, ranked by probe accuracy, as text, JSON, CSV and markdown; no JAX."""

import csv
from collections.abc import Sequence
from typing import Any

import numpy as np

from mi_ssl_jax.figures import probes, run_files, tables
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.runs import run_folder
from mi_ssl_jax.sweep import plan
from mi_ssl_jax.sweep.plan import Member, Search

DIVERGED = 'diverged.json'
STATES = ('finished', 'diverged', 'unfinished')


def status(member: Member) -> str:
    """'finished': trained and probed. 'diverged': its loss was not finite. 'unfinished': anything
    else.
    """
    if (member.folder / DIVERGED).exists():
        return 'diverged'
    try:
        epochs = run_files.probe_result(member.folder / 'probe.json')['settings']['epochs']
    except ValueError:
        return 'unfinished'
    return 'finished' if epochs == member.config.epochs else 'unfinished'


def diverged(member: Member, why: str) -> None:
    """Remember that a member's loss was not finite: it is not trained again."""
    run_folder.write_json(member.folder / DIVERGED, {'why': why})


def rows(members: Sequence[Member]) -> list[dict[str, Any]]:
    """One row a member, best first, those without a result last.

    {run, status, config.lr and what else varies; finished: accuracy, accuracy f and g where SDMI
    has both, mi cos_dv, mi infonce, mi jsd; diverged: why}. Accuracies: linear probe with all
    labels, percent. Means over seeds.
    """
    fields = plan.varying(members)
    found = []
    for member in members:
        state = status(member)
        own = {'finished': _measured, 'diverged': _why}.get(state, lambda member: {})
        found.append(
            {
                'run': member.folder.name,
                'status': state,
                **{key: member.flags[key] for key in fields},
                **own(member),
            }
        )
    return sorted(found, key=lambda row: (STATES.index(row['status']), -row.get('accuracy', 0)))


def best(search: Search) -> tuple[Member, float]:
    """The member of highest accuracy, and that accuracy. ValueError if all diverged."""
    first = rows(search.members)[0]
    if first['status'] != 'finished':
        raise ValueError(f'no configuration in {search.folder} has a result: there is no best one')
    return (
        next(member for member in search.members if member.folder.name == first['run']),
        first['accuracy'],
    )


def table(search: Search) -> tables.Table:
    """The rows for people."""
    found, fields = rows(search.members), plan.varying(search.members)
    letters = sorted({key for row in found for key in row if key.startswith('accuracy ')})
    columns = [*fields, 'accuracy', *letters, *(f'mi {name}' for name in run_files.ESTIMATORS)]
    shown = {
        'accuracy': 'probe (%)',
        **{f'mi {name}': label for name, label in run_files.ESTIMATORS.items()},
    }
    header = ('', *(shown.get(key, key.removeprefix('config.')) for key in columns))
    ranks = [
        str(rank) if row['status'] == 'finished' else row['status']
        for rank, row in enumerate(found, 1)
    ]
    cells = [
        (rank, *(_cell(row.get(key)) for key in columns))
        for rank, row in zip(ranks, found, strict=True)
    ]
    count = {state: sum(row['status'] == state for row in found) for state in STATES}
    words = ', '.join(f'{value} {state}' for state, value in count.items() if value)
    title = f'{search.method} on {search.data}, {search.stage}: {words}'
    return tables.Table(title, header, cells, _notes(search, found))


def write(search: Search) -> list[str]:
    """results.json, results.csv and results.md in the search's folder; returns their paths."""
    found = rows(search.members)
    stem = search.folder / 'results'
    run_folder.write_json(stem.with_suffix('.json'), found)
    names = list(dict.fromkeys(key for row in found for key in row))
    with open(stem.with_suffix('.csv'), 'w', newline='') as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(found)
    stem.with_suffix('.md').write_text(tables.markdown(table(search)))
    return [f'{stem}.{ending}' for ending in ('json', 'csv', 'md')]


def _why(member: Member) -> dict[str, Any]:
    remedy = 'remove it, and the sweep trains this run again'
    return run_files.json_value(member.folder / DIVERGED, dict, remedy)


def _measured(member: Member) -> dict[str, Any]:
    found = probes.read(member.folder)
    each = {letter: float(np.mean(values)) for letter, values in found.accuracy.items()}
    letters = {f'accuracy {letter}': value for letter, value in each.items() if letter}
    information = {
        f'mi {name}': float(np.mean(run_files.series(found.run, 'mi', name)[1][-1]))
        for name in run_files.ESTIMATORS
    }
    return {'accuracy': float(np.mean(list(each.values()))), **letters, **information}


def _cell(value: Any) -> str:
    if isinstance(value, float) and not np.isfinite(value) or value is None:
        return '–'
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _notes(search: Search, found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    notes = (
        (
            'Probe: linear, on frozen backbone features, all labels, top-1 on the held-out split;'
            ' rows are sorted by it (SDMI: mean of f and g). The best is chosen on that split,'
            ' so it is optimistic.'
        ),
        'cos-DV and InfoNCE: final mutual information of two views of held-out examples, nats.',
    )
    if found[0]['status'] == 'finished':
        member, _ = best(search)
        before = probes.read(member.folder).untrained
        values = [number(np.mean(value), 1) for value in before.values()]
        notes += (f'Untrained encoder: {", ".join(values)} %.',) if values else ()
        notes += (f'To train the best alone: {plan.command(member)}',)
    lost = [row for row in found if row['status'] == 'diverged']
    return notes + tuple(f'{row["run"]} diverged: {row["why"]}' for row in lost)
