"""Numbers over seeds and along epochs, and which of many things stand for all."""

from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """One number's distribution over seeds. sd: sample standard deviation, NaN for one seed."""

    mean: float
    sd: float
    low: float
    high: float
    median: float
    seeds: int


def spread(values: np.ndarray) -> Spread:
    """Compute the spread of one value per seed (seeds,)."""
    sd = np.std(values, ddof=1) if len(values) > 1 else np.nan
    numbers = (np.mean(values), sd, np.min(values), np.max(values), np.median(values))
    return Spread(*map(float, numbers), len(values))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks (T, ...) along the first axis from 0, ties sharing their mean."""
    below = (values[:, None] > values[None]).sum(axis=1)
    return below + ((values[:, None] == values[None]).sum(axis=1) - 1) / 2


def spearman(epochs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rank correlation (seeds,) of epochs (T,) with values (T, seeds); NaN for a constant or one
    point.
    """
    time, level = ranks(epochs), ranks(values)
    time, level = time[:, None] - time.mean(), level - level.mean(axis=0)
    scale = np.sqrt((time**2).sum() * (level**2).sum(axis=0))
    return np.divide(
        (time * level).sum(axis=0), scale, out=np.full(len(scale), np.nan), where=scale > 0
    )


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of x (n,) and y (n,): pairs in the same order less those in the other, ties
    left out; NaN for a constant or one point.
    """
    one, other = (np.sign(values[:, None] - values[None]) for values in (x, y))
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale > 0 else np.nan


def rising(values: np.ndarray, *, tolerance: float) -> np.ndarray:
    """Share (seeds,) of steps from row to row of values (T, seeds) that fall by `tolerance` at
    most.
    """
    steps = np.diff(values, axis=0)
    return (steps >= -tolerance).mean(axis=0) if len(steps) else np.full(values.shape[1], np.nan)


def trained(epochs: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Only epochs from 1 on: curves are over training, and SimSiam's I(0) is -infinity by
    convention.
    """
    return epochs[epochs >= 1], values[epochs >= 1]


def number(value: float, digits: int) -> str:
    """A rounded number, without a negative zero; a dash for NaN."""
    return '–' if np.isnan(value) else f'{round(value, digits) + 0.0:.{digits}f}'


def evenly(size: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `size` things, evenly picked."""
    return np.arange(size) if size <= most else np.arange(most) * size // most


def counted(count: int, noun: str) -> str:
    """Return '1 seed', '12 seeds'."""
    return f'{count} {noun}{"s" * (count != 1)}'


def cell(values: np.ndarray, digits: int) -> str:
    """'88.6 ± 0.1', mean and SD of one value a seed; the mean alone for one seed, a dash for
    none.
    """
    if not len(values):
        return '–'
    over = spread(values)
    return number(over.mean, digits) + ('' if np.isnan(over.sd) else f' ± {over.sd:.{digits}f}')
