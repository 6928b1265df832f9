"""A run's files as numbers, and what each method is called and drawn in."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.figures import methods

ESTIMATORS = {'cos_dv': 'cos-DV', 'infonce': 'InfoNCE', 'jsd': 'JSD'}


class Run(NamedTuple):
    """config: the resolved configuration. lines: the points of metrics.jsonl, null filled (see
    `read`).
    """

    config: dict[str, Any]
    lines: list[dict[str, Any]]


class Gaps(NamedTuple):
    """Angles from each class centre to its nearest other one, in degrees: (seeds,) each; sd over
    centres.
    """

    mean: np.ndarray
    min: np.ndarray
    max: np.ndarray
    sd: np.ndarray


def read(workdir: str | Path) -> Run:
    """The run in `workdir`. null becomes -infinity in mutual information and NaN elsewhere.

    Raises:
        ValueError: config.json or metrics.jsonl is missing or damaged.
    """
    workdir = Path(workdir)
    config = _parse(_text(workdir / 'config.json'), workdir / 'config.json')
    path = workdir / 'metrics.jsonl'
    lines = [
        _parse(text, f'line {number} of {path}')
        for number, text in enumerate(_text(path).splitlines(), 1)
    ]
    return Run(
        config,
        [
            {
                key: _fill(value, -math.inf if key == 'mi' else math.nan)
                for key, value in line.items()
            }
            for line in lines
        ],
    )


def read_all(workdirs: Mapping[str, str | Path]) -> dict[str, Run]:
    """{method: run} in the paper's order, of the eight methods of the controlled experiment.

    Raises:
        ValueError: another method, or a run that cannot be read.
    """
    for name in workdirs:
        if name not in methods.METHODS:
            raise ValueError(
                f"no method '{name}' in the controlled experiment; "
                f'it has {", ".join(methods.METHODS)}'
            )
    return {name: read(workdirs[name]) for name in methods.METHODS if name in workdirs}


def series(run: Run, *path: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (T,) and values (T, seeds, ...) at `path`, such as 'mi', 'cos_dv', where the log has
    it.

    Raises:
        ValueError: no log point has it.
    """
    found = [(line['epoch'], value) for line in run.lines if (value := _at(line, path)) is not None]
    if not found:
        raise ValueError(f"no '{'/'.join(path)}' in metrics.jsonl: the run has not logged it (yet)")
    epochs, values = zip(*found)
    return np.array(epochs, float), np.array(
        [np.atleast_1d(np.asarray(value, float)) for value in values]
    )


def keys(run: Run, *path: str) -> list[str]:
    """The names that stand below `path` in any log point (phases, branches, estimators), sorted."""
    entries = [entry for line in run.lines if isinstance(entry := _at(line, path), dict)]
    return sorted({name for entry in entries for name in entry})


def final_gaps(run: Run, branch: str) -> Gaps:
    """Nearest-neighbour gaps at the last evaluation."""
    return Gaps(*(series(run, 'collapse', branch, 'nn_gap', name)[1][-1] for name in Gaps._fields))


def centres(run: Run, branch: str) -> np.ndarray:
    """Embedded class centres (T, seeds, views, K, D), of unit length, at each evaluation."""
    return series(run, 'centres', branch)[1]


def paths(run: Run, branch: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (T,) and the way of each centre (T, seeds, K, D): the direction midway between its
    views.
    """
    epochs, views = series(run, 'centres', branch)
    middle = views.mean(axis=2)
    return epochs, middle / np.linalg.norm(middle, axis=-1, keepdims=True)


def encoders(run: Run) -> dict[str, str]:
    """The branches that are results in themselves, by the paper's letter: {'f': 'theta', 'g': 'xi'}
    for SDMI's two trained encoders, {'': branch} where there is one (a branch that only follows is
    not listed).
    """
    names = keys(run, 'collapse')
    if not names:
        raise ValueError("no 'collapse' in metrics.jsonl: the run has not been evaluated (yet)")
    return {'f': 'theta', 'g': 'xi'} if 'xi' in names else {'': names[0]}


def representative(run: Run, branch: str) -> int:
    """The seed whose final mean gap is the (lower) median."""
    mean = final_gaps(run, branch).mean
    return int(np.argsort(mean, kind='stable')[(len(mean) - 1) // 2])


def seeds(runs: Sequence[Run]) -> str:
    """Return the number of seeds in words: '12 seeds', or '3 to 12 seeds' where the runs differ."""
    counts = sorted({run.config['seeds'] for run in runs})
    if counts == [1]:
        return '1 seed'
    return f'{counts[0]} seeds' if len(counts) == 1 else f'{counts[0]} to {counts[-1]} seeds'


def conditions(runs: Mapping[str, Run]) -> str:
    """How {label: run} were trained: 'resnet18, 1000 epochs, batch 512.'; by label where they
    differ.
    """
    found = {}
    for label, run in runs.items():
        done = run.lines[-1]['epoch'] if run.lines else 0
        words = f'{run.config["net"]["name"]}, {done:g} epochs, batch {run.config["batch_size"]}'
        found.setdefault(words, []).append(label)
    if len(found) == 1:
        return f'{next(iter(found))}.'
    return '; '.join(f'{", ".join(labels)}: {words}' for words, labels in found.items()) + '.'


def look(run: Run) -> methods.Look:
    """Return the appearance of the run's method; a user's own method is grey."""
    name = run.config['method']['name']
    return (methods.METHODS | methods.BEYOND).get(name, methods.Look(name, methods.OTHER, None))


def on_gaussian(run: Run) -> bool:
    """Whether this is the paper's controlled experiment, whose true mutual information is known."""
    return run.config['data']['name'] == 'gaussian'


def width(run: Run) -> int | None:
    """Number of features D of the embedding; None where the files do not say."""
    branches = keys(run, 'centres')
    if branches:
        return centres(run, branches[0]).shape[-1]
    projector = run.config['net']['projector']
    return projector[-1] if projector else None


def paper() -> dict[str, Any]:
    """The paper's tables and the true mutual information, each with its source."""
    return json.loads(Path(__file__).with_name('paper.json').read_text())


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f'{path} is missing: give the workdir of a run, or train one with '
            'python -m mi_ssl_jax.main --config=configs/NAME.py --workdir=...'
        ) from None


def _parse(text: str, where: str | Path) -> dict:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise ValueError(
            f'{where} is not JSON: the file is damaged; run the same command again to resume or '
            'redo the run'
        ) from None


def _fill(value: Any, missing: float) -> Any:
    if isinstance(value, dict):
        return {key: _fill(entry, missing) for key, entry in value.items()}
    if isinstance(value, list):
        return [_fill(entry, missing) for entry in value]
    return missing if value is None else value


def _at(line: dict, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(line, dict) or key not in line:
            return None
        line = line[key]
    return line
