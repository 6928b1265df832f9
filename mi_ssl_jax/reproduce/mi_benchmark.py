"""Estimators of mutual information against the truth: bounds x critics x tasks, fresh samples for
every fit.

By default every bound with its first critic, and InfoNCE with all critics, on `TASKS`: Gaussians of
0 to 4 nats in 3 + 3 and 5 + 5 dimensions, sparse and dense ones up to 25 + 25, generalised
Gaussians, Student-t, uniform noise, mixtures, transforms, and embeddings with their labels;
`gaussian_mi`, `cca` and `ksg`, which learn nothing, on every task there is (`ksg` in up to 12
dimensions, above which its k-d tree compares all with all and it sees little). A cell takes about
10 s of CPU time, 6 of them to compile where bound, critic or dimensions are new; with the
concatenated critic about 35 s.
"""

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import chex
import jax
import numpy as np
from tqdm import tqdm

from mi_ssl_jax.data import known_mi
from mi_ssl_jax.evals import estimate
from mi_ssl_jax.figures.paper import mi_benchmark as figures
from mi_ssl_jax.runs import exits, run_folder
from mi_ssl_jax.runs.log import plain

TASKS = (
    *(f'gaussian_3x3_{mi:g}nats' for mi in known_mi.TARGETS),
    'independent_5x5',
    'gaussian_sparse_5x5',
    'gaussian_dense_25x25',
    'generalised_5x5_beta0.5',
    'generalised_5x5_beta8',
    'student_2x2_dof2',
    'student_2x2_dof2_asinh',
    'uniform_noise_1x1_width0.1',
    'mixture_cross_1x1',
    'mixture_clusters_2x2',
    'gaussian_sparse_1x1_half_cube',
    'gaussian_sparse_2x2_spiral',
    'wiggly_1x1',
    'bimodal_1x1',
    'swiss_roll_2x1',
    'waves_1x1',
    'inliers_1x1',
    'galaxy_2x1',
    'embeddings_labels_16x10',
)
MOST_KSG = 12  # dimensions of x and y in which nearest neighbours are asked by default
EVERY_CRITIC = 'infonce'  # the bound that the critics are compared with by default


class Cell(NamedTuple):
    """One estimator on one task. critic: None where it has none. samples: of each fit's own
    draw.
    """

    task: str
    bound: str
    critic: str | None
    samples: int
    fits: int


def reproduce(
    *,
    workdir: Path,
    tasks: Sequence[str] | None,
    bounds: Sequence[str] | None,
    critics: Sequence[str] | None,
    samples: int,
    fits: int,
) -> None:
    """Measure what cells.jsonl lacks, then tabulate, draw and judge.

    tasks, bounds, critics: None for the defaults.
    """
    wanted = list(cells(tasks, bounds, critics, samples=samples, fits=fits))
    if not wanted:
        raise ValueError(
            f'none of these bounds is learned with {", ".join(critics)}: choose others of '
            '--bounds, --critics'
        )
    with run_folder.claim(workdir):
        path = workdir / 'cells.jsonl'
        done = read(path)
        missing = [cell for cell in wanted if cell not in done]
        print(f'{len(wanted)} cells, {len(wanted) - len(missing)} of them found in {path}')
        try:
            with tqdm(missing, unit='cell', disable=None, dynamic_ncols=True) as bar:
                for cell in bar:
                    bar.set_description(f'{cell.task} {cell.bound} {cell.critic or ""}'.strip())
                    done[cell] = measure(cell)
                    append(path, done[cell])
        except KeyboardInterrupt:
            raise exits.Stopped(
                f'stopped; run the same command to continue from {path}', 130
            ) from None
        rows = [done[cell] for cell in wanted]
        written = figures.report(rows, workdir)
    print(figures.text(rows))
    for file in (path, *written):
        print(f'wrote {file}')


def cells(
    tasks: Sequence[str] | None,
    bounds: Sequence[str] | None,
    critics: Sequence[str] | None,
    *,
    samples: int,
    fits: int,
) -> Iterator[Cell]:
    """List the cells of a request, task by task. Raises ValueError for an unknown name."""
    for given, known, what in (
        (tasks, known_mi.NAMES, 'task'),
        (bounds, estimate.bounds(), 'bound'),
        (critics, _critics(), 'critic'),
    ):
        unknown = [name for name in given or () if name not in known]
        if unknown:
            raise ValueError(f"no {what} '{unknown[0]}'; there are {', '.join(known)}")
    for task in tasks or known_mi.NAMES:
        for bound in bounds or estimate.bounds():
            own = estimate.critics_of(bound)
            if not own and (bounds or bound != 'ksg' or known_mi.size(task) <= MOST_KSG):
                yield Cell(task, bound, None, samples, fits)
            elif tasks or task in TASKS:
                default = own if bound == EVERY_CRITIC else own[:1]
                yield from (
                    Cell(task, bound, critic, samples, fits)
                    for critic in own
                    if critic in (critics or default)
                )


def _critics() -> list[str]:
    return sorted({critic for bound in estimate.bounds() for critic in estimate.critics_of(bound)})


def measure(cell: Cell) -> dict:
    """The cell's row of cells.jsonl: the cell, the task's truth and its error, one value a fit;
    nats.

    Seven digits; None for what is not finite.
    """
    task = known_mi.load(cell.task)
    x, y = draws(cell)
    found = estimate.estimate_each(
        x,
        y,
        bound=cell.bound,
        critic=cell.critic,
        key=_key(f'{cell.bound} {cell.critic} {cell.task}'),
    )
    return plain(
        cell._asdict()
        | {
            'dims': [task.dx, task.dy],
            'truth': task.mi,
            'truth_error': task.error,
            'kind': found.kind,
            'ceiling': found.ceiling,
            'values': list(found.fits),
        }
    )


def draws(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """x (fits, samples, dx), y (fits, samples, dy): the same for all estimators of a task."""
    sample = jax.jit(known_mi.load(cell.task).sample, static_argnums=1)
    pairs = [sample(key, cell.samples) for key in jax.random.split(_key(cell.task), cell.fits)]
    return tuple(np.stack(own) for own in zip(*pairs))


def _key(words: str) -> chex.PRNGKey:
    return jax.random.PRNGKey(zlib.crc32(words.encode()))


def read(path: Path) -> dict[Cell, dict]:
    """The finished cells; what follows the last whole line, a write that was cut off, is removed.

    Raises:
        ValueError: a whole line that is no cell.
    """
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b'\n') + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    found = {}
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            found[Cell(*(row[name] for name in Cell._fields))] = row
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f'line {number} of {path} is damaged: remove that line, its cell is measured again'
            ) from None
    return found


def append(path: Path, row: dict) -> None:
    """One line, on disk when this returns."""
    with open(path, 'ab') as file:
        file.write(json.dumps(row, allow_nan=False).encode() + b'\n')
        file.flush()
        os.fsync(file.fileno())
