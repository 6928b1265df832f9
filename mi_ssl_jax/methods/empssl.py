"""EMP-SSL (Tong et al. 2023, arXiv 2304.03977): all patches of an image agree with their mean, and
the embeddings of each patch fill the space.
"""

import functools

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, gaussian_entropy, linalg
from mi_ssl_jax.methods import api, objectives

PROJECTOR = {'hidden_bias': True, 'last_bias': True, 'last_norm': None}


def coding_rate(z: chex.Array, *, distortion: float) -> jax.Array:
    """log det(I + D / (N distortion) z^T z) / 2 of z (N, D), nats, by the smaller of its two
    matrices.
    """
    n, d = z.shape
    rows = z.T if d <= n else z
    scaled = d / (n * distortion) * linalg.matmul(rows, rows.T)
    return gaussian_entropy.log_det(jnp.eye(len(rows), dtype=scaled.dtype) + scaled) / 2


def empssl_terms(
    z: chex.Array, *, invariance_weight: chex.Numeric, distortion: float
) -> bounds.Terms:
    """Joint: invariance_weight * mean cosine of patches and their image's mean. Marginal: minus the
    mean coding rate of the patches. z: (V, N, D).
    """
    chex.assert_rank(z, 3)
    z = linalg.unit(z)
    cosines = jnp.sum(z * linalg.unit(jnp.mean(z, axis=0)), axis=-1)
    rates = jax.vmap(functools.partial(coding_rate, distortion=distortion))(z)
    return bounds.Terms(invariance_weight * jnp.mean(cosines), -jnp.mean(rates))


def empssl_loss(z: chex.Array, *, invariance_weight: float, distortion: float) -> jax.Array:
    """Compute EMP-SSL's loss of V patches.

    Tong et al. 2023, arXiv 2304.03977, as its code has it:
    -invariance_weight * mean cos(u_v, mean_w u_w) - mean_v log det(I + D / (N distortion) u_v^T
    u_v) / 2, u_v of unit length; gradients flow through the mean over patches too.

    Args:
        z: (V, N, D) embeddings of V patches of each of N images, not normalised.
        invariance_weight: of the cosine; 200 in the source.
        distortion: the squared distortion of the coding rate; 0.2 in the source.

    Returns:
        (), to be minimised; the second term in nats.

    >>> z = jnp.stack([jnp.eye(2)] * 3)
    >>> f'{ms.losses.empssl(z, invariance_weight=1.0, distortion=1.0):.3f}'  # -1 - log 2
    '-1.693'
    """
    terms = empssl_terms(z, invariance_weight=invariance_weight, distortion=distortion)
    return objectives.loss(terms)


def build(parts: api.Parts, *, invariance_weight: float, distortion: float) -> api.Method:
    """invariance_weight, distortion: see empssl_loss. The pipeline of views makes the patches."""

    def loss(views, aux, info):
        z = jnp.stack(views['theta'].z)
        return api.mi_loss(
            empssl_terms(z, invariance_weight=invariance_weight, distortion=distortion), aux
        )

    return api.joint(parts.encoder(projector=PROJECTOR), loss, objective='surrogate')
