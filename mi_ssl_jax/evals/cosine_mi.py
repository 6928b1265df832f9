"""MI between two encoders' embeddings: cos-DV, InfoNCE and JSD on held-out pairs (arXiv 2510.01345,
4.2).

The critic is the cosine divided by a temperature (1 in the paper's curves), the same for all three,
so one pass over the N x N scores and one exponential a score serve them all. Values equal
core.bounds on the same pairs to rounding.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import critics, linalg

NAMES = ('cos_dv', 'infonce', 'jsd')
# Rows a block. On 2 CPU cores at N = 2500, D = 3: 2.5 to 5 ms with 128 to 1250 rows, 7 ms with all
# at once.
BLOCK_SIZE = 512
# |S| <= 50 keeps e^S and any sum of it inside float32, so no shift by the maximum (a second pass)
# is needed.
LOWEST_TEMPERATURE = 0.02
FEWEST = 10  # examples of a bootstrap
RESAMPLES = 400  # of a bootstrap: 4 s for 10,000 examples on 2 CPU cores


class Interval(NamedTuple):
    """Percentiles of an estimate over resampled examples, in its unit."""

    low: jax.Array  # ()
    high: jax.Array  # ()


def estimates(
    za: chex.Array, zb: chex.Array, *, temperature: float = 1.0, block_size: int | None = None
) -> dict[str, jax.Array]:
    """Three estimates from the joint pairs (i, i) and the marginal pairs (i, j), i != j, of batches
    (N, D).

    cos_dv: Donsker-Varadhan (Eq. 14), nats. infonce: the positive included, at most log N (Poole et
    al. 2019), nats. jsd: the paper's form (appendix A.2.2), -2 log 2 for constant scores and at
    most 0; not nats of information.

    Args:
        temperature: divides the cosine; a static number of at least 0.02.
        block_size: rows of scores held at a time; None for `BLOCK_SIZE`. Memory is O(N *
        block_size).

    Raises:
        ValueError: fewer than two examples, a lower temperature, or a block size below 1.
    """
    _check(za, zb, temperature, block_size)
    totals = _totals(za, zb, temperature, block_size, lambda x: jnp.sum(x, axis=1, keepdims=True))
    values = _combine(_joint(za, zb, temperature), *totals, jnp.ones((len(za), 1), totals[0].dtype))
    return {name: value[0] for name, value in zip(NAMES, values, strict=True)}


def bootstrap(
    za: chex.Array,
    zb: chex.Array,
    *,
    key: chex.PRNGKey,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    temperature: float = 1.0,
    block_size: int | None = None,
) -> dict[str, Interval]:
    """Percentile intervals of the three estimates over held-out examples.

    Examples (both their views) are drawn N times with replacement. An example drawn twice must not
    be paired with its own copy, a joint pair, as if that were a marginal one; so the draw enters as
    counts: pair (i, j), i != j, weighs count_i count_j, and pairs of an example with itself are
    joint only. All resamples share one pass over the scores. The interval shows what another choice
    of examples would change; it covers neither the randomness of training nor the distance of the
    estimate to the mutual information itself.

    Args:
        resamples: how many.
        confidence: share of resamples inside the interval.

    Raises:
        ValueError: as `estimates`, fewer than 10 examples, no resamples, or a confidence outside
        (0, 1).
    """
    _check(za, zb, temperature, block_size)
    if len(za) < FEWEST or resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            f'a bootstrap needs at least {FEWEST} examples, 1 resample and a confidence in (0, 1), '
            f'got {len(za)}, {resamples} and {confidence}'
        )
    n = len(za)
    drawn = jax.random.randint(key, (resamples, n), 0, n)
    counts = jax.vmap(lambda indices: jnp.bincount(indices, length=n))(drawn).T
    counts = counts.astype(jnp.promote_types(za.dtype, jnp.float32))
    totals = _totals(za, zb, temperature, block_size, lambda x: linalg.matmul(x, counts))
    values = _combine(_joint(za, zb, temperature), *totals, counts)
    tail = (1 - confidence) / 2
    return {
        name: Interval(jnp.quantile(value, tail), jnp.quantile(value, 1 - tail))
        for name, value in zip(NAMES, values, strict=True)
    }


def _check(za: chex.Array, zb: chex.Array, temperature: float, block_size: int | None) -> None:
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape([za, zb])
    chex.assert_type([za, zb], float)
    if len(za) < 2:
        raise ValueError('one example has no marginal pairs: mutual information needs at least 2')
    if not temperature >= LOWEST_TEMPERATURE:
        raise ValueError(
            f'temperature must be at least {LOWEST_TEMPERATURE} here, got {temperature}: '
            'for colder critics use core.bounds, which shifts by the maximum'
        )
    if block_size is not None and block_size < 1:
        raise ValueError(f'block_size must be at least 1, got {block_size}')


def _joint(za: chex.Array, zb: chex.Array, temperature: float) -> jax.Array:
    """Scores (N,) of the joint pairs."""
    return jnp.sum(linalg.unit(za) * linalg.unit(zb), axis=1) / temperature


def _totals(
    za: chex.Array,
    zb: chex.Array,
    temperature: float,
    block_size: int | None,
    total: Callable[[jax.Array], jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """Row totals of e^S and of softplus(S) over the marginal pairs, (N, R) each; total: (B, N) ->
    (B, R).
    """
    n = len(za)
    size = min(block_size or BLOCK_SIZE, n)
    blocks = -(-n // size)
    za, zb = linalg.unit(za), linalg.unit(zb)
    padded = jnp.pad(za, ((0, blocks * size - n), (0, 0))).reshape(blocks, size, -1)

    def block(inputs):
        a, rows = inputs
        scores = critics.dot(a, zb, temperature=temperature)
        # 0 at the joint pairs adds nothing to either total, since softplus(S) = log(1 + e^S).
        exponentials = jnp.where(rows[:, None] == jnp.arange(n), 0.0, jnp.exp(scores))
        return total(exponentials), total(jnp.log1p(exponentials))

    totals = jax.lax.map(block, (padded, jnp.arange(blocks * size).reshape(blocks, size)))
    return tuple(x.reshape(blocks * size, -1)[:n] for x in totals)


def _combine(
    joint: jax.Array, exponentials: jax.Array, softplus: jax.Array, counts: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Estimates (R,) from joint scores (N,), row totals (N, R) and how often each example is drawn
    (N, R).
    """
    n = len(joint)
    joint = joint[:, None]
    negatives = n - counts  # draws other than the row's own example
    pairs = jnp.sum(counts * negatives, axis=0)

    def mean(x):
        return jnp.sum(counts * x, axis=0) / n

    cos_dv = mean(joint) - jnp.log(jnp.sum(counts * exponentials, axis=0) / pairs)
    row_sum = jnp.exp(joint) + (n - 1) / negatives * exponentials
    infonce = mean(joint - jnp.log(row_sum)) + jnp.log(float(n))
    jsd = -mean(jax.nn.softplus(-joint)) - jnp.sum(counts * softplus, axis=0) / pairs
    return cos_dv, infonce, jsd
