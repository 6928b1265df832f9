"""How often the intervals of `estimate_mi` hold the truth: independent draws of tasks of known MI.

By default the estimators that learn nothing, on tasks where they are near the truth and on some
where they are not: 200 draws of 1,000 samples, five fits each, in about four minutes on one core.
Of a bound that is learned the intervals are for the mean of such fits, which a loose bound holds
apart from the truth: both shares are counted.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from mi_ssl_jax.data import known_mi
from mi_ssl_jax.evals import estimate
from mi_ssl_jax.runs import run_folder

TASKS = (
    'gaussian_sparse_1x1',
    'gaussian_3x3_1nats',
    'gaussian_dense_5x1',
    'independent_1x1',
    'wiggly_1x1',
    'bimodal_1x1',
)


def reproduce(
    *,
    workdir: Path,
    tasks: Sequence[str] | None,
    bounds: Sequence[str] | None,
    samples: int,
    fits: int,
    draws: int,
    steps: int | None,
) -> None:
    """Measure, print a table and keep it in coverage.json."""
    for given, known, what in (
        (tasks, known_mi.NAMES, 'task'),
        (bounds, estimate.bounds(), 'bound'),
    ):
        unknown = [name for name in given or () if name not in known]
        if unknown:
            raise ValueError(f"no {what} '{unknown[0]}'; there are {', '.join(known)}")
    pairs = [(task, bound) for task in tasks or TASKS for bound in bounds or tuple(estimate.DIRECT)]
    with run_folder.claim(workdir):
        rows = [
            measure(
                task,
                bound,
                samples=samples,
                fits=fits,
                draws=draws,
                steps=estimate.STEPS if steps is None else steps,
            )
            for task, bound in tqdm(pairs, unit='cell', disable=None, dynamic_ncols=True)
        ]
        run_folder.write_json(workdir / 'coverage.json', rows)
    print(text(rows))
    print(f'wrote {workdir / "coverage.json"}')


def measure(task: str, bound: str, *, samples: int, fits: int, draws: int, steps: int) -> dict:
    """One estimator on fresh draws of a task: the share of its 95 % intervals that hold the truth,
    and of those that hold the mean of all draws' estimates; their mean width, the estimates' mean
    and standard deviation; nats.
    """
    known = known_mi.load(task)
    sample = jax.jit(known.sample, static_argnums=1)
    found = []
    for key in jax.random.split(jax.random.PRNGKey(zlib.crc32(task.encode())), draws):
        for_draw, for_fits = jax.random.split(key)
        x, y = map(np.asarray, sample(for_draw, samples))
        found.append(estimate.estimate_mi(x, y, bound=bound, key=for_fits, fits=fits, steps=steps))
    low, high = np.array([one.interval for one in found]).T
    values = np.array([one.mi for one in found])
    return {
        'task': task,
        'bound': bound,
        'samples': samples,
        'fits': fits,
        'draws': draws,
        'steps': steps,
        'truth': known.mi,
        'mean': float(values.mean()),
        'sd': float(values.std(ddof=1)),
        'width': float(np.mean(high - low)),
        'coverage': float(np.mean((low <= known.mi) & (known.mi <= high))),
        'of_mean': float(np.mean((low <= values.mean()) & (values.mean() <= high))),
    }


def text(rows: Sequence[dict]) -> str:
    """The rows as a table, with the standard errors of both shares."""
    head = (
        f'{"task":24}{"estimator":14}{"truth":>7}{"mean":>8}{"SD":>7}{"width":>7}  intervals that'
        ' hold the truth, their own mean'
    )
    lines = [head]
    for row in rows:
        truth, mean = (_percent(row[name], row['draws']) for name in ('coverage', 'of_mean'))
        lines.append(
            f'{row["task"]:24}{row["bound"]:14}{row["truth"]:7.3f}{row["mean"]:8.3f}'
            f'{row["sd"]:7.3f}{row["width"]:7.3f}  {truth}, {mean} of {row["draws"]}'
        )
    return '\n'.join(lines)


def _percent(share: float, draws: int) -> str:
    return f'{100 * share:.1f} ± {100 * np.sqrt(share * (1 - share) / draws):.1f} %'
