"""The rows of cells.jsonl, which `reproduce mi_benchmark` writes, as numbers.

A row is {task, bound, critic, samples, fits, dims, truth, truth_error, kind, ceiling, values}:
nats, one value a fit, null for one that is not finite; kind is 'lower', 'upper' or 'neither'.
"""

import math
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.figures import statistics

SECOND_ORDER = 'gaussian_mi'
ROUNDING = 1e-6  # nats, of estimates in float32


class Estimated(NamedTuple):
    """One cell in numbers, nats. se: standard error of the mean over fits, NaN where that is not
    finite.
    """

    task: str
    name: str
    kind: str
    mean: float
    se: float
    truth: float
    truth_error: float
    fits: int

    @property
    def bias(self) -> float:
        return self.mean - self.truth

    @property
    def above(self) -> bool:
        """Above the truth by more than two standard errors of the fits, the truth's own error and
        rounding.
        """
        return self.bias > 2 * self.se + self.truth_error + ROUNDING


def estimated(row: dict) -> Estimated:
    """The mean of a row's fits with its standard error."""
    values = np.array([np.nan if value is None else value for value in row['values']])
    spread = statistics.spread(values)
    critic = row['critic'] if row['critic'] not in (None, 'conditional') else ''
    return Estimated(
        row['task'],
        f'{row["bound"]} {critic}'.strip(),
        row['kind'],
        spread.mean,
        spread.sd / math.sqrt(len(values)),
        row['truth'],
        row['truth_error'],
        len(values),
    )
