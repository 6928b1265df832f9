"""VICReg (Bardes, Ponce & LeCun 2022, arXiv 2105.04906): invariance, variance and covariance of the
embeddings.
"""

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, linalg, surrogates
from mi_ssl_jax.methods import api

PROJECTOR = {'hidden_bias': True, 'last_bias': False, 'last_norm': None}


def vicreg_terms(
    za: chex.Array,
    zb: chex.Array,
    *,
    invariance_weight: float,
    variance_weight: float,
    covariance_weight: float,
    eps: float,
) -> bounds.Terms:
    """Joint: -invariance_weight * mean squared error. Marginal: the weighted variance and
    covariance terms.
    """
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape([za, zb])
    za, zb = linalg.promote(za), linalg.promote(zb)
    # The reference code halves the sum of the two variance terms; some ports do not.
    variance = 0.5 * (
        surrogates.variance_hinge(za, eps=eps) + surrogates.variance_hinge(zb, eps=eps)
    )
    covariance = surrogates.covariance_penalty(za) + surrogates.covariance_penalty(zb)
    return bounds.Terms(
        -invariance_weight * jnp.mean(jnp.square(za - zb)),
        variance_weight * variance + covariance_weight * covariance,
    )


def vicreg_loss(
    za: chex.Array,
    zb: chex.Array,
    *,
    invariance_weight: float,
    variance_weight: float,
    covariance_weight: float,
    eps: float,
) -> jax.Array:
    """Compute the loss of VICReg as its reference code does (arXiv 2105.04906, Eq. 6).

    Args:
        za: (N, D) embeddings of view 1, one row a sample, not normalised.
        zb: (N, D) embeddings of view 2; its row i belongs to row i of `za`.
        invariance_weight: of the mean squared error of the views; 25 in the source.
        variance_weight: of the hinge on each feature's standard deviation; 25 in the source.
        covariance_weight: of the squared covariances; 1 in the source.
        eps: added to the variance; 1e-4 in the source.

    Returns:
        (), to be minimised.

    >>> weights = {'invariance_weight': 25.0, 'variance_weight': 25.0, 'covariance_weight': 1.0}
    >>> float(ms.losses.vicreg(jnp.ones((4, 2)), jnp.ones((4, 2)), **weights, eps=0.0))
    25.0
    """
    terms = vicreg_terms(
        za,
        zb,
        invariance_weight=invariance_weight,
        variance_weight=variance_weight,
        covariance_weight=covariance_weight,
        eps=eps,
    )
    return terms.marginal - terms.joint


def build(
    parts: api.Parts,
    *,
    invariance_weight: float,
    variance_weight: float,
    covariance_weight: float,
    eps: float,
) -> api.Method:
    """The weights and eps are the reference code's, and the paper's (Table 5)."""

    def loss(views, aux, info):
        return api.mi_loss(
            vicreg_terms(
                *views['theta'].z,
                invariance_weight=invariance_weight,
                variance_weight=variance_weight,
                covariance_weight=covariance_weight,
                eps=eps,
            ),
            aux,
        )

    return api.joint(parts.encoder(projector=PROJECTOR), loss, objective='surrogate')
