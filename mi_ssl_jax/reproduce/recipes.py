"""The published recipes beside the paper's settings, and the nearest relatives, on digits in small.

`recipes`: what configs/<method>_cifar10.py and configs/<method>_cifar10_tuned.py say of the
optimiser, its schedule and the method, on the digits' network, views, batch (256) and heads; and
VICReg's tuned preset with biases and batch norms adapted too, without which it can run off there.
`critics`: JMI with the cosine and with learned critics, by InfoNCE at a fifth of the learning rate:
DV with unbounded scores runs off (at the digits' 0.1 it is NaN after 22 epochs). `relatives`: MMI
and its control.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax.reproduce import mmi, training
from mi_ssl_jax.runs import run_folder

METHODS = ('simclr', 'byol', 'barlow', 'vicreg')
CRITICS = ('cosine', 'separable', 'concatenated')
PRESETS = {"the paper's": '', 'tuned': '_tuned'}
SHARED = ('lr', 'weight_decay', 'optimizer', 'schedule', 'method')
NOT_TRAINED = ('raw inputs', 'untrained')  # encoders of probe.json
WARMUP = 5  # epochs, where the recipe has a warm-up


class Variant(NamedTuple):
    """One run. make: -> its configuration."""

    folder: str
    label: str
    make: Callable[[], ConfigDict]


def transferred(method: str, preset: str) -> ConfigDict:
    """The digits' configuration with the optimiser, the schedule and the method of a CIFAR-10 one.
    Learning rates are as printed: of a batch of 256 in the recipes.
    """
    config = training.config(f'{method}_digits')
    source = training.config(f'{method}_cifar10{preset}')
    with config.unlocked():
        for name in SHARED:
            config[name] = source[name]
    config.warmup_epochs = WARMUP if source.warmup_epochs else 0
    return config


def _vectors() -> ConfigDict:
    """VICReg's tuned preset on digits with LARS for biases and batch norms too."""
    config = transferred('vicreg', '_tuned')
    config.optimizer.lars.vectors = True
    return config


def critic(name: str) -> ConfigDict:
    """JMI on digits with this critic."""
    config = training.config('jmi_digits')
    config.lr = 0.2 * config.lr
    config.method.critic, config.method.objective = name, 'infonce'
    return config


def variants() -> dict[str, tuple[Variant, ...]]:
    """Part -> its runs."""
    return {
        'recipes': tuple(
            Variant(f'{method}{end}', f'{method}, {label}', partial(transferred, method, end))
            for method in METHODS
            for label, end in PRESETS.items()
        )
        + (Variant('vicreg_tuned_vectors', 'vicreg, tuned, lars.vectors', _vectors),),
        'critics': tuple(
            Variant(f'jmi-{name}', f'JMI, {name} critic', partial(critic, name)) for name in CRITICS
        ),
        'relatives': tuple(
            Variant(name, name, partial(training.config, f'{name}_digits'))
            for name in ('mmi', 'corinfomax')
        ),
    }


def reproduce(*, workdir: Path, only: Sequence[str], epochs: int, seeds: int) -> None:
    """Train what is missing, then print the table and keep it in recipes.json."""
    rows = []
    for part in only:
        for variant in variants()[part]:
            config = variant.make()
            config.epochs, config.seeds = epochs, seeds
            config.warmup_epochs = min(config.warmup_epochs, epochs - 1)
            folder = workdir / variant.folder
            mmi.train(config, folder)
            rows.append({'part': part, 'label': variant.label, **result(folder)})
    run_folder.write_json(workdir / 'recipes.json', rows)
    print(text(rows))
    print(f'wrote {workdir / "recipes.json"}')


def result(folder: Path) -> dict:
    """Linear probe (all labels) and kNN of every seed in percent, and the last held-out MI; {} of a
    run that diverged.
    """
    if not (folder / 'probe.json').exists():
        return {}
    found = json.loads((folder / 'probe.json').read_text())
    trained = [row for row in found['rows'] if not row['encoder'].startswith(NOT_TRAINED)]
    first = [row for row in trained if row['encoder'] == trained[0]['encoder']]
    linear, knn = (
        next(row['seeds'] for row in first if (row['probe'], row['labels']) == (probe, 'all'))
        for probe in ('linear', 'kNN')
    )
    lines = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
    watched = [line['mi']['cos_dv'] for line in lines if 'mi' in line]
    return {'linear': linear, 'knn': knn, 'mi': watched[-1]}


def text(rows: Sequence[dict]) -> str:
    """The rows as a table: mean and standard deviation over seeds."""
    lines = [f'{"":28}{"linear probe, %":>17}{"kNN, %":>17}{"MI, nats":>17}']
    for row in rows:
        cells = [_cell(row.get(name)) for name in ('linear', 'knn', 'mi')]
        lines.append(f'{row["label"]:28}' + ''.join(f'{cell:>17}' for cell in cells))
    return '\n'.join(lines)


def _cell(values: Sequence[float] | None) -> str:
    if values is None:
        return 'diverged'
    spread = f' ± {np.std(values, ddof=1):.2f}' if len(values) > 1 else ''
    return f'{np.mean(values):.2f}{spread}'
