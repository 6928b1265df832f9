"""Information between a finished run's embeddings, and between them and their input (arXiv
2510.01345, appendix A.4).

z1 = a(view 1), z2 = b(view 2) of the two branches between which the run watches mutual information
(SDMI: f and g), with views drawn afresh of the held-out examples; x is the example itself,
un-augmented. Given x the views are independent, so I(z1; z2) <= min(I(x; z1), I(x; z2)) (Eq. 29).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from mi_ssl_jax.core import streams
from mi_ssl_jax.evals import features
from mi_ssl_jax.evals.estimate import Estimate
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.runs import encoders, restoring, run_folder

RAW_FEATURES = 1024  # inputs of more numbers than this reach the critic by their embeddings alone


class Samples(NamedTuple):
    """Held-out samples, one row an example: embeddings of either view (N, D) and the input (N, Dx).

    notes: what a reader must know of them.
    """

    z1: np.ndarray
    z2: np.ndarray
    x: np.ndarray
    notes: tuple[str, ...]

    def pairs(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The three quantities of Eq. 29 by name."""
        return {
            'I(z1; z2)': (self.z1, self.z2),
            'I(x; z1)': (self.x, self.z1),
            'I(x; z2)': (self.x, self.z2),
        }


def samples(workdir: Path) -> Samples:
    """The samples of a finished run (its first seed).

    x holds, beside the input's own numbers, its embeddings a(x) and b(x). They are a function of x
    and so change no mutual information, and the critic need not learn the encoders anew. Inputs of
    more than 1,024 numbers are left out
    of it: the estimate is then of I(a(x), b(x); z) <= I(x; z).

    ValueError: not the folder of a finished run; data of another kind than points and images.
    """
    config = run_folder.read_config(workdir)
    ready = experiments.setup(config)
    if ready.source.rows != 1:
        raise ValueError(
            f'{config.data.name} holds graphs: points and images only have an input to compare with'
        )
    population, _ = restoring.restore(ready, workdir)
    variables = population.first().variables
    plain = inputs.plain(config, ready.source)
    held_out, tracked = ready.source.test.x, ready.method.tracked

    def encode(branch: str, view: int | None) -> np.ndarray:
        key = streams.evaluation(streams.FINISHED)
        return encoders.embeddings(ready, branch, variables[branch], held_out, key=key, view=view)

    x = np.asarray(jax.vmap(plain)(held_out)).reshape(len(held_out), -1)
    notes = [
        f'{len(held_out)} held-out examples of {config.data.name}; z1 = {tracked.a}(view 1), '
        f'z2 = {tracked.b}(view 2), x = the un-augmented example with its embeddings beside it'
    ]
    parts = [encode(branch, None) for branch in dict.fromkeys([tracked.a, tracked.b])]
    if x.shape[1] <= RAW_FEATURES:
        parts = [x, *parts]
    else:
        notes += [
            f"the input's own {x.shape[1]} numbers are left out: I(x; z) is bounded through"
            ' its embeddings'
        ]
    found = {
        'z1': encode(tracked.a, 0),
        'z2': encode(tracked.b, 1),
        'x': np.concatenate(parts, axis=1),
    }
    varying = {name: _varying(array, name, notes) for name, array in found.items()}
    return Samples(**varying, notes=tuple(notes))


def _varying(array: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    """The columns that are not constant; those that are carry no information (and are noted)."""
    kept = features.varying(array)
    if not kept.shape[1]:
        raise ValueError(
            f'{name} is the same for every held-out example: the run has collapsed, and I = 0'
        )
    if kept.shape != array.shape:
        notes.append(f'{array.shape[1] - kept.shape[1]} constant columns of {name} are left out')
    return kept


def verdict(found: Mapping[str, Estimate]) -> str:
    """State whether the estimates and the spread of their fits agree with Eq. 29."""
    views_ = found['I(z1; z2)'].interval
    inputs = [found[name].interval for name in ('I(x; z1)', 'I(x; z2)')]
    if views_[1] <= min(low for low, _ in inputs):
        return (
            'Eq. 29, I(z1; z2) <= min(I(x; z1), I(x; z2)): the estimates satisfy it, by more than'
            ' their fits spread'
        )
    if views_[0] <= min(high for _, high in inputs):
        return (
            'Eq. 29, I(z1; z2) <= min(I(x; z1), I(x; z2)): undecided, the estimates are as close as'
            ' their fits spread'
        )
    return (
        'Eq. 29, I(z1; z2) <= min(I(x; z1), I(x; z2)): the estimates violate it; since it is'
        ' a theorem, a bound on I(x; z) is too loose (or one on I(z1; z2) is not a bound)'
    )
