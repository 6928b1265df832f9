"""Beside Donsker-Varadhan: without the bias of its log-mean, with a row's own, and chi-squared."""

import jax
import jax.numpy as jnp

from mi_ssl_jax.core.bounds import paper, reductions
from mi_ssl_jax.core.bounds.paper import Terms
from mi_ssl_jax.core.pairs import Pairs


def chi_squared_terms(pairs: Pairs) -> Terms:
    """Take the bound on the chi-squared divergence of joint and product of marginals apart.

    2 E_joint[T] - E_marginal[T^2] - 1 at T = 1 + S (Nguyen et al. 2010, arXiv 0809.0853), that is
    joint: 2 E_joint[S], marginal: 2 E_marginal[S] + E_marginal[S^2]; tight where T is the density
    ratio. Not in nats, and of another divergence: I <= log(1 + chi^2). With the product of
    standardised features as S it is Barlow Twins at weight 1, up to whose moments are multiplied:
    D - barlow = 2 tr C - |C|^2, where the second term here is tr(C_aa C_bb).

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        Terms; the bound is joint - marginal.
    """
    paper.assert_pairs(pairs)
    marginal = reductions.masked_mean(2 * pairs.marginal + jnp.square(pairs.marginal), pairs.mask)
    return Terms(2 * jnp.mean(pairs.joint), marginal)


def chi_squared(pairs: Pairs) -> jax.Array:
    """Bound the chi-squared divergence of joint and product of marginals from below.

    See `chi_squared_terms`; not in nats.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        ().

    >>> float(ms.bounds.chi_squared(ms.pairs.in_batch(2 * jnp.eye(2))))
    4.0
    """
    return paper.value(chi_squared_terms(pairs))


def leave_one_out(pairs: Pairs) -> jax.Array:
    """Estimate mutual information by leave-one-out (Poole et al. 2019, arXiv 1905.06922).

    mean_i (S_ii - log mean_{j != i} e^{S_ij}): as DV, but each row is normalised by its own
    marginal samples. An upper bound in expectation where S is log p(x given y) up to a function of
    x; with a learned critic neither. Never below `dv` of the same in-batch pairs.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        (), nats.

    >>> f'{ms.bounds.leave_one_out(ms.pairs.in_batch(2 * jnp.eye(2))):.3f}'
    '2.000'
    """
    paper.assert_pairs(pairs)
    rows = reductions.logsumexp(pairs.marginal, pairs.mask, axis=1)
    return jnp.mean(pairs.joint - rows + jnp.log(jnp.sum(pairs.mask, axis=1)))


def dv_jackknife(pairs: Pairs) -> jax.Array:
    """Estimate the Donsker-Varadhan bound without the bias of order 1 / N of its log-mean.

    N DV - (N - 1) mean_i DV without example i, whose row and column are left out (Quenouille 1956).
    The log of a mean of N (N - 1) dependent scores lies too low, DV too high, by about its variance
    over two.

    Args:
        pairs: in-batch scores (N, N) of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        (), nats.

    Raises:
        ValueError: the pairs are not in-batch pairs, or N < 3.

    >>> f'{ms.bounds.dv_jackknife(ms.pairs.in_batch(2 * jnp.eye(3))):.3f}'
    '2.000'
    """
    paper.assert_pairs(pairs)
    n = len(pairs.joint)
    if pairs.marginal.shape != (n, n) or n < 3:
        raise ValueError(
            f'a jackknife needs in-batch pairs of at least 3 examples, got {pairs.marginal.shape}'
        )
    top = reductions.logsumexp(pairs.marginal, pairs.mask)
    weights = jnp.where(pairs.mask, jnp.exp(pairs.marginal - top), 0.0)  # sum to 1
    share = jnp.sum(weights, axis=0) + jnp.sum(weights, axis=1)  # of example i's row and column
    kept = jnp.log1p(-jnp.minimum(share, 1 - jnp.finfo(share.dtype).eps))
    # The joint term is linear: its jackknife is itself.
    whole = top - jnp.log(float(n * (n - 1)))
    without = top + kept - jnp.log(float((n - 1) * (n - 2)))
    return jnp.mean(pairs.joint) - (n * whole - (n - 1) * jnp.mean(without))
