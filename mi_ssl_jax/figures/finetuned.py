"""The results of fine-tunings: what was reached from an encoder, beside random weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mi_ssl_jax.figures import run_files, statistics
from mi_ssl_jax.figures.tables import Table

FOLDER = 'finetune'  # of a run
STARTS = {'pretrained': 'the encoder', 'scratch': 'random weights'}
_ROW = {'start': str, 'seeds': list, 'top5': list, 'labelled': list, 'protocol': str}


def result(path: Path) -> dict[str, Any]:
    """Read and check a result.json.

    Raises:
        ValueError: it is missing or damaged.
    """
    remedy = f'remove {path.parent}, and python -m mi_ssl_jax.finetune makes it anew'
    found = run_files.json_value(path, dict, remedy)
    settings, rows = found.get('settings'), found.get('rows')
    whole = (
        isinstance(settings, dict)
        and all(isinstance(settings.get(name), str) for name in ('data', 'labels'))
        and isinstance(rows, list)
        and [row.get('start') for row in rows if isinstance(row, dict)] == list(STARTS)
        and all(isinstance(row.get(name), kind) for row in rows for name, kind in _ROW.items())
        and all(isinstance(value, int | float) for row in rows for value in row['seeds'])
    )
    if not whole:
        raise ValueError(f'{path} is damaged: {remedy}')
    return found


def results(workdir: Path) -> list[dict[str, Any]]:
    """All results of a run that have at least one accuracy, by data set and labels."""
    paths = sorted((workdir / FOLDER).glob('*/result.json'))
    found = [result(path) for path in paths]
    return [own for own in found if any(row['seeds'] for row in own['rows'])]


def table(found: Sequence[dict[str, Any]]) -> Table:
    """Top-1 accuracies from the encoder and from random weights, and what the encoder is worth."""
    rows, protocols = [], {}
    for own in found:
        by_start = {row['start']: np.array(row['seeds'], float) for row in own['rows']}
        both = min(map(len, by_start.values()))
        gain = np.subtract(*(by_start[start][:both] for start in STARTS))
        settings = own['settings']
        branch = settings.get('branch', '')
        data = settings['data'] + (f' ({branch})' if branch in ('xi', 'target') else '')
        rows.append(
            (
                data,
                settings['labels'],
                *(statistics.cell(by_start[start], 1) for start in STARTS),
                statistics.cell(gain, 1),
                str(both),
            )
        )
        for row in own['rows']:
            if row['seeds']:
                named = f'{STARTS[row["start"]]}, {settings["labels"]}: {row["protocol"]}'
                protocols[named] = None
    header = ('data', 'labels', *(f'from {name}' for name in STARTS.values()), 'gain', 'seeds')
    notes = '\n'.join(f'- {line}' for line in protocols)
    return Table(
        'Top-1 accuracy on the held-out split after fine-tuning (%)',
        header,
        rows,
        (
            'Mean ± SD over seeds; a seed has its own draw of labels, order, views and random'
            ' weights. Gain: percentage points, seed by seed.',
            notes,
        ),
    )
