"""A run's files as numbers, and what each method is called and drawn in."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.figures import methods, statistics

ESTIMATORS = {'cos_dv': 'cos-DV', 'infonce': 'InfoNCE', 'jsd': 'JSD'}

_NUMBER = (int, float)
_FIELDS = {  # of a configuration, what figures and tables need of it
    **dict.fromkeys(('seed', 'seeds', 'batch_size', 'epochs'), int),
    **dict.fromkeys(('lr', 'weight_decay', 'mi.temperature'), _NUMBER),
    **{f'{group}.name': str for group in ('method', 'data', 'views', 'optimizer', 'net')},
    'net.projector': list,
}
_ROW = {'encoder': str, 'probe': str, 'labels': str, 'protocol': str, 'seeds': list}
_RESUME = (
    'if the run was interrupted, its command goes on from the last checkpoint; else train it anew'
    ' in another workdir'
)
LETTERS = {'theta': 'f', 'xi': 'g'}  # SDMI's encoders in the paper
CONFIG_REMEDY = 'remove it, and the command that trained the run writes it anew'


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
    path = Path(workdir) / 'config.json'
    config = json_value(path, dict, CONFIG_REMEDY)
    for name, kind in _FIELDS.items():
        if not isinstance(_at(config, tuple(name.split('.'))), kind):
            raise ValueError(f'{path} is damaged (its {name}): {CONFIG_REMEDY}')
    lines = [
        {key: _fill(value, -math.inf if key == 'mi' else math.nan) for key, value in line.items()}
        for line in log(path.with_name('metrics.jsonl'))
    ]
    return Run(config, lines)


def log(path: Path) -> list[dict[str, Any]]:
    """The points of a metrics.jsonl as they stand there.

    Raises:
        ValueError: it is missing, or a line is no point, or has other shapes than those before it.
    """
    found: list[dict[str, Any]] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for where, point in points(path, _RESUME):
        if not set(point.get('mi', ())) <= set(ESTIMATORS):
            raise ValueError(f'{where} is damaged (its mi): {_RESUME}')
        for name, value in _leaves(point):
            try:
                shape = np.asarray(value, float).shape
            except (TypeError, ValueError):
                shape = None
            if shape is None or shapes.setdefault(name, shape) != shape:
                raise ValueError(f'{where} is damaged (its {name}): {_RESUME}')
        found.append(point)
    return found


def points(path: Path, remedy: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line of a file of log points, as a dict with an epoch, and where it stands. remedy: what
    to do if one is damaged.

    Raises:
        ValueError: the file is missing, or a line is no point.
    """
    for number, line in enumerate(_bytes(path).splitlines(), 1):
        where = f'line {number} of {path}'
        point = _parse(line, dict, where, remedy)
        if not isinstance(point.get('epoch'), _NUMBER):
            raise ValueError(f'{where} is damaged (its epoch): {remedy}')
        yield where, point


def probe_result(path: Path) -> dict[str, Any]:
    """Read and check a probe.json.

    Raises:
        ValueError: it is missing or damaged.
    """
    name, folder = '--best ' * (path.name == 'probe_best.json'), path.parent
    remedy = f'python -m mi_ssl_jax.probe {name}--workdir={folder} makes it anew'
    found = json_value(path, dict, remedy)
    rows = found.get('rows')
    whole = isinstance(_at(found, ('settings', 'epochs')), _NUMBER) and isinstance(rows, list)
    if not whole or not rows or not all(_is_row(row) for row in rows):
        raise ValueError(f'{path} is damaged: {remedy}')
    return found


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(key), kind) for key, kind in _ROW.items())
        and len(row['seeds']) > 0
        and all(isinstance(value, _NUMBER) for value in row['seeds'])
    )


def json_value(path: Path, kind: type, remedy: str) -> Any:
    """The value of a JSON file, a dict or list. remedy: what to do if it is damaged.

    Raises:
        ValueError: it is missing, damaged or of another kind.
    """
    return _parse(_bytes(path), kind, path, remedy)


def settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(field, value) of a configuration; of net.options those of its own network alone."""
    net = config['net']
    options = net.get('options')
    own = {name: options[name] for name in options or () if name == net['name']}
    yield from _leaves({**config, 'net': {**net, 'options': own}})


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
    return by_letter(names)


def by_letter(branches: Sequence[str]) -> dict[str, str]:
    """{the paper's letter: branch} of SDMI's encoders, {'': branch} of the first of others."""
    if 'xi' in branches:
        return {letter: branch for branch, letter in LETTERS.items()}
    return {'': branches[0]}


def representative(run: Run, branch: str) -> int:
    """The seed whose final mean gap is the (lower) median."""
    mean = final_gaps(run, branch).mean
    return int(np.argsort(mean, kind='stable')[(len(mean) - 1) // 2])


def seeds(runs: Sequence[Run]) -> str:
    """Return the number of seeds in words: '12 seeds', or '3 to 12 seeds' where the runs differ."""
    counts = sorted({run.config['seeds'] for run in runs})
    last = statistics.counted(counts[-1], 'seed')
    return last if len(counts) == 1 else f'{counts[0]} to {last}'


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


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f'{path} is missing: give the workdir of a run, or train one with '
            'python -m mi_ssl_jax.main --config=configs/NAME.py --workdir=...'
        ) from None
    except OSError as error:
        raise ValueError(f'cannot read {path}: {error.strerror}') from None


def _parse(data: bytes, kind: type, where: str | Path, remedy: str) -> Any:
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError):  # UnicodeDecodeError is one, too
        raise ValueError(f'{where} is not JSON: it is damaged; {remedy}') from None
    if not isinstance(value, kind):
        raise ValueError(f'{where} is damaged (it holds no {kind.__name__}): {remedy}')
    return value


def _leaves(value: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of what is no dict."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _leaves(entry, f'{name}.{key}' if name else key)
    else:
        yield name, value


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
