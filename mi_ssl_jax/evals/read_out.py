"""How much information two views share in an encoder, and whether it has collapsed: a read-out of
its embeddings, without training it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import stats

from mi_ssl_jax.core import streams
from mi_ssl_jax.core.types import Key
from mi_ssl_jax.evals import collapse, cosine_mi, estimate, features
from mi_ssl_jax.evals.estimate import Estimate

BOUNDS = ('infonce', 'dv', 'nwj', 'club')  # three lower ones and an upper one
# Share of examples at one value from which a column is left out for learned critics: the others
# would lie many deviations away, where a bound's exponential is anything.
TIED = 0.95


class ReadOut(NamedTuple):
    """Figures of embeddings of two views, (N, D) each."""

    cosine: Mapping[str, float]  # cos_dv, infonce, jsd with a cosine critic, which learns nothing
    intervals: Mapping[str, tuple[float, float]]  # of those, 95 % over examples
    learned: Mapping[str, Estimate]  # bound -> estimate by a critic that is trained for it, nats
    collapse: Mapping[str, Any]  # evals.collapse.figures: std, effective_rank, with labels nn_gap
    spread: float  # std over that of an even distribution, 1 / sqrt(D); 0 when collapsed
    examples: int  # N
    dimension: int  # D
    varying: int  # columns that are not constant
    notes: tuple[str, ...]  # what a reader must mind


def read_out(
    za: np.ndarray,
    zb: np.ndarray,
    z: np.ndarray | None = None,
    *,
    labels: np.ndarray | None = None,
    bounds: Sequence[str] = BOUNDS,
    key: Key,
    fits: int = 5,
    steps: int = estimate.STEPS,
    temperature: float = 1.0,
) -> ReadOut:
    """Measure what the embeddings of two views share, by several bounds, their collapse and rank.

    Args:
        za: (N, D) embeddings of view 1, one row an example, not normalised.
        zb: (N, D) embeddings of view 2; its row i belongs to row i of `za`.
        z: (N, D) embeddings of the examples without augmentation, of which collapse and rank are;
            None for those of view 1.
        labels: (N,) classes from 0, for the angles between their means; None without.
        bounds: names of `estimate_mi`, each with its own learned critic.
        key: random key, of the fits.
        fits: of each bound, each with its own critic and split.
        steps: of each fit, at most.
        temperature: of the cosine critic.

    Returns:
        A ReadOut, in nats. A bound on I(za; zb) bounds I(view 1; view 2) from below too, since
        embeddings hold no more than the views; an upper bound is of I(za; zb) alone.

    Raises:
        ValueError: arrays of other shapes, unknown bounds, too few rows.

    >>> x, noise = jax.random.normal(jax.random.PRNGKey(0), (2, 500, 2))
    >>> found = ms.read_out(x, x + noise, bounds=('gaussian_mi',), key=jax.random.PRNGKey(1))
    >>> f"{found.learned['gaussian_mi'].mi:.1f}, rank {found.collapse['effective_rank']:.1f} of 2"
    '0.7, rank 2.0 of 2'
    """
    za, zb = (np.asarray(own, np.float32) for own in (za, zb))
    z = za if z is None else np.asarray(z, np.float32)
    if za.ndim != 2 or not za.shape == zb.shape == z.shape or len(za) < cosine_mi.FEWEST:
        raise ValueError(
            f'embeddings of shapes {za.shape}, {zb.shape} and {z.shape}: give three of one shape'
            f' (N, D), with at least {cosine_mi.FEWEST} rows'
        )
    check(bounds, fits=fits, steps=steps)
    cosine, intervals = _by_cosine(za, zb, temperature)
    figures = _collapse(z, labels)
    varying = [features.varying(own).shape[1] for own in (za, zb)]
    a, b = (_scores(own) for own in (za, zb))
    learned, notes = {}, _left_out(varying, a, b)
    if not min(varying):
        notes = ['the embedding is the same for every example: it has collapsed, and I = 0']
    elif a.shape[1] and b.shape[1]:
        learned = {
            bound: estimate.estimate_mi(a, b, bound=bound, key=key, fits=fits, steps=steps)
            for bound in bounds
        }
    width = za.shape[1]
    said = collapse.sentence(figures, dimension=width)
    return ReadOut(
        cosine,
        intervals,
        learned,
        figures,
        float(figures['std'] * width**0.5),
        len(za),
        width,
        min(varying),
        (*notes, *([said] if said else [])),
    )


def check(bounds: Sequence[str], *, fits: int, steps: int) -> None:
    """ValueError, in one line, for bounds or numbers that cannot be."""
    for bound in bounds:
        estimate.check_options(
            bound=bound, critic=None, fits=fits, steps=steps, batch_size=None, held_out=0.2
        )


def _scores(z: np.ndarray) -> np.ndarray:
    """The columns of z (N, D) that vary enough, each by the normal scores of its ranks: a monotone
    function of it, which changes no mutual information and has no heavy tails.
    """
    most = int(TIED * len(z))
    ordered = np.sort(z, axis=0)
    kept = z[:, ~(ordered[most:] == ordered[: len(z) - most]).any(axis=0)]
    return stats.norm.ppf(stats.rankdata(kept, axis=0) / (len(z) + 1))


def _left_out(varying: Sequence[int], *used: np.ndarray) -> list[str]:
    """A note where learned critics see fewer columns than vary, which keeps lower bounds lower."""
    fewer = max(own - array.shape[1] for own, array in zip(varying, used, strict=True))
    if not fewer:
        return []
    return [
        f'{fewer} columns have one value in {100 * TIED:.0f} % of the examples: learned critics do'
        ' not see them, so that lower bounds hold and upper ones are of the others alone'
    ]


def _by_cosine(
    za: np.ndarray, zb: np.ndarray, temperature: float
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Estimates with the cosine critic and their bootstrap intervals."""
    options: dict[str, Any] = {'temperature': temperature}

    @jax.jit
    def both(za: jax.Array, zb: jax.Array) -> tuple[Any, Any]:
        key = streams.evaluation(streams.RESAMPLES)
        found = cosine_mi.bootstrap(za, zb, key=key, **options)
        return cosine_mi.estimates(za, zb, **options), found

    values, ends = jax.device_get(both(za, zb))
    return (
        {name: float(value) for name, value in values.items()},
        {name: (float(end.low), float(end.high)) for name, end in ends.items()},
    )


def _collapse(z: np.ndarray, labels: np.ndarray | None) -> dict[str, Any]:
    classes = 0 if labels is None else int(np.max(labels)) + 1
    own = np.zeros(len(z), np.int32) if labels is None else np.asarray(labels, np.int32)
    figures = jax.jit(lambda z, y: collapse.figures(z, y, classes=classes))(z, own)
    return jax.tree.map(float, jax.device_get(figures))
