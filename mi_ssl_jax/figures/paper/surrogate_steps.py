"""The records of `reproduce surrogate`: surrogate.json and the value of each step.

surrogate.json holds `points`, `seeds`, `epochs` and `runs` of {method: records}, one an evaluation:
'epoch' and, by critic ('cosine 1': temperature 1; 'dot 0.5': Eq. 12 on standardised features, view
noise 0.5), lists over seeds.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

DOT, COSINE = 'dot 0.1', 'cosine 1'  # Barlow Twins' critic on views as in training; JMI's critic


class Measured(NamedTuple):
    """A run's numbers. epochs: (T,). rows: its records, see above."""

    epochs: np.ndarray
    rows: list[dict[str, Any]]

    def __call__(self, critic: str, what: str) -> np.ndarray:
        """(T, seeds)."""
        return np.array([row[critic][what] for row in self.rows], float)

    def last(self, critic: str, what: str) -> float:
        """After training, mean over seeds."""
        return float(self(critic, what)[-1].mean())

    def critics(self, kind: str) -> list[str]:
        """The critics of a kind: 'cosine' from warm to cold, 'dot' from little view noise to
        much.
        """
        own = [critic for critic in self.rows[0] if critic.startswith(kind)]
        return sorted(own, key=lambda critic: float(critic.split()[1]), reverse=kind == 'cosine')


# The steps in order: what stands there, its source, its value.
STEPS = {
    'log E[exp T], exact': lambda v: v(DOT, 'exact'),
    'E[T] + Var[T] / 2 (Eq. 23)': lambda v: v(DOT, 'second_order'),
    'bound on the difference': lambda v: v(DOT, 'bound'),
    'E[T] + Var[T], without the half (Eq. 11)': lambda v: v(DOT, 'mean') + v(DOT, 'variance'),
    'Var[T]': lambda v: v(DOT, 'variance'),
    'sum over i, j of A_ij B_ij': lambda v: v(DOT, 'auto'),
    'of it i ≠ j': lambda v: v(DOT, 'auto_off'),
    'sum over i ≠ j of C_ij C_ji (Eq. 28)': lambda v: v(DOT, 'cross'),
    'sum over i ≠ j of C_ij² (Eq. 13)': lambda v: v(DOT, 'squares'),
    '−DV, exact': lambda v: v(DOT, 'exact') - v(DOT, 'joint'),
    '−DV, second order (Eq. 24)': lambda v: v(DOT, 'second_order') - v(DOT, 'joint'),
    'Eq. 13': lambda v: v(DOT, 'eq13'),
    'Barlow Twins’ loss': lambda v: v(DOT, 'barlow'),
    'Barlow Twins’ loss of weight 1': lambda v: v(DOT, 'barlow_1'),
    'D − chi-squared bound': lambda v: v(DOT, 'width') - v(DOT, 'chi_squared'),
}


def runs_of(path: str | Path) -> dict[str, Measured]:
    """The runs of surrogate.json, by method."""
    return {
        name: Measured(np.array([row['epoch'] for row in rows], float), rows)
        for name, rows in read(path)['runs'].items()
    }


def read(path: str | Path) -> dict[str, Any]:
    """The whole of surrogate.json. ValueError: it cannot be read."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f'{path} cannot be read ({error}): run python -m mi_ssl_jax.reproduce surrogate'
        ) from None
