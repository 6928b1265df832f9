"""The DV bound's marginal term log E[e^T], taken apart as in the paper's way to Barlow Twins
(appendix A.3).

K(s) = log E[e^{sT}] over marginal pairs has K(1) = E[T] + Var[T] / 2 + R with |R| <= max |K'''(s)|
/ 6 (Eqs. 22, 23). The variance of a dot product is then replaced by correlations (Eqs. 25 to 28).
"""

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg
from mi_ssl_jax.core.bounds import reductions
from mi_ssl_jax.core.pairs import Pairs


class Expansion(NamedTuple):
    """K(1) of the scores T of marginal pairs and what its second-order expansion is made of; ()
    each, nats.

    exact: log E[e^T]. mean, variance: of T. third: the largest |K'''(s)| on a grid over [0, 1].
    width: of the interval that holds all scores.
    """

    exact: chex.Array
    mean: chex.Array
    variance: chex.Array
    third: chex.Array
    width: chex.Array

    @property
    def second_order(self) -> jax.Array:
        """E[T] + Var[T] / 2 (Eq. 23)."""
        return self.mean + 0.5 * self.variance

    @property
    def bound(self) -> jax.Array:
        """Compute the largest possible |exact - second_order| for these scores: max |K'''| / 6
        (below Eq. 22).
        """
        return self.third / 6

    @property
    def range_bound(self) -> jax.Array:
        """The same for any scores in such an interval: a third cumulant is at most width^3 / (6
        sqrt 3).
        """
        return self.width**3 / (36 * math.sqrt(3))


def expand(pairs: Pairs, *, tilts: int) -> Expansion:
    """The marginal term of `pairs` and its expansion. tilts: at how many s, evenly over [0, 1], to
    take K'''.

    K'''(s) is the third central moment of T under weights proportional to e^{sT}.

    Raises:
        ValueError: fewer than 2 tilts.
    """
    if tilts < 2:
        raise ValueError(f'tilts={tilts}: the third cumulant needs at least s = 0 and s = 1')
    scores, mask = pairs.marginal, pairs.mask
    mean = reductions.masked_mean(scores, mask)
    variance = reductions.masked_mean(jnp.square(scores - mean), mask)
    low = jnp.min(jnp.where(mask, scores, jnp.inf))
    high = jnp.max(jnp.where(mask, scores, -jnp.inf))

    def third_cumulant(s: jax.Array) -> jax.Array:
        weights = jnp.where(mask, jnp.exp(s * (scores - high)), 0.0)
        weights = weights / jnp.sum(weights)
        centred = scores - jnp.sum(weights * scores)
        return jnp.sum(weights * jnp.where(mask, centred, 0.0) ** 3)

    thirds = jax.lax.map(third_cumulant, jnp.linspace(0.0, 1.0, tilts, dtype=scores.dtype))
    exact = reductions.log_mean_exp(scores, mask)
    return Expansion(exact, mean, variance, jnp.max(jnp.abs(thirds)), high - low)


class VarianceParts(NamedTuple):
    """The variance of z_A . z_B over independent pairs, and what the paper puts in its place; ()
    each.

    auto: sum_ij A_ij B_ij of the views' own correlations A, B: the variance itself. auto_off: its
    part with i != j. cross: sum_{i != j} C_ij C_ji of the cross-correlations (Eq. 28). squares:
    sum_{i != j} C_ij^2 (Eq. 13).
    """

    auto: chex.Array
    auto_off: chex.Array
    cross: chex.Array
    squares: chex.Array


def variance_parts(za: chex.Array, zb: chex.Array) -> VarianceParts:
    """Compute the parts of the variance of embeddings (N, D) whose features have mean 0 over the
    batch.

    With independent pairs Cov(X_i, X_j) of X_i = z_i^A z_i^B is A_ij B_ij, auto-correlations; Eq.
    28 has C_ij C_ji, cross-correlations of joint pairs, there, and Eq. 13 leaves out i = j.
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape([za, zb])
    own = linalg.cross_correlation(za, za) * linalg.cross_correlation(zb, zb)
    between = linalg.cross_correlation(za, zb)
    crossed = between * between.T
    return VarianceParts(
        jnp.sum(own),
        jnp.sum(own) - jnp.trace(own),
        jnp.sum(crossed) - jnp.trace(crossed),
        linalg.off_diagonal_sum_of_squares(between),
    )
