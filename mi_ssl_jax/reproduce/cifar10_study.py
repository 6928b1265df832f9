"""All methods of Table 1 and the ablations of Figure 4 on CIFAR-10, in small enough a setting for
two CPU cores.

Each finished run leaves its numbers in a small folder that reads like a run's, and is skipped from
then on: the study may be stopped and continued anywhere. Several processes may share the work.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax.evals import knn
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.figures import probes as probes_of_runs
from mi_ssl_jax.figures.methods import METHODS
from mi_ssl_jax.figures.paper import figure2, figure4, scatter, study, table1
from mi_ssl_jax.reproduce import cifar10, finished_runs
from mi_ssl_jax.runs import after_training, probes, run, run_folder
from mi_ssl_jax.train import loop

RESULTS = Path(__file__).parent / 'results' / 'cifar10_study'
MORE_NEIGHBOURS = 200  # of a second kNN beside the configurations' own
DIGITS = 5  # of the numbers kept


class Plan(NamedTuple):
    """The setting of the study.

    runs: {configuration: seeds}, in the order of their worth. parents: {ablation: the method whose
    learning rate it takes}. lrs: from which each method's is chosen. search_epochs, epochs: of a
    run of the choice and of the study. size: of the views, px. limit: training images, 0 = all.
    held_out: training images by which the learning rate is chosen.
    """

    runs: dict[str, int]
    parents: dict[str, str]
    lrs: tuple[float, ...] = (0.05, 0.15, 0.5)
    search_epochs: int = 5
    epochs: int = 40
    mi_every: int = 2
    size: int = 16
    width: int = 16
    batch_size: int = 256
    limit: int = 0
    held_out: int = 5000


STUDY = Plan(
    {
        'jmi': 3,
        'sdmi': 3,
        'simclr': 3,
        'simsiam': 3,
        'barlow': 1,
        'vicreg': 1,
        'byol': 1,
        'mocov3': 1,
        'simsiam_nopred': 1,
        'sdmi_nodv': 1,
        'sdmi_nodv_pred': 1,
        'simsiam_sdmi': 1,
    },
    {
        'simsiam_nopred': 'simsiam',
        'simsiam_sdmi': 'simsiam',
        'sdmi_nodv': 'sdmi',
        'sdmi_nodv_pred': 'sdmi',
    },
)


class Job(NamedTuple):
    """One training: a configuration at a seed, or one of the choice of its learning rate."""

    name: str
    config: ConfigDict

    @property
    def search(self) -> bool:
        return self.name.startswith('choice_')


def reproduce(
    *,
    workdir: Path,
    methods: Sequence[str] = (),
    results: Path | None = None,
    plan: Plan = STUDY,
    say: Callable[[str], None] = print,
) -> None:
    """Train what is missing; then tabulate, draw and report what is there.

    methods: with their ablations; all where none is named. results: RESULTS unless given.
    """
    results = results or RESULTS
    asked = {
        name: seeds
        for name, seeds in plan.runs.items()
        if not methods or plan.parents.get(name, name) in methods
    }
    train(plan._replace(runs=asked), workdir, results, say)
    report(plan, workdir, results)


def report(plan: Plan, workdir: Path, results: Path) -> None:
    """Tables and pictures of the runs in `results`, and report.md, in `workdir`."""
    folders = finished(plan, results)
    if not folders:
        print(f'no run of the study is finished in {results}')
        return
    found, left_out = probes_of_runs.read_all(sum(folders.values(), []))
    pools = probes_of_runs.pools(found)
    first = {name: own[0] for name, own in folders.items() if name in METHODS}
    shown = [
        study.choices(choices(plan, results)),
        table1.table(pools, ('cifar10',)),
        study.ranks(pools),
        study.accuracies(found),
        figure2.table(first),
        study.falls(first),
        scatter.table(found),
    ]
    pictures = [
        figure2.draw(first, workdir / 'figures' / 'figure2.png'),
        scatter.draw(found, workdir / 'figures' / 'scatter.png'),
    ]
    if any(pool.variant in figure4.CLAIMS for pool in pools):
        shown.append(figure4.table(pools))
        pictures.append(figure4.draw(pools, workdir / 'figures' / 'figure4.png'))
    finished_runs.write(
        workdir,
        '# All methods on CIFAR-10 in small',
        [*shown, table1.settings(pools)],
        left_out,
        pictures,
    )


def train(plan: Plan, workdir: Path, results: Path, say: Callable[[str], None] = print) -> bool:
    """Train what `results` lacks, in `workdir`. Returns whether nothing is left to do.

    What another process trains at the time is left to it. results: a folder, made here; one folder
    a finished run, see `keep`.
    """
    left = set()
    for name, seeds in _rounds(plan):
        parent = plan.parents.get(name, name)
        if not _each(searches(plan, parent), workdir, results, left, say, plan):
            continue
        lr = chosen(plan, parent, results)
        _each([job(plan, name, lr, seeds)], workdir, results, left, say, plan)
    for name in sorted(left):
        say(f'{name} is being trained by another process')
    return not left


def searches(plan: Plan, name: str) -> list[Job]:
    """The runs among which a method's learning rate is chosen."""
    found = []
    for lr in plan.lrs:
        config = _config(plan, name, lr, plan.search_epochs)
        config.probe.at_end, config.mi.every = False, plan.search_epochs
        found.append(Job(f'choice_{name}_{lr:g}', config))
    return found


def job(plan: Plan, name: str, lr: float, number: int) -> Job:
    """A run of the study. number: of its seed, from 0."""
    config = _config(plan, name, lr, plan.epochs)
    config.seed += number
    return Job(f'{name}_{number}', config)


def chosen(plan: Plan, name: str, results: Path) -> float:
    """The learning rate whose encoder classifies held-out training images best."""
    scores = {lr: _score(results / f'choice_{name}_{lr:g}') for lr in plan.lrs}
    return max(scores, key=lambda lr: scores[lr])


def choices(plan: Plan, results: Path) -> dict[str, dict[float, float]]:
    """{method: {learning rate: kNN top-1 in percent, NaN where it diverged}} of what is there."""
    return {
        name: {
            lr: _score(results / f'choice_{name}_{lr:g}', missing=np.nan)
            for lr in plan.lrs
            if (results / f'choice_{name}_{lr:g}').exists()
        }
        for name in plan.runs
        if name not in plan.parents
    }


def finished(plan: Plan, results: Path) -> dict[str, list[Path]]:
    """{configuration: the folders of its seeds} of the runs that are there."""
    found = {
        name: [
            folder for number in range(seeds) if (folder := results / f'{name}_{number}').exists()
        ]
        for name, seeds in plan.runs.items()
    }
    return {name: folders for name, folders in found.items() if folders}


def _rounds(plan: Plan) -> Iterator[tuple[str, int]]:
    """(configuration, seed number): everything once, then what has further seeds."""
    for number in range(max(plan.runs.values())):
        yield from ((name, number) for name, seeds in plan.runs.items() if number < seeds)


def _config(plan: Plan, name: str, lr: float, epochs: int) -> ConfigDict:
    config = cifar10.configuration(
        name,
        net='conv4',
        epochs=epochs,
        seeds=1,
        batch_size=plan.batch_size,
        mi_every_steps=0,
    )
    config.lr, config.mi.every, config.data.limit = lr, plan.mi_every, plan.limit
    config.views.options.size = plan.size
    config.net.options.conv4.width = plan.width
    return config


def _each(
    jobs: list[Job], workdir: Path, results: Path, left: set[str], say: Callable, plan: Plan
) -> bool:
    """Do what is not done. Returns whether all of it is; adds to `left` what others are doing."""
    for own in jobs:
        if (results / own.name).exists():
            continue
        try:
            _do(own, workdir / own.name, results, plan)
        except run_folder.InUse:
            left.add(own.name)
        else:
            say(f'finished {own.name}')
    return all((results / own.name).exists() for own in jobs)


def _do(own: Job, workdir: Path, results: Path, plan: Plan) -> None:
    try:
        ready = run.run(own.config, workdir)
    except loop.Diverged as error:
        keep(workdir, results / own.name, {'diverged': str(error)})
        return
    if own.search:
        keep(workdir, results / own.name, {'choice': choice(ready, workdir, plan.held_out)})
        return
    after_training.finish(ready, workdir)
    keep(workdir, results / own.name, {}, rows=more_neighbours(ready, workdir))


def choice(ready: experiments.Setup, workdir: Path, held_out: int) -> float:
    """Top-1 in percent of kNN on the last `held_out` training images, the others as its bank."""
    _, own = next(_features(ready, workdir))
    options = ready.config.probe
    found = knn.evaluate(
        own.train[:-held_out],
        own.train_y[:-held_out],
        own.train[-held_out:],
        own.train_y[-held_out:],
        classes=ready.source.classes,
        k=options.knn_neighbours,
        temperature=options.knn_temperature,
    )
    return found.top1


def more_neighbours(ready: experiments.Setup, workdir: Path) -> list[dict[str, Any]]:
    """Rows as of probe.json: kNN with MORE_NEIGHBOURS."""
    rows = []
    for branch, own in _features(ready, workdir):
        found = knn.evaluate(
            *own,
            classes=ready.source.classes,
            k=MORE_NEIGHBOURS,
            temperature=ready.config.probe.knn_temperature,
        )
        rows.append(
            {
                'encoder': branch,
                'probe': f'kNN, k = {MORE_NEIGHBOURS}',
                'labels': 'all',
                'seeds': [found.top1],
                'top5': [found.top5],
                'protocol': found.protocol,
            }
        )
    return rows


def _features(ready: experiments.Setup, workdir: Path) -> Iterator[tuple[str, probes.Frozen]]:
    """(branch, features) of each branch that is trained."""
    population, _ = run.restore(ready, workdir)
    variables = population.first().variables
    for branch in dict.fromkeys(phase.trains for phase in ready.method.phases):
        yield branch, probes.backbone_features(ready, variables[branch], branch)


def keep(
    workdir: Path, folder: Path, more: dict[str, Any], rows: Sequence[dict[str, Any]] = ()
) -> None:
    """Copy the numbers of a finished run: configuration, evaluations and probes.

    folder: appears whole or not at all. Its files are those of a run's folder, metrics.jsonl with
    the lines of evaluations alone; `more` stands in study.json, `rows` in probe.json.
    """
    scratch = folder.with_name(f'.{folder.name}')
    scratch.mkdir(parents=True, exist_ok=True)
    lines = map(json.loads, (workdir / 'metrics.jsonl').read_text().splitlines())
    kept = [json.dumps(_rounded(line)) for line in lines if 'mi' in line]
    (scratch / 'metrics.jsonl').write_text('\n'.join(kept) + '\n')
    run_folder.write_json(
        scratch / 'config.json', json.loads((workdir / 'config.json').read_text())
    )
    if (workdir / 'probe.json').exists():
        found = json.loads((workdir / 'probe.json').read_text())
        run_folder.write_json(
            scratch / 'probe.json', _rounded({**found, 'rows': [*found['rows'], *rows]})
        )
    run_folder.write_json(scratch / 'study.json', more)
    scratch.replace(folder)


def _score(folder: Path, missing: float = -1.0) -> float:
    return json.loads((folder / 'study.json').read_text()).get('choice', missing)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_rounded(own) for own in value]
    return float(f'{value:.{DIGITS}g}') if isinstance(value, float) else value
