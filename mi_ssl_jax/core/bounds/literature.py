"""Estimators beyond the paper's: TUBA, I_alpha, SMILE, JS-NWJ and MINE.

Nats. Joint term = mean S over joint pairs, marginal term = the rest, as in `lower_bounds`. A
baseline is a positive function a(y), given as its logarithm for each column of in-batch scores.
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg
from mi_ssl_jax.core.bounds import paper, reductions
from mi_ssl_jax.core.bounds.paper import Terms
from mi_ssl_jax.core.pairs import Pairs


def tuba_terms(pairs: Pairs, log_baseline: chex.Array) -> Terms:
    """Take TUBA apart (Poole et al. 2019, arXiv 1905.06922).

    1 + mean (S_jj - log a_j) - mean_{i != j} e^{S_ij} / a_j; joint: mean S_jj, marginal: the rest.
    Tight at a_j = mean_i e^{S_ij}; a = e gives NWJ. (One known code indexes it by x instead.)

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        log_baseline: (N,) log a, of each column of in-batch scores.

    Returns:
        Terms, nats; the bound is joint - marginal.

    Raises:
        ValueError: the pairs are not in-batch pairs with as many columns as the baseline.
    """
    log_baseline = _of_columns(pairs, log_baseline)
    log_ratio = reductions.log_mean_exp(pairs.marginal - log_baseline, pairs.mask)
    return Terms(jnp.mean(pairs.joint), jnp.mean(log_baseline) + jnp.exp(log_ratio) - 1.0)


def tuba(pairs: Pairs, log_baseline: chex.Array) -> jax.Array:
    """Bound mutual information from below by TUBA (Poole et al. 2019, arXiv 1905.06922).

    See `tuba_terms`.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        log_baseline: (N,) log a, of each column of in-batch scores.

    Returns:
        (), nats.

    Raises:
        ValueError: the pairs are not in-batch pairs with as many columns as the baseline.

    >>> pairs = ms.pairs.in_batch(2 * jnp.eye(2))
    >>> f'{ms.bounds.tuba(pairs, jnp.ones(2)):.3f}'
    '1.632'
    """
    return paper.value(tuba_terms(pairs, log_baseline))


def i_alpha_terms(pairs: Pairs, log_baseline: chex.Array, *, alpha: chex.Numeric) -> Terms:
    """Take I_alpha apart (Poole et al. 2019, arXiv 1905.06922).

    TUBA with a_j = alpha mean_i e^{S_ij} + (1 - alpha) q_j. The mean leaves out i = j where the
    pair is a marginal sample. Between alpha = 0 and 1, variance is traded for bias.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        log_baseline: (N,) log q, of each column of in-batch scores.
        alpha: 0 is NWJ for log q = 1, 1 is InfoNCE over columns (at most log N).

    Returns:
        Terms, nats; the bound is joint - marginal.

    Raises:
        ValueError: the pairs are not in-batch pairs with as many columns as the baseline.
    """
    log_baseline = _of_columns(pairs, log_baseline)
    n = len(pairs.joint)
    negatives = reductions.logsumexp(pairs.marginal, pairs.mask, axis=0)
    log_own, log_prior = jnp.log(alpha), jnp.log1p(-alpha) + log_baseline
    log_a = jnp.logaddexp(
        log_own + jnp.logaddexp(pairs.joint, negatives) - jnp.log(float(n)), log_prior
    )
    log_mean = negatives - jnp.log(float(n - 1))
    ratio = jnp.exp(log_mean - jnp.logaddexp(log_own + log_mean, log_prior))
    return Terms(jnp.mean(pairs.joint), jnp.mean(log_a) + jnp.mean(ratio) - 1.0)


def i_alpha(pairs: Pairs, log_baseline: chex.Array, *, alpha: chex.Numeric) -> jax.Array:
    """Bound mutual information from below by I_alpha (Poole et al. 2019, arXiv 1905.06922).

    See `i_alpha_terms`.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        log_baseline: (N,) log q, of each column of in-batch scores.
        alpha: 0 is NWJ for log q = 1, 1 is InfoNCE over columns (at most log N).

    Returns:
        (), nats.

    Raises:
        ValueError: the pairs are not in-batch pairs with as many columns as the baseline.

    >>> pairs = ms.pairs.in_batch(2 * jnp.eye(2))
    >>> f'{ms.bounds.i_alpha(pairs, jnp.ones(2), alpha=0.0):.3f}'
    '1.632'
    """
    return paper.value(i_alpha_terms(pairs, log_baseline, alpha=alpha))


def smile_terms(pairs: Pairs, *, clip: chex.Numeric) -> Terms:
    """Take SMILE apart (Song and Ermon 2020, arXiv 1910.06222).

    Joint: mean S over joint pairs. Marginal: log mean e^{clip(S, -clip, clip)} over marginal pairs.
    Only the marginal term is clipped, so this is not a lower bound. The source trains the critic
    by JSD and reports this value: `smile_jsd_terms`.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        clip: the largest |S| of a marginal pair; infinity gives DV.

    Returns:
        Terms, nats; the bound is joint - marginal.
    """
    paper.assert_pairs(pairs)
    clipped = jnp.clip(pairs.marginal, -clip, clip)
    return Terms(jnp.mean(pairs.joint), reductions.log_mean_exp(clipped, pairs.mask))


def smile(pairs: Pairs, *, clip: chex.Numeric) -> jax.Array:
    """Estimate mutual information by SMILE, with its own gradient (arXiv 1910.06222).

    See `smile_terms`; no bound.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        clip: the largest |S| of a marginal pair; infinity gives DV.

    Returns:
        (), nats.

    >>> pairs = ms.pairs.in_batch(2 * jnp.eye(2))
    >>> f'{ms.bounds.smile(pairs, clip=5.0):.3f}'
    '2.000'
    """
    return paper.value(smile_terms(pairs, clip=clip))


def smile_jsd_terms(pairs: Pairs, *, clip: chex.Numeric) -> Terms:
    """Take SMILE apart, with the gradient of JSD, as the source trains it (arXiv 1910.06222).

    The values of `smile_terms` with the gradient of `jsd_terms`.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        clip: the largest |S| of a marginal pair; infinity gives DV.

    Returns:
        Terms, nats; the bound is joint - marginal.
    """
    return trained_by(smile_terms(pairs, clip=clip), paper.jsd_terms(pairs))


def js_nwj_terms(pairs: Pairs) -> Terms:
    """Take NWJ apart, with the gradient of JSD (Poole et al. 2019, arXiv 1905.06922).

    The values of `nwj_terms` with the gradient of `jsd_terms`. JSD trains towards log p/q, NWJ is
    tight at 1 + log p/q: pass 1 + S to `nwj` for a tight value after training.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.

    Returns:
        Terms, nats; the bound is joint - marginal.
    """
    return trained_by(paper.nwj_terms(pairs), paper.jsd_terms(pairs))


def mine_terms(
    pairs: Pairs, log_denominator: chex.Array, *, decay: chex.Numeric
) -> tuple[Terms, jax.Array]:
    """Take DV apart, with the bias-corrected gradient of MINE (Belghazi et al. 2018).

    The gradient of the marginal term divides by a running mean D of mean e^S instead of the batch's
    own, D <- decay D + (1 - decay) mean e^S, whose bias shrinks with the length of the average.
    Values are those of DV.

    Args:
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        log_denominator: () log D; -inf before the first batch, whose mean then becomes D.
            (Averaging from D = 0 instead multiplies the first marginal gradient by 1 / (1 -
            decay).)
        decay: of the running mean.

    Returns:
        Terms, nats, and the new log denominator ().
    """
    joint, log_mean = paper.dv_terms(pairs)
    batch = jax.lax.stop_gradient(log_mean)
    running = jnp.logaddexp(jnp.log(decay) + log_denominator, jnp.log1p(-decay) + batch)
    running = jnp.where(jnp.isneginf(log_denominator), batch, running)
    corrected = jnp.exp(batch - running) * (log_mean - batch)
    return Terms(joint, batch + corrected), running


def trained_by(value: Terms, training: Terms) -> Terms:
    """The values of one bound with the gradient of another."""
    constant = jax.lax.stop_gradient
    return jax.tree.map(lambda v, t: constant(v) + (t - constant(t)), value, training)


def _of_columns(pairs: Pairs, log_baseline: chex.Array) -> jax.Array:
    paper.assert_pairs(pairs)
    chex.assert_rank(log_baseline, 1)
    if pairs.marginal.shape != (len(log_baseline), len(log_baseline)):
        raise ValueError(
            'a baseline of each y needs in-batch pairs, one y a column: got marginal scores '
            f'{pairs.marginal.shape} and a baseline {log_baseline.shape}'
        )
    return linalg.promote(log_baseline)
