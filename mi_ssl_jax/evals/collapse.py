"""Has a run collapsed? Figures of held-out embeddings, and one plain sentence when they say so.

A final batch norm fixes each feature's variance, so the standard deviation alone cannot see classes
merge behind it; the angles between class means can.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax.core import linalg, sphere

Figures = Mapping[str, Any]

# A fifth of 1 / sqrt(D), the spread of an even distribution: some 11 degrees around the mean
# direction.
LOW_STD = 0.2
# One direction has effective rank 1; two directions of equal weight have 2.
LOW_RANK = 1.5
# The paper's five centres are 72 to 90 degrees apart when well separated; merged ones at 10 and
# below.
LOW_GAP = 10.0
# Merging: below this share of the run's widest gap. On the Gaussian mixture (100 epochs, 6 seeds)
# SDMI, JMI, Barlow Twins and VICReg ended at 0.98 or more, BYOL at 0.4 to 0.9, SimSiam without
# predictor at 0.5 to 0.95.
GAP_FALL = 0.5


def figures(z: chex.Array, y: chex.Array, *, classes: int) -> dict[str, Any]:
    """Collapse figures of embeddings z (N, D) with labels y (N,).

    std: mean over features of the standard deviation of the normalised rows; 1 / sqrt(D) when
    spread evenly,
    0 when collapsed. effective_rank: RankMe of z, 1 when collapsed. nn_gap: mean, min, max, sd over
    classes of the angle to the nearest other class mean in degrees, of means of normalised rows;
    NaN when a class of range(classes) is absent, left out when there are fewer than two.
    """
    chex.assert_rank([z, y], [2, 1])
    chex.assert_equal_shape_prefix([z, y], 1)
    chex.assert_type([z, y], [float, int])
    spread = {'std': sphere.feature_std(z), 'effective_rank': sphere.effective_rank(z)}
    if classes < 2:
        return spread
    return {**spread, 'nn_gap': sphere.nn_angle_gaps(class_means(z, y, classes=classes))._asdict()}


def class_means(z: chex.Array, y: chex.Array, *, classes: int) -> jax.Array:
    """Mean (classes, D) of the normalised rows of each class; NaN for a class without examples."""
    members = jax.nn.one_hot(y, classes, dtype=jnp.promote_types(z.dtype, jnp.float32))
    return linalg.matmul(members.T, linalg.unit(z)) / jnp.sum(members, axis=0)[:, None]


def sentence(now: Figures, *, dimension: int, history: Sequence[Figures] = ()) -> str | None:
    """One line when embeddings of width `dimension` have collapsed, None otherwise; for trained
    encoders.

    A run is said to collapse when, in this order: its std is below `LOW_STD` / sqrt(D); its
    effective rank is below `LOW_RANK`; its mean gap between class means is below `LOW_GAP` degrees;
    partly, when that gap is below `GAP_FALL` of its widest in `history` (figures of the same run at
    earlier epochs, without the untrained ones). Figures hold numbers, or one number for each seed.
    """
    spread = _seeds(now['std']) * np.sqrt(dimension)
    rank = _seeds(now['effective_rank'])
    gap = _gap(now)
    widest = np.max([_gap(past) for past in (*history, now)], axis=0)
    findings = [
        (
            'collapse: embeddings are nearly the same: their spread is {:.2f} of an even one',
            spread < LOW_STD,
            [spread],
        ),
        (
            'collapse: embeddings lie along one direction: their effective rank is {:.2f}',
            rank < LOW_RANK,
            [rank],
        ),
        (
            'collapse: the classes have merged: their means are {:.1f} degrees apart',
            gap < LOW_GAP,
            [gap],
        ),
        (
            (
                'partial collapse: the classes are merging: their means, once {:.1f} degrees apart,'
                ' are now {:.1f}'
            ),
            gap < GAP_FALL * widest,
            [widest, gap],
        ),
    ]
    for text, found, values in findings:
        if found.any():
            seeds = f' ({found.sum()} of {len(found)} seeds)' if len(found) > 1 else ''
            return text.format(*(value[found].mean() for value in values)) + seeds
    return None


def findings(history: Sequence[Mapping[str, Any]], width: int) -> dict[str, str]:
    """{branch: sentence} of the branches that the last evaluation shows collapsed, or collapsing.

    history: the 'collapse' of each evaluation in metrics.jsonl, the untrained encoder's first.
    width: of the embeddings.
    """
    if len(history) < 2:
        return {}
    found = {
        branch: sentence(figures, dimension=width, history=[past[branch] for past in history[1:]])
        for branch, figures in history[-1].items()
    }
    return {branch: said for branch, said in found.items() if said}


def kinds(found: Mapping[str, str]) -> dict[str, str]:
    """Findings without their figures: 'collapse: the classes have merged'."""
    return {branch: ':'.join(said.split(':')[:2]) for branch, said in found.items()}


def collapsed_for(history: Sequence[Mapping[str, Any]], width: int, *, most: int) -> int:
    """Count the most recent evaluations in a row, at most `most`, that show a branch collapsed; a
    partial collapse does not count.
    """
    for count in range(most):
        found = findings(history[: len(history) - count], width)
        if not any(said.startswith('collapse') for said in found.values()):
            return count
    return most


def _gap(figures: Figures) -> np.ndarray:
    return _seeds(figures['nn_gap']['mean'] if 'nn_gap' in figures else None)


def _seeds(value: Any) -> np.ndarray:
    """(seeds,) float; what could not be measured (None in the metrics file) compares as not
    collapsed.
    """
    return np.atleast_1d(np.asarray(value, dtype=float))
