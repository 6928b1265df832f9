"""The command line, the arrays and the words of estimate_mi."""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from mi_ssl_jax.cli import guard, tables
from mi_ssl_jax.data import npy
from mi_ssl_jax.evals import estimate
from mi_ssl_jax.evals.estimate import Estimate

SPREAD = (
    "spread of fits: 95 %, by Student's t, for the mean of such fits to these samples; it does not"
    ' promise to hold the true value'
)
KINDS = {'lower': 'a lower bound', 'upper': 'an upper bound', 'neither': 'no bound'}


def load(path: Path) -> np.ndarray:
    """The array of one .npy file, or the columns of a .csv one: FILE.csv, or FILE.csv:NAME,NAME.

    Raises:
        ValueError: in one line, for anything else.
    """
    file, _, names = str(path).partition('.csv')
    if str(path) != file and (not names or names.startswith(':')):
        return tables.columns(Path(f'{file}.csv'), names[1:].split(',') if names else None)
    return npy.load(path)


def table(found: dict[str, Estimate]) -> str:
    """One line a quantity."""
    lines = [f'{"":12}{"nats":>8}  {"spread of fits":20}fits']
    for name, one in found.items():
        interval = f'[{one.interval[0]:.3f}, {one.interval[1]:.3f}]'
        lines.append(
            f'{name:12}{one.mi:8.3f}  {interval:20}'
            + ' '.join(f'{value:.3f}' for value in one.fits)
        )
    return '\n'.join(lines)


def remarks(found: dict[str, Estimate]) -> list[str]:
    """The estimators and their limits, and what to mind of each quantity."""
    lines = list(dict.fromkeys(map(_limit, found.values())))
    own = [f'{name}: {note}' for name, one in found.items() for note in one.notes[1:]]
    return [*lines, SPREAD, *own]


def _limit(one: Estimate) -> str:
    with_critic = f' with a {one.critic} critic' if one.critic else ''
    ceiling = '' if one.ceiling is None else f' (ceiling {one.ceiling:.2f} nats)'
    return f'{one.bound}{with_critic}: {KINDS[one.kind]}; {one.notes[0]}{ceiling}'


def check_finite(found: dict[str, Estimate]) -> None:
    """Raise ValueError, in one line, where an estimate is not a number."""
    unknown = [name for name, one in found.items() if not math.isfinite(one.mi)]
    if unknown:
        raise ValueError(
            f'no finite estimate of {", ".join(unknown)}: try another bound (infonce is the'
            ' steadiest) or more samples'
        )


def arguments(about: str) -> argparse.Namespace:
    """The arguments of the command, checked. about: what --help says first."""
    parser = guard.Parser(prog='python -m mi_ssl_jax.estimate_mi', description=about)
    parser.add_argument(
        'arrays',
        nargs='*',
        type=Path,
        metavar='FILE',
        help='X (N, Dx) and Y (N, Dy): X.npy, X.csv or columns of it, X.csv:age,height',
    )
    parser.add_argument(
        '--workdir', type=Path, help='the folder of a finished run, instead of arrays'
    )
    parser.add_argument('--bound', default='infonce', help=f'one of {", ".join(estimate.bounds())}')
    parser.add_argument('--critic', help=f'one of {", ".join(estimate.critics_of("infonce"))}')
    parser.add_argument(
        '--fits', type=int, default=5, help='number of fits, each with its own critic and split'
    )
    parser.add_argument(
        '--steps', type=int, default=estimate.STEPS, help='training steps of a fit, at most'
    )
    parser.add_argument('--batch_size', type=int, help='examples per training step')
    parser.add_argument('--seed', type=int, default=0, help='of the splits and critics')
    parser.add_argument('--json', type=Path, help='also write the result to this file')
    args = parser.parse_args()
    if len(args.arrays) != (0 if args.workdir else 2):
        parser.error('give two files, X.npy and Y.npy (or .csv), or --workdir=RUN')
    if not 0 <= args.seed < 2**32:
        parser.error(f'--seed={args.seed} must be from 0 to {2**32 - 1:,}')
    if args.json and args.json.is_dir():
        parser.error(f'--json={args.json} is a folder: name a file in it')
    if args.json and not args.json.parent.is_dir():
        parser.error(f'there is no folder {args.json.parent} for --json')
    return args


def write(path: Path, result: dict) -> None:
    """Write a result as JSON. ValueError, in one line, where that cannot be."""
    try:
        path.write_text(json.dumps(result, indent=1) + '\n')
    except OSError as error:
        raise ValueError(f'cannot write {path}: {error.strerror}') from error
    print(f'wrote {path}')
