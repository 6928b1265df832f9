"""Barlow Twins (Zbontar et al. 2021, arXiv 2103.03230): two views' cross-correlation becomes the
identity.
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, linalg, surrogates
from mi_ssl_jax.methods import api

PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': None}


def barlow_terms(za: chex.Array, zb: chex.Array, *, redundancy_weight: float) -> bounds.Terms:
    """Joint: -sum (C_ii - 1)^2. Marginal: redundancy_weight * sum_{i != j} C_ij^2. za, zb: (N, D),
    not normalised.
    """
    chex.assert_rank([za, zb], 2)
    correlation = surrogates.correlation(za, zb)
    return bounds.Terms(
        -jnp.sum(jnp.square(jnp.diagonal(correlation) - 1)),
        redundancy_weight * linalg.off_diagonal_sum_of_squares(correlation),
    )


def barlow_loss(za: chex.Array, zb: chex.Array, *, redundancy_weight: float) -> jax.Array:
    """Compute sum_i (1 - C_ii)^2 + redundancy_weight sum_{i != j} C_ij^2 (arXiv 2103.03230, Eq. 1).

    C is the views' cross-correlation over the batch. Features are standardised with the biased
    variance and eps 1e-5, as the reference code's batch norm does.

    Args:
        za: (N, D) embeddings of view 1, one row a sample, not normalised.
        zb: (N, D) embeddings of view 2; its row i belongs to row i of `za`.
        redundancy_weight: 0.0051 in the reference code, 5e-3 in its paper.

    Returns:
        (), to be minimised.

    >>> za = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> f'{ms.losses.barlow(za, -za, redundancy_weight=0.0051):.3f}'
    '8.000'
    """
    terms = barlow_terms(za, zb, redundancy_weight=redundancy_weight)
    return terms.marginal - terms.joint


def build(parts: api.Parts, *, redundancy_weight: float, loss_scale: float) -> api.Method:
    """redundancy_weight: the paper's lambda, 0.0051 in its reference code. loss_scale: factor of
    the whole loss (0.1 in solo-learn).
    """

    def loss(views, aux, info):
        terms = barlow_terms(*views['theta'].z, redundancy_weight=redundancy_weight)
        return api.mi_loss(jax.tree.map(lambda term: loss_scale * term, terms), aux)

    return api.joint(parts.encoder(projector=PROJECTOR), loss, objective='surrogate')
