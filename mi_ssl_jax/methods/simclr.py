"""SimCLR (Chen et al. 2020, arXiv 2002.05709): InfoNCE over both views' 2N - 1 other embeddings."""

import functools

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, critics, linalg
from mi_ssl_jax.core.bounds import paper, reductions, row_blocks
from mi_ssl_jax.methods import api, jmi, objectives

# Version 2 of the reference code: batch norm on every layer, no bias.
PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'affine'}
PLAIN_PROJECTOR = {'hidden_bias': True, 'last_bias': True, 'last_norm': None, 'hidden_norm': False}


def nt_xent_terms(
    za: chex.Array, zb: chex.Array, *, temperature: float, block_size: int | None = None
) -> bounds.Terms:
    """Joint and marginal term, NT-Xent = marginal - joint. za, zb: (N, D). block_size: rows at a
    time.
    """
    _check(za, zb)
    positives, both = _positives(za, zb, temperature), jnp.concatenate([za, zb])
    critic = functools.partial(critics.cosine, temperature=temperature)
    if block_size is not None and len(both) > block_size:
        loss = row_blocks.cross_entropy(both, both, critic, block_size, offset=len(za))
    else:
        negatives = _negatives(len(za))
        losses = reductions.cross_entropy(jnp.tile(positives, 2), critic(both, both), negatives)
        loss = jnp.mean(losses)
    return paper.from_rows(jnp.mean(positives), loss)


def dcl_terms(za: chex.Array, zb: chex.Array, *, temperature: float) -> bounds.Terms:
    """NT-Xent without the positive among the others (DCL, Yeh et al. 2022, arXiv 2110.06848). za,
    zb: (N, D).
    """
    _check(za, zb)
    positives, both = _positives(za, zb, temperature), jnp.concatenate([za, zb])
    scores = critics.cosine(both, both, temperature=temperature)
    relative = scores - jnp.tile(positives, 2)[:, None]
    losses = reductions.logsumexp(relative, _negatives(len(za)), axis=1)
    return paper.from_rows(jnp.mean(positives), jnp.mean(losses))


def dcl_loss(za: chex.Array, zb: chex.Array, *, temperature: float) -> jax.Array:
    """Compute NT-Xent without the positive among the others (DCL, arXiv 2110.06848).

    Args:
        za: (N, D) embeddings of view 1, one row a sample, not normalised.
        zb: (N, D) embeddings of view 2; its row i belongs to row i of `za`.
        temperature: of the cosine critic.

    Returns:
        (), to be minimised.

    Raises:
        ValueError: N < 2.

    >>> f'{ms.losses.dcl(jnp.eye(2), jnp.eye(2), temperature=0.5):.3f}'
    '-1.307'
    """
    return objectives.loss(dcl_terms(za, zb, temperature=temperature))


def nt_xent(za: chex.Array, zb: chex.Array, *, temperature: float) -> jax.Array:
    """Compute NT-Xent, the loss of SimCLR (Chen et al. 2020, arXiv 2002.05709, Eq. 1).

    The mean over all 2N rows of -u_i . u_p(i) / t + log sum_{k != i} exp(u_i . u_k / t), u of unit
    length. The reference code adds the two views' means instead: twice this value.

    Args:
        za: (N, D) embeddings of view 1, one row a sample, not normalised.
        zb: (N, D) embeddings of view 2; its row i belongs to row i of `za`.
        temperature: t.

    Returns:
        (), nats, to be minimised.

    Raises:
        ValueError: N < 2.

    >>> f'{ms.losses.nt_xent(jnp.eye(2), jnp.eye(2), temperature=0.5):.3f}'
    '0.240'
    """
    return objectives.loss(nt_xent_terms(za, zb, temperature=temperature))


def _check(za: chex.Array, zb: chex.Array) -> None:
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape([za, zb])
    if len(za) < 2:
        raise ValueError('a batch of one has no negatives: use a batch of at least 2')


def _positives(za: chex.Array, zb: chex.Array, temperature: float) -> jax.Array:
    """cos / t (N,) of the two views of each example."""
    return jnp.sum(linalg.unit(za) * linalg.unit(zb), axis=-1) / temperature


def _negatives(n: int) -> jax.Array:
    """Return a mask (2N, 2N) of the pairs of 2N embeddings that belong to different examples."""
    return ~jnp.tile(jnp.eye(n, dtype=bool), (2, 2))


def build(
    parts: api.Parts,
    *,
    temperature: float,
    objective: str,
    block_size: int | None,
    head_norm: bool,
) -> api.Method:
    """objective: 'nt_xent', 'dcl', or a bound by name over the N x N pairs of the two views.

    block_size: rows of scores at once; not for 'dcl'. head_norm: batch norm in the projector, as in
    version 2 of the reference code; without it linear layers with biases, as in solo-learn.
    """
    objectives.check(objective=objective, own=('nt_xent', 'dcl'))
    if objective == 'dcl' and block_size is not None:
        raise ValueError("objective 'dcl' is not computed in blocks: leave method.block_size at 0")
    forms = {
        'nt_xent': functools.partial(nt_xent_terms, block_size=block_size),
        'dcl': dcl_terms,
    }
    terms = forms.get(objective) or functools.partial(
        jmi.jmi_terms,
        objective=objective,
        marginal='bound',
        marginal_weight=1.0,
        block_size=block_size,
    )

    projector = PROJECTOR if head_norm else PLAIN_PROJECTOR

    def loss(views, aux, info, **traced):
        own = {'temperature': temperature} | traced
        return api.mi_loss(terms(*views['theta'].z, **own), aux)

    return api.joint(
        parts.encoder(projector=projector),
        loss,
        objective='explicit',
        traced=('temperature',),
    )
