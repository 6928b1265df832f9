"""Linear-probe accuracies of finished runs, by variant of a method and over seeds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.figures import run_files

DATA = {
    'cifar10': 'CIFAR-10',
    'cifar100': 'CIFAR-100',
    'tiny_imagenet': 'TinyImageNet',
    'imagenet100': 'ImageNet-100',
}  # in the order of Table 1

# What a method is in the paper's Table 1, and what it is called when changed (Figure 4; section
# 3.2.1).
PLAIN = {
    'sdmi': {'objective': 'dv', 'marginal': 'bound', 'predictor': False},
    'simsiam': {'objective': 'cosine', 'predictor': True},
    'mocov3': {'objective': 'infonce', 'predictor': True},
    'jmi': {'objective': 'dv', 'marginal': 'bound'},
    'simclr': {'objective': 'nt_xent'},
}
VARIANTS = {
    'SDMI-NoDV': ('sdmi', {'marginal': 'none'}),
    'SDMI-NoDV-Pred': ('sdmi', {'marginal': 'none', 'predictor': True}),
    'SimSiam, no predictor': ('simsiam', {'predictor': False}),
    'SimSiam-SDMI': ('simsiam', {'predictor': False, 'objective': 'dv'}),
    'MoCo-v3, no predictor': ('mocov3', {'predictor': False}),
}

# Fields that change no accuracy but by chance: runs that differ in them alone are averaged.
FREE = (
    'seed',
    'seeds',
    'devices',
    'mode',
    'log_every',
    'checkpoint',
    'mi.every',
    'mi.every_steps',
    'mi.batch_size',
    'mi.temperature',
    'probe',
    'data.dir',
    'data.workers',
    'method.block_size',
)


class Probed(NamedTuple):
    """A run with its linear probe on all labels.

    variant: see `variant`. epochs: trained. accuracy, untrained: top-1 in percent on the held-out
    split,
    after training and before, one a seed: {'f': (seeds,), 'g': (seeds,)} for SDMI, {'': (seeds,)}
    for others.
    """

    folder: Path
    run: run_files.Run
    variant: str
    epochs: float
    accuracy: dict[str, np.ndarray]
    untrained: dict[str, np.ndarray]
    protocol: str

    @property
    def method(self) -> str:
        return self.run.config['method']['name']

    @property
    def data(self) -> str:
        return self.run.config['data']['name']


class Unprobed(ValueError):
    """A run without a linear probe of its last epoch."""


class Pool(NamedTuple):
    """Runs of one variant on one data set, alike but for their seeds."""

    variant: str
    data: str
    members: list[Probed]

    def accuracy(self, letter: str) -> np.ndarray:
        """Top-1 in percent of all seeds (seeds,)."""
        return np.concatenate([member.accuracy[letter] for member in self.members])

    def untrained(self) -> np.ndarray:
        """Return the accuracies of all seeds before training; for SDMI those of f and g."""
        return np.concatenate(
            [values for member in self.members for values in member.untrained.values()]
        )


def variant(config: dict[str, Any]) -> str:
    """Return the paper's name for a method with these arguments; 'SDMI (objective = jsd)' where it
    has none.
    """
    own = config['method']
    label = run_files.look(run_files.Run(config, [])).label
    changed = {
        name: value
        for name, plain in PLAIN.get(own['name'], {}).items()
        if (value := 'none' if own.get(name, plain) is None else own.get(name, plain)) != plain
    }
    named = [name for name, known in VARIANTS.items() if known == (own['name'], changed)]
    words = ', '.join(f'{name} = {value}' for name, value in changed.items())
    return named[0] if named else f'{label} ({words})' if changed else label


def read(folder: str | Path) -> Probed:
    """The run in `folder`.

    Raises:
        Unprobed: it has no probe.json, or one of fewer epochs, or without a linear probe on all
        labels.
        ValueError: the folder holds no run, or a damaged one.
    """
    folder = Path(folder)
    run, command = run_files.read(folder), f'python -m mi_ssl_jax.probe --workdir={folder}'
    if not run.lines or not (folder / 'probe.json').exists():
        raise Unprobed(f'{folder} has not been probed: {command}')
    found = run_files.probe_result(folder / 'probe.json')
    if found['settings']['epochs'] != run.config['epochs']:
        raise Unprobed(
            f'{folder} was probed for {found["settings"]["epochs"]} epochs, but is a run of '
            f'{run.config["epochs"]}: {command}'
        )
    rows = {
        row['encoder']: row
        for row in found['rows']
        if (row['probe'], row['labels']) == ('linear', 'all')
    }
    trained = [name for name in rows if name != 'raw inputs' and not name.startswith('untrained')]
    if not trained:
        raise Unprobed(
            f"{folder} has no linear probe on all labels: put 'all' into probe.labels of its "
            f'config.json, then {command}'
        )
    letters = run_files.by_letter(trained)
    lacking = [branch for branch in letters.values() if branch not in rows]
    if lacking:
        raise Unprobed(f'{folder} has no linear probe of {lacking[0]} on all labels: {command}')
    before = {
        letter: rows[name]
        for letter, branch in letters.items()
        if (name := f'untrained encoder ({branch})') in rows
    }
    return Probed(
        folder,
        run,
        variant(run.config),
        run.lines[-1]['epoch'],
        {letter: np.array(rows[branch]['seeds'], float) for letter, branch in letters.items()},
        {letter: np.array(row['seeds'], float) for letter, row in before.items()},
        rows[trained[0]]['protocol'],
    )


def read_all(folders: Sequence[str | Path]) -> tuple[list[Probed], list[str]]:
    """The probed runs, each folder once, and why the others are left out.

    Raises:
        ValueError: a folder holds no run, or none of them has been probed.
    """
    found, left_out = [], []
    for folder in dict.fromkeys(Path(folder).resolve() for folder in folders):
        shown = next(Path(given) for given in folders if Path(given).resolve() == folder)
        try:
            found.append(read(shown))
        except Unprobed as error:
            left_out.append(str(error))
    if not found:
        raise ValueError(left_out[0])
    return found, left_out


def pools(runs: Sequence[Probed]) -> list[Pool]:
    """The runs by variant and data set, in the order given.

    Raises:
        ValueError: runs of one pool differ in more than their seeds, or a seed is there twice.
    """
    groups: dict[tuple[str, str], list[Probed]] = {}
    for run in runs:
        groups.setdefault((run.variant, run.data), []).append(run)
    found = [Pool(*key, members) for key, members in groups.items()]
    for pool in found:
        _check(pool)
    return found


def shortfalls(run: Probed) -> list[str]:
    """List the differences between the run and the paper's setting for its data set (Table 1):
    network, length, batch, examples.
    """
    config, paper = run.run.config, run_files.paper()['table1']['settings'].get(run.data)
    if paper is None:
        return []
    batch = paper.get(f'batch_size_{run.method}', paper['batch_size'])
    limit = config['data'].get('limit', 0)
    found = [
        (
            config['net']['name'] != paper['network'],
            f'{config["net"]["name"]} instead of {paper["network"]}',
        ),
        (run.epochs < paper['epochs'], f'{run.epochs:g} of {paper["epochs"]} epochs'),
        (config['batch_size'] != batch, f'batch size {config["batch_size"]} instead of {batch}'),
        (limit, f'trained on {limit} examples only'),
    ]
    return [words for differs, words in found if differs]


def _check(pool: Pool) -> None:
    first, taken, what = pool.members[0], {}, f'{pool.variant} on {pool.data}'
    for member in pool.members:
        difference = next(_differences(first, member), None)
        if difference:
            field, here, there = difference
            raise ValueError(
                f'runs of {what} have no common mean: {field} is {here} in {first.folder} and '
                f'{there} in {member.folder}; give runs of one setting'
            )
        for seed in range(
            member.run.config['seed'], member.run.config['seed'] + member.run.config['seeds']
        ):
            if seed in taken:
                raise ValueError(
                    f'seed {seed} of {what} is in {taken[seed]} and in {member.folder}: give '
                    'each seed once'
                )
            taken[seed] = member.folder


def _differences(one: Probed, other: Probed) -> Iterator[tuple[str, Any, Any]]:
    if one.epochs != other.epochs:
        yield 'epochs trained', f'{one.epochs:g}', f'{other.epochs:g}'
    here, there = (dict(_settings(run.run.config)) for run in (one, other))
    for field in sorted(set(here) & set(there)):  # one alone has it: later versions added it
        if here[field] != there[field]:
            yield field, here[field], there[field]
    if one.protocol != other.protocol:
        yield 'the probe', f"'{one.protocol}'", f"'{other.protocol}'"


def _settings(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(field, value) of what a run depends on."""
    for name, value in run_files.settings(config):
        groups = [name[:end] for end, character in enumerate(name) if character == '.']
        if not {name, *groups} & set(FREE):
            yield name, value
