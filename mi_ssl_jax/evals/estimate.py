"""Mutual information between two arrays of samples, by a learned critic or by second moments, in
nats.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mi_ssl_jax.core.types import Key
from mi_ssl_jax.evals import classical, estimators, fitting, samples
from mi_ssl_jax.evals.estimators import Kind

GAUSSIAN = 'gaussian_mi'
SECOND_ORDER = 'second moments only: exact for Gaussian samples'
SHRUNK = f'{SECOND_ORDER}, pulled towards 0 where samples are few for their dimensions'
NEIGHBOURS = (
    f'{classical.NEIGHBOURS} nearest neighbours: no bound, near the truth in few dimensions, far'
    ' below it in many'
)


class Direct(NamedTuple):
    """An estimator that learns nothing. halves: its interval is of repeated splits into halves,
    else of a jackknife, which also takes the bias of order 1 / N away.
    """

    function: Callable[[np.ndarray, np.ndarray], float]
    limit: str
    halves: bool


DIRECT = {
    GAUSSIAN: Direct(samples.gaussian_mi, SECOND_ORDER, False),
    'cca': Direct(classical.cca, SHRUNK, False),
    'ksg': Direct(classical.ksg, NEIGHBOURS, True),
}
CONFIDENCE = 0.95
STEPS, LEARNING_RATE = 2000, 1e-3
# Pairs cost a concatenated critic a network's pass each, the others a dot product.
BATCH_SIZES = {'concatenated': 64}
TOGETHER = {'concatenated': 512}
BATCH_SIZE, MOST_TOGETHER = 128, 2048
NEAR_CEILING = 0.9
TELLING = 0.05  # nats below 0 that are no accident of the fits


class Estimate(NamedTuple):
    """An estimate of mutual information, in nats."""

    mi: float  # mean of the fits
    standard_error: float  # of that mean
    # 95 %, by Student's t, for the mean of such fits to these samples: their spread, which says
    # nothing of a bound's distance to the truth
    interval: tuple[float, float]
    fits: tuple[float, ...]  # one value a fit, each on examples that its critic has not seen
    bound: str  # name of the estimator
    critic: str | None  # name of the critic, None without one
    kind: Kind  # of bound
    ceiling: float | None  # above which the estimator cannot go, or None
    notes: tuple[str, ...]  # the estimator's known limits, and what to mind here

    @property
    def upper(self) -> bool:
        """Whether this is an upper bound."""
        return self.kind == 'upper'

    @property
    def at_ceiling(self) -> bool:
        """Whether the estimate is within 10 % of the ceiling: the truth may lie anywhere above."""
        return self.ceiling is not None and self.mi > NEAR_CEILING * self.ceiling


def bounds() -> list[str]:
    """The estimators that `estimate_mi` knows."""
    return [*estimators.names(), *DIRECT]


def critics_of(bound: str) -> list[str]:
    """The critics that an estimator can be used with, its default first; none for one that learns
    nothing.
    """
    return [] if bound in DIRECT else estimators.critics_of(bound)


def estimate_mi(
    x: np.ndarray,
    y: np.ndarray,
    *,
    bound: str,
    critic: str | None = None,
    key: Key,
    fits: int = 5,
    steps: int = STEPS,
    batch_size: int | None = None,
    held_out: float = 0.2,
) -> Estimate:
    """Estimate I(x; y) from samples by a learned critic or by second moments.

    Each fit starts a critic afresh, trains it on one part, stops early on a second and reports the
    bound on a third that neither has touched. The fits' third parts are spread evenly over the
    samples (with fits * held_out <= 1 they do not overlap). The interval is of the mean of such
    fits; it does not promise to hold the true value, from which a bound, a critic that fits badly
    and the samples themselves keep it. Columns are standardised in float64 first, and copies of
    rows left out. The same shapes and settings are compiled once.

    'gaussian_mi', 'cca' and 'ksg' learn nothing and compute in float64. Of the first two the fits
    are jackknife values, each from all samples and from all but one part, which takes away the bias
    of order 1 / N. They are for jointly Gaussian samples; 'gaussian_mi' is exact under invertible
    linear maps, 'cca' shrinks the covariance and takes fewer samples than dimensions. 'ksg' is the
    value of all samples, and its interval that of `fits` random splits into halves.

    Args:
        x: (N, Dx) samples, one row each.
        y: (N, Dy) samples; row i belongs to row i of `x`.
        bound: one of `evals.estimate.bounds()`: infonce, dv, dv_jackknife, dv_loo, nwj, tuba,
            js_nwj, smile, mine, club, gaussian_mi, cca or ksg.
        critic: one of `evals.estimate.critics_of(bound)`; None for the first of them.
        key: random key.
        fits: at least 2, and at most N.
        steps: of Adam, at most; the learning rate falls from 1e-3 to 0 by a cosine.
        batch_size: of training; None for 128, or 64 with the concatenated critic.
        held_out: share of the samples in the second part, and in the third.

    Returns:
        An Estimate, nats.

    Raises:
        ValueError: arrays of other shapes, not finite, with a constant column, one that spans too
            many orders of magnitude or too few rows; unknown names; of 'gaussian_mi', an infinite
            value.

    >>> x, noise = jax.random.normal(jax.random.PRNGKey(0), (2, 1000, 1))
    >>> found = ms.estimate_mi(x, x + noise, bound='gaussian_mi', key=jax.random.PRNGKey(1))
    >>> f'{found.mi:.1f}'  # log(2) / 2
    '0.3'
    """
    check_options(
        bound=bound, critic=critic, fits=fits, steps=steps, batch_size=batch_size, held_out=held_out
    )
    own = samples.pairs(x, y)
    n = len(own.x)
    if fits > n:
        raise ValueError(f'fits={fits}, but there are {n} samples: use at most as many')
    if bound in DIRECT:
        return _noted(_direct(bound, own.x, own.y, key, fits), own.notes)
    plan = _plan(n, bound, critic, fits, steps, batch_size, held_out)
    for_order, for_fits = jax.random.split(key)
    order = jax.random.permutation(for_order, n)
    orders = jnp.stack([jnp.roll(order, -(n * i // fits)) for i in range(fits)])
    return _noted(_learned(own.x, own.y, orders, plan, for_fits), own.notes)


def estimate_each(
    x: np.ndarray,
    y: np.ndarray,
    *,
    bound: str,
    critic: str | None = None,
    key: Key,
    steps: int = STEPS,
    batch_size: int | None = None,
    held_out: float = 0.2,
) -> Estimate:
    """As `estimate_mi` from independent draws x (F, N, Dx), y (F, N, Dy) of one distribution: each
    fit has its own.

    The spread of the fits is then the estimator's own. 'gaussian_mi' is that of all N samples of a
    draw, biased upwards by about Dx Dy / (2 N).
    """
    fits, n = x.shape[:2]
    check_options(
        bound=bound, critic=critic, fits=fits, steps=steps, batch_size=batch_size, held_out=held_out
    )
    if bound in DIRECT:
        own = DIRECT[bound]
        values = [
            own.function(_checked(own_x, 'x'), _checked(own_y, 'y')) for own_x, own_y in zip(x, y)
        ]
        return _summary(np.array(values), bound, None, 'neither', None, [own.limit])
    plan = _plan(n, bound, critic, fits, steps, batch_size, held_out)
    x, y = _checked(x.reshape(fits * n, -1), 'x'), _checked(y.reshape(fits * n, -1), 'y')
    return _learned(x, y, jnp.arange(fits * n).reshape(fits, n), plan, key)


def check_options(
    *,
    bound: str,
    critic: str | None,
    fits: int,
    steps: int,
    batch_size: int | None,
    held_out: float = 0.2,
) -> None:
    """ValueError, in one line, for names and numbers that `estimate_mi` cannot work with."""
    if bound not in bounds():
        extra = ' (not in nats; js_nwj and smile are trained with it)' if bound == 'jsd' else ''
        raise ValueError(f"unknown bound '{bound}'{extra}: use one of {', '.join(bounds())}")
    known = critics_of(bound)
    if critic is not None and critic not in known:
        raise ValueError(
            f"bound '{bound}' cannot be learned with critic '{critic}': "
            + (f'use one of {", ".join(known)}' if known else 'it takes none')
        )
    if fits < 2:
        raise ValueError(f'fits={fits}: an interval needs at least 2')
    if steps < 1 or (batch_size is not None and batch_size < 2):
        raise ValueError(
            f'steps={steps}, batch_size={batch_size}: use at least 1 step, and batches of at'
            ' least 2'
        )
    if not 0 < held_out < 0.5:
        raise ValueError(
            f'held_out={held_out}: two such shares are held out, so use one between 0 and 0.5'
        )


def _checked(x: np.ndarray, name: str) -> np.ndarray:
    return samples.standardised(samples.numbers(x, name), name)


def _noted(found: Estimate, notes: tuple[str, ...]) -> Estimate:
    return found._replace(notes=(*found.notes, *notes))


def _plan(
    n: int,
    bound: str,
    critic: str | None,
    fits: int,
    steps: int,
    batch_size: int | None,
    held_out: float,
) -> fitting.Plan:
    critic = critic or critics_of(bound)[0]
    batch_size = BATCH_SIZES.get(critic, BATCH_SIZE) if batch_size is None else batch_size
    part = round(n * held_out)
    if n - 2 * part < batch_size or part < 10:
        raise ValueError(
            f'{n} samples leave {n - 2 * part} to train on and {part} each to stop and to report'
            f' by: batch_size={batch_size} needs as many to train on, the other parts need 10 each'
        )
    return fitting.Plan(
        bound,
        critic,
        fits,
        steps,
        batch_size,
        LEARNING_RATE,
        part,
        TOGETHER.get(critic, MOST_TOGETHER),
    )


def _learned(
    x: np.ndarray, y: np.ndarray, orders: jax.Array, plan: fitting.Plan, key: Key
) -> Estimate:
    """One fit an order (fits, N) of rows."""
    x, y = x.astype(np.float32), y.astype(np.float32)
    values = fitting.compile_fits(plan)(jax.random.split(key, plan.fits), orders, x, y)
    kind, limit = estimators.kind_and_limit(plan.bound)
    ceiling = math.log(_group(plan)) if plan.bound == 'infonce' else None
    return _summary(np.asarray(values), plan.bound, plan.critic, kind, ceiling, [limit])


def _group(plan: fitting.Plan) -> int:
    """Return the number of examples of the test part that are scored together."""
    return plan.part // -(-plan.part // plan.together)


def _direct(name: str, x: np.ndarray, y: np.ndarray, key: Key, fits: int) -> Estimate:
    own = DIRECT[name]
    notes = [own.limit, *samples.dependent(x, 'x'), *samples.dependent(y, 'y')]
    whole = own.function(x, y)
    values = (_by_halves if own.halves else _jackknifed)(own.function, whole, x, y, key, fits)
    found = _summary(values, name, None, 'neither', None, notes)
    return _around(found, whole, values) if own.halves else found


def _jackknifed(
    function: Callable, whole: float, x: np.ndarray, y: np.ndarray, key: Key, fits: int
) -> np.ndarray:
    """Values (fits,) of all samples, which give `whole`, and of all but one part."""
    parts = np.array_split(np.asarray(jax.random.permutation(key, len(x))), fits)
    rest = [function(np.delete(x, part, 0), np.delete(y, part, 0)) for part in parts]
    return fits * whole - (fits - 1) * np.array(rest)


def _by_halves(
    function: Callable, whole: float, x: np.ndarray, y: np.ndarray, key: Key, fits: int
) -> np.ndarray:
    """Half the difference (fits,) of both halves of a random split, around `whole`, the value of
    all: as far as that value lies from its mean, in expectation.
    """
    differences = []
    for own in jax.random.split(key, fits):
        order = np.asarray(jax.random.permutation(own, len(x)))
        halves = [function(x[half], y[half]) for half in np.array_split(order, 2)]
        differences.append((halves[0] - halves[1]) / 2)
    return whole + np.array(differences)


def _around(found: Estimate, whole: float, values: np.ndarray) -> Estimate:
    """The estimate of all samples with the interval of repeated splits (`_by_halves`)."""
    error = float(np.sqrt(np.mean(np.square(values - whole))))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values))) * error
    return found._replace(mi=whole, standard_error=error, interval=(whole - half, whole + half))


def _summary(
    values: np.ndarray,
    bound: str,
    critic: str | None,
    kind: Kind,
    ceiling: float | None,
    notes: list[str],
) -> Estimate:
    values = values.astype(np.float64)
    with np.errstate(
        invalid='ignore'
    ):  # a fit that is not finite makes them NaN, and is told below
        mean, error = values.mean(), values.std(ddof=1) / math.sqrt(len(values))
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * error
    found = Estimate(
        float(mean),
        float(error),
        (float(mean - half), float(mean + half)),
        tuple(map(float, values)),
        bound,
        critic,
        kind,
        ceiling,
        (),
    )
    if not np.isfinite(values).all():
        notes = [*notes, f'{np.sum(~np.isfinite(values))} of {len(values)} fits are not finite']
    if -math.inf < found.mi < -max(TELLING, 2 * found.standard_error):
        notes = [*notes, 'below 0, which no mutual information is: nothing was learned from these']
    if found.at_ceiling:
        notes = [
            *notes,
            f'near its ceiling of {ceiling:.2f} nats: the truth may lie anywhere above',
        ]
    return found._replace(notes=tuple(notes))
