"""Lower bounds on mutual information of the paper (arXiv 2510.01345), in nats, from the scores of
pairs.

Each bound is a joint term (raised by training: views of one input agree) minus a marginal term
(which keeps embeddings apart). `X_terms` gives the two apart, `X` their difference. Everything is
shifted by the maximum. Values and gradients are finite for |S| <= 1e30 (dv, infonce, jsd), 1e15
(taylor_dv) and S <= 80 (nwj).
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg
from mi_ssl_jax.core.bounds import reductions
from mi_ssl_jax.core.pairs import Pairs


class Terms(NamedTuple):
    """A bound taken apart: value = joint - marginal, both in nats."""

    joint: chex.Array  # ()
    marginal: chex.Array  # ()


def value(terms: Terms) -> jax.Array:
    """The bound itself, joint - marginal (paper, Eq. 2)."""
    return terms.joint - terms.marginal


def assert_pairs(pairs: Pairs) -> None:
    """Shapes (N,), (N, K), (N, K) and types float, float, bool."""
    chex.assert_rank(list(pairs), [1, 2, 2])
    chex.assert_equal_shape([pairs.marginal, pairs.mask])
    chex.assert_equal_shape_prefix(list(pairs), 1)
    chex.assert_type(list(pairs), [float, float, bool])


def dv_terms(pairs: Pairs) -> Terms:
    """mean S over joint pairs; log mean e^S over all marginal pairs pooled (Eqs. 1, 14)."""
    assert_pairs(pairs)
    return Terms(jnp.mean(pairs.joint), reductions.log_mean_exp(pairs.marginal, pairs.mask))


def dv(pairs: Pairs) -> jax.Array:
    """Donsker-Varadhan. The plug-in of a finite batch is biased upwards and not capped by log N."""
    return value(dv_terms(pairs))


def infonce_terms(pairs: Pairs) -> Terms:
    """mean S_ii; mean over rows of log mean e^S over the row's positive *and* negatives.

    The paper's Eqs. 19-20 as worded leave the positive out of the sum and, with the inner
    expectation read as a mean, count log N twice (up to 2 log N, not a bound). Here the sum runs
    over all N pairs of the row, as in van den Oord et al. 2018 and Poole et al. 2019.
    """
    return Terms(jnp.mean(pairs.joint), jnp.mean(_row_logsumexp(pairs) - _log_row_counts(pairs)))


def infonce(pairs: Pairs) -> jax.Array:
    """InfoNCE; at most log N of the N pairs of a row, in floating point too."""
    # The difference of each row comes first: it is never positive, two rounded means may be.
    return jnp.mean(pairs.joint - _row_logsumexp(pairs)) + jnp.mean(_log_row_counts(pairs))


def jsd_terms(pairs: Pairs) -> Terms:
    """-mean softplus(-S) over joint pairs; mean softplus(S) over marginal pairs (paper, appendix
    A.2.2).
    """
    assert_pairs(pairs)
    return Terms(
        jsd_joint(pairs.joint), reductions.masked_mean(jax.nn.softplus(pairs.marginal), pairs.mask)
    )


def jsd_joint(joint: chex.Array) -> jax.Array:
    """The joint term of `jsd_terms`."""
    return -jnp.mean(jax.nn.softplus(-joint))


def jsd(pairs: Pairs) -> jax.Array:
    """Jensen-Shannon in the paper's form: -2 log 2 at S = 0, 0 for perfect separation; not in nats
    of MI.
    """
    return value(jsd_terms(pairs))


def nwj_terms(pairs: Pairs) -> Terms:
    """mean S over joint pairs; mean e^{S - 1} over marginal pairs (Nguyen, Wainwright and Jordan
    2010).

    The marginal term is infinite in float32 beyond S = 89.
    """
    assert_pairs(pairs)
    # e^{log mean e^S - 1}: the same number without a sum of N^2 exponentials, which overflows
    # first.
    return Terms(
        jnp.mean(pairs.joint), jnp.exp(reductions.log_mean_exp(pairs.marginal, pairs.mask) - 1.0)
    )


def nwj(pairs: Pairs) -> jax.Array:
    """NWJ = MINE-f = f-GAN KL; never above `dv` for equal scores, since log x <= x / e."""
    return value(nwj_terms(pairs))


def taylor_dv_terms(pairs: Pairs, *, variance_weight: chex.Numeric) -> Terms:
    """mean S over joint pairs; mean S + variance_weight * Var S over marginal pairs (population
    variance).

    The second-order expansion of DV has variance_weight 0.5 (Eq. 24); the paper's loss uses 1 (Eq.
    11).
    """
    assert_pairs(pairs)
    mean = reductions.masked_mean(pairs.marginal, pairs.mask)
    variance = reductions.masked_mean(jnp.square(pairs.marginal - mean), pairs.mask)
    return Terms(jnp.mean(pairs.joint), mean + variance_weight * variance)


def taylor_dv(pairs: Pairs, *, variance_weight: chex.Numeric) -> jax.Array:
    """DV expanded to second order around its mean score; near `dv` while the scores vary by less
    than 1.
    """
    return value(taylor_dv_terms(pairs, variance_weight=variance_weight))


def eq13(za: chex.Array, zb: chex.Array) -> jax.Array:
    """The paper's surrogate *loss* that leads to Barlow Twins: -sum_i C_ii + sum_{i != j} C_ij^2
    (Eq. 13).

    C = za^T zb / N on embeddings (N, D) as given. The derivation puts cross-correlations where the
    variance of the score has auto-covariances and drops the diagonal part, so this is not
    `taylor_dv` of the dot critic.
    """
    correlation = linalg.cross_correlation(za, zb)
    return -jnp.trace(correlation) + linalg.off_diagonal_sum_of_squares(correlation)


def _row_logsumexp(pairs: Pairs) -> jax.Array:
    """log sum e^S (N,) over each row's positive and negatives."""
    assert_pairs(pairs)
    return jnp.logaddexp(pairs.joint, reductions.logsumexp(pairs.marginal, pairs.mask, axis=1))


def _log_row_counts(pairs: Pairs) -> jax.Array:
    return jnp.log(1.0 + jnp.sum(pairs.mask, axis=1).astype(pairs.joint.dtype))
