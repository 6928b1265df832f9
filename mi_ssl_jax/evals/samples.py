"""Samples of two variables as the estimators take them: checked, standardised, without copies."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = np.ndarray | jax.Array

CONSTANT = 4  # a column whose range is below so many rounding errors of its values is constant
LOOKED_AT = 10_000  # rows in which different values are counted
KEPT = 0.5  # share of a column's different values that float32 must keep apart
FEWEST_COPIES = 5  # rows that repeat more often, on average, are values of discrete variables
# Of standardised columns: a direction of less spread is the rounding error of float32, and a noise
# below it the same as none.
LEAST_SPREAD = 1e-6


class Pairs(NamedTuple):
    """x (N, Dx), y (N, Dy) float64, each column of mean 0 and standard deviation 1 (before copies
    were left out); row i of both belongs together. notes: what was done to the rows.
    """

    x: np.ndarray
    y: np.ndarray
    notes: tuple[str, ...]


def pairs(x: Array, y: Array) -> Pairs:
    """Check and standardise samples, and leave copies of rows out.

    A critic that has been trained on a row knows its copy: held-out parts must not hold any.

    Raises:
        ValueError: in one line, whatever no estimate can be made of.
    """
    x, y = numbers(x, 'x'), numbers(y, 'y')
    if len(x) != len(y):
        raise ValueError(
            f'x has {len(x)} rows and y has {len(y)}: row i of one must belong to row i of the'
            ' other'
        )
    return _without_copies(standardised(x, 'x'), standardised(y, 'y'))


def numbers(x: Array, name: str) -> np.ndarray:
    """(N, D) finite numbers in a type that holds them all. ValueError in one line."""
    if np.ma.is_masked(x):
        raise ValueError(f'{name} has masked values: leave their rows out of x and y')
    x = np.asarray(x)
    if x.dtype.kind not in 'fiub' and not jnp.issubdtype(x.dtype, jnp.floating):
        hint = ' (numpy saves bfloat16 so: convert it to float32 first)' * (x.dtype == 'V2')
        raise ValueError(f'{name} holds {x.dtype}, not real numbers{hint}')
    if x.ndim != 2:
        hint = (
            ': reshape it to (N, 1)'
            if x.ndim == 1
            else ': one row a sample, one column a dimension'
        )
        raise ValueError(f'{name} has shape {x.shape}, but samples are (N, D){hint}')
    if 0 in x.shape:
        raise ValueError(f'{name} has shape {x.shape}: there is nothing to estimate from')
    # Integers of 64 bits, and long doubles, pass what float64 can tell apart.
    x = x.astype(np.longdouble if x.dtype.itemsize >= 8 and x.dtype != float else np.float64)
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(
            f'{name} is not finite in row {row}, column {column}: remove such rows from x and y'
        )
    return x


def standardised(x: np.ndarray, name: str) -> np.ndarray:
    """Numbers (N, D) as float64, each column with mean 0 and standard deviation 1.

    Raises:
        ValueError: a constant column, or one whose largest values leave float32 no digits for the
            rest.
    """
    largest = np.maximum(np.abs(x).max(axis=0), np.finfo(x.dtype).tiny)
    scaled = x / largest  # squares, sums and ranges of values near 1e300 would overflow
    rounding = CONSTANT * np.finfo(x.dtype).eps
    constant = np.flatnonzero(np.ptp(scaled, axis=0) <= rounding)
    if constant.size:
        raise ValueError(
            f'{name} is constant in {_columns(constant)}: remove columns that carry no information'
        )
    centred = scaled - scaled.mean(axis=0)
    centred = centred / np.abs(centred).max(axis=0)  # a small range beside a large mean
    found = (centred / centred.std(axis=0)).astype(np.float64)
    _check_resolution(x, found, name)
    return found


def independent(x: np.ndarray) -> np.ndarray:
    """An orthonormal basis (N, R), R <= D, of what standardised columns (N, D) span."""
    basis, spread, _ = np.linalg.svd(x, full_matrices=False)
    return basis[:, spread > LEAST_SPREAD * spread[0]]


def gaussian_mi(x: np.ndarray, y: np.ndarray) -> float:
    """`core.gaussian_entropy.gaussian_mi` of standardised samples in float64, by their canonical
    correlations; columns that others determine count once.

    Raises:
        ValueError: as many dimensions as samples, or a combination of x's columns that is one of
            y's, of which the mutual information is infinite.
    """
    x, y = (independent(own - own.mean(axis=0)) for own in (x, y))
    if len(x) <= x.shape[1] + y.shape[1]:
        raise ValueError(
            f'{len(x)} samples in {x.shape[1]} + {y.shape[1]} dimensions have a singular'
            ' covariance: give more samples or fewer columns'
        )
    unexplained = 1 - np.square(np.linalg.svd(x.T @ y, compute_uv=False))
    if unexplained.min() < LEAST_SPREAD**2:
        raise ValueError(
            "a combination of x's columns equals one of y's: their mutual information is infinite;"
            ' leave out what both have'
        )
    return float(-np.log(unexplained).sum() / 2)


def dependent(x: np.ndarray, name: str) -> tuple[str, ...]:
    """A note where columns are combinations of others, which changes no mutual information."""
    extra = x.shape[1] - independent(x).shape[1]
    if not extra:
        return ()
    return (f'{extra} of the {x.shape[1]} columns of {name} are combinations of others',)


def _columns(numbers_: np.ndarray) -> str:
    more = ' and others' if numbers_.size > 5 else ''
    return f'column {", ".join(map(str, numbers_[:5]))}{more}'


def _check_resolution(x: np.ndarray, found: np.ndarray, name: str) -> None:
    step = -(-len(x) // LOOKED_AT)
    before, after = x[::step], found[::step].astype(np.float32)
    for column in range(x.shape[1]):
        had, has = (len(np.unique(own[:, column])) for own in (before, after))
        if has < KEPT * had:
            raise ValueError(
                f'{name} spans too many orders of magnitude in column {column}: beside its largest'
                f' values {had} different ones become {has}; take logarithms or ranks, which leave'
                ' mutual information as it is'
            )


def _without_copies(x: np.ndarray, y: np.ndarray) -> Pairs:
    both = np.concatenate([x, y], axis=1)
    first = _first_of_each(both)
    n, different = len(both), len(first)
    if different == n:
        return Pairs(x, y, ())
    if _copied(both[first], n):
        note = f'{n - different} of {n} rows are copies of others and are left out'
        return Pairs(x[first], y[first], (note,))
    note = (
        f'rows repeat ({different} different ones among {n}): right for discrete variables, but'
        ' copies of rows make the estimate too high: remove those first'
    )
    return Pairs(x, y, (note,))


def _first_of_each(rows: np.ndarray) -> list[int]:
    """The first place of each different row, in order."""
    seen: dict[bytes, int] = {}
    for place, row in enumerate(rows + 0.0):  # -0 is 0
        seen.setdefault(row.tobytes(), place)
    return list(seen.values())


def _copied(different: np.ndarray, n: int) -> bool:
    """Whether rows repeat because they were copied. Of continuous variables one column tells all
    rows apart; of discrete ones none does, or few values come very often.
    """
    values = max(len(np.unique(column)) for column in different.T)
    return n <= FEWEST_COPIES * len(different) and values > 0.9 * len(different)
