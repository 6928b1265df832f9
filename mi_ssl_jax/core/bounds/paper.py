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
from mi_ssl_jax.core.types import Scalar


class _Pair(NamedTuple):
    joint: Scalar
    marginal: Scalar


@jax.tree_util.register_pytree_node_class
class Terms(_Pair):
    """A bound taken apart: value = joint - marginal, both in nats; `joint, marginal = terms`.

    difference: joint - marginal, where it is known to more digits than the two means have; None
    where it is not.
    """

    difference: Scalar | None = None

    def __new__(cls, joint: Scalar, marginal: Scalar, difference: Scalar | None = None) -> 'Terms':
        """Create terms from both means and, where it is known, their difference."""
        terms = super().__new__(cls, joint, marginal)
        terms.difference = difference
        return terms

    def tree_flatten(self) -> tuple[tuple, None]:
        """Return all three values as leaves."""
        return (self.joint, self.marginal, self.difference), None

    @classmethod
    def tree_unflatten(cls, _: None, leaves: tuple) -> 'Terms':
        """The inverse of `tree_flatten`."""
        return cls(*leaves)


def value(terms: Terms) -> jax.Array:
    """Compute joint - marginal, the bound itself (paper, Eq. 2).

    Args:
        terms: a bound taken apart.

    Returns:
        (), nats.
    """
    return terms.joint - terms.marginal if terms.difference is None else terms.difference


def assert_pairs(pairs: Pairs) -> None:
    """Shapes (N,), (N, K), (N, K) and types float, float, bool."""
    chex.assert_rank(list(pairs), [1, 2, 2])
    chex.assert_equal_shape([pairs.marginal, pairs.mask])
    chex.assert_equal_shape_prefix(list(pairs), 1)
    chex.assert_type(list(pairs), [float, float, bool])


def dv_terms(pairs: Pairs) -> Terms:
    """Take Donsker-Varadhan apart (paper, Eqs. 1 and 14).

    Joint: mean S over joint pairs. Marginal: log mean e^S over all marginal pairs pooled.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        Terms, nats; the bound is joint - marginal.
    """
    assert_pairs(pairs)
    return Terms(jnp.mean(pairs.joint), reductions.log_mean_exp(pairs.marginal, pairs.mask))


def dv(pairs: Pairs) -> jax.Array:
    """Bound mutual information from below by Donsker-Varadhan (paper, Eqs. 1 and 14).

    The plug-in of a finite batch is biased upwards and not capped by log N.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        (), nats.

    >>> pairs = ms.pairs.in_batch(2 * jnp.eye(2))
    >>> f'{ms.bounds.dv(pairs):.3f}'
    '2.000'
    """
    return value(dv_terms(pairs))


def infonce_terms(pairs: Pairs) -> Terms:
    """Take InfoNCE apart (paper, Eqs. 19 and 20).

    Joint: mean S_ii. Marginal: mean over rows of log mean e^S over the row's positive *and*
    negatives. The paper's Eqs. 19-20 as worded leave the positive out of the sum and, with the
    inner expectation read as a mean, count log N twice (up to 2 log N, not a bound). Here the sum
    runs over all N pairs of the row, as in van den Oord et al. 2018 and Poole et al. 2019.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        Terms, nats; the bound is joint - marginal.
    """
    terms, log_counts = cross_entropy_terms(pairs), jnp.mean(_log_row_counts(pairs))
    return shifted(terms, -log_counts)


def infonce(pairs: Pairs) -> jax.Array:
    """Bound mutual information from below by InfoNCE (paper, Eqs. 19 and 20).

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        (), nats; at most log N of the N pairs of a row, in floating point too.

    >>> pairs = ms.pairs.in_batch(2 * jnp.eye(2))
    >>> f'{ms.bounds.infonce(pairs):.3f}'
    '0.566'
    """
    return value(infonce_terms(pairs))


def cross_entropy_terms(pairs: Pairs) -> Terms:
    """Take minus the cross-entropy of finding each row's joint sample among all of its samples
    apart: InfoNCE without the logarithm of their number.

    Joint: mean S_ii. Marginal: mean over rows of log sum e^S over the row's positive and negatives.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        Terms; their difference is never positive, in floating point too.
    """
    assert_pairs(pairs)
    return from_rows(
        jnp.mean(pairs.joint),
        jnp.mean(reductions.cross_entropy(pairs.joint, pairs.marginal, pairs.mask)),
    )


def from_rows(joint: Scalar, loss: Scalar) -> Terms:
    """Terms of a loss that was computed row by row: marginal = joint + loss, difference = -loss."""
    return Terms(joint, joint + loss, -loss)


def shifted(terms: Terms, by: Scalar) -> Terms:
    """The terms with a number added to the marginal one."""
    difference = None if terms.difference is None else terms.difference - by
    return Terms(terms.joint, terms.marginal + by, difference)


def jsd_terms(pairs: Pairs) -> Terms:
    """Take the Jensen-Shannon bound apart (paper, appendix A.2.2).

    Joint: -mean softplus(-S) over joint pairs. Marginal: mean softplus(S) over marginal pairs.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        Terms, not in nats of mutual information.
    """
    assert_pairs(pairs)
    return Terms(
        jsd_joint(pairs.joint), reductions.masked_mean(jax.nn.softplus(pairs.marginal), pairs.mask)
    )


def jsd_joint(joint: chex.Array) -> jax.Array:
    """The joint term of `jsd_terms`."""
    return -jnp.mean(jax.nn.softplus(-joint))


def jsd(pairs: Pairs) -> jax.Array:
    """Compute the Jensen-Shannon bound in the paper's form (appendix A.2.2).

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        (), -2 log 2 at S = 0 and 0 for perfect separation; not in nats of mutual information.

    >>> pairs = ms.pairs.in_batch(2 * jnp.eye(2))
    >>> f'{ms.bounds.jsd(pairs):.3f}'
    '-0.820'
    """
    return value(jsd_terms(pairs))


def nwj_terms(pairs: Pairs) -> Terms:
    """Take NWJ apart (Nguyen, Wainwright and Jordan 2010, arXiv 0809.0853).

    Joint: mean S over joint pairs. Marginal: mean e^{S - 1} over marginal pairs, infinite in
    float32 beyond S = 89.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        Terms, nats; the bound is joint - marginal.
    """
    assert_pairs(pairs)
    # e^{log mean e^S - 1}: the same number without a sum of N^2 exponentials, which overflows
    # first.
    return Terms(
        jnp.mean(pairs.joint), jnp.exp(reductions.log_mean_exp(pairs.marginal, pairs.mask) - 1.0)
    )


def nwj(pairs: Pairs) -> jax.Array:
    """Bound mutual information from below by NWJ, also MINE-f or f-GAN KL.

    Never above `dv` for equal scores, since log x <= x / e (arXiv 0809.0853).

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        (), nats.

    >>> pairs = ms.pairs.in_batch(2 * jnp.eye(2))
    >>> f'{ms.bounds.nwj(pairs):.3f}'
    '1.632'
    """
    return value(nwj_terms(pairs))


def taylor_dv_terms(pairs: Pairs, *, variance_weight: chex.Numeric) -> Terms:
    """Take the second-order expansion of DV apart (paper, Eqs. 11 and 24).

    Joint: mean S over joint pairs. Marginal: mean S + variance_weight * Var S over marginal pairs
    (population variance).

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        variance_weight: 0.5 in the expansion (Eq. 24), 1 in the paper's loss (Eq. 11).

    Returns:
        Terms, nats; the bound is joint - marginal.
    """
    assert_pairs(pairs)
    mean = reductions.masked_mean(pairs.marginal, pairs.mask)
    variance = reductions.masked_mean(jnp.square(pairs.marginal - mean), pairs.mask)
    return Terms(jnp.mean(pairs.joint), mean + variance_weight * variance)


def taylor_dv(pairs: Pairs, *, variance_weight: chex.Numeric) -> jax.Array:
    """Expand DV to second order around its mean score (paper, Eqs. 11 and 24).

    Near `dv` while the scores vary by less than 1.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        variance_weight: 0.5 in the expansion (Eq. 24), 1 in the paper's loss (Eq. 11).

    Returns:
        (), nats.

    >>> pairs = ms.pairs.in_batch(2 * jnp.eye(2))
    >>> f'{ms.bounds.taylor_dv(pairs, variance_weight=0.5):.3f}'
    '2.000'
    """
    return value(taylor_dv_terms(pairs, variance_weight=variance_weight))


def eq13(za: chex.Array, zb: chex.Array) -> jax.Array:
    """Compute -sum_i C_ii + sum_{i != j} C_ij^2, the *loss* behind Barlow Twins (paper, Eq. 13).

    C = za^T zb / N. The derivation puts cross-correlations where the variance of the score has
    auto-covariances and drops the diagonal part, so this is not `taylor_dv` of the dot critic.

    Args:
        za: (N, D) embeddings of one view, one row a sample.
        zb: (N, D) embeddings of the other view; its row i belongs to row i of `za`.
            Both are taken as given: standardise them first for correlations.

    Returns:
        (), to be minimised.

    >>> float(ms.bounds.eq13(jnp.eye(2), 2 * jnp.eye(2)))
    -2.0
    """
    correlation = linalg.cross_correlation(za, zb)
    return -jnp.trace(correlation) + linalg.off_diagonal_sum_of_squares(correlation)


def _log_row_counts(pairs: Pairs) -> jax.Array:
    return jnp.log(1.0 + jnp.sum(pairs.mask, axis=1).astype(pairs.joint.dtype))
