"""The MI objective that SDMI, JMI and their relatives share: a cosine critic and a bound or
surrogate by name.
"""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, critics, linalg, pairs, surrogates
from mi_ssl_jax.core.bounds import paper, row_blocks
from mi_ssl_jax.core.types import Critic

MARGINALS = ('bound', None, *surrogates.REGULARISERS)


def check(*, objective: str, marginal: str | None = 'bound', own: tuple[str, ...] = ()) -> None:
    """ValueError for an objective or a marginal that does not exist. own: objectives that only this
    method has.
    """
    known = (*own, *sorted(bounds.BOUNDS))
    if objective not in known:
        raise ValueError(f"unknown objective '{objective}'; use one of {', '.join(known)}")
    if marginal not in MARGINALS:
        raise ValueError(
            f"unknown marginal '{marginal}'; use one of {', '.join(map(str, MARGINALS))}"
        )


def options(
    temperature: chex.Numeric,
    objective: str,
    marginal: str | None,
    marginal_weight: chex.Numeric,
    block_size: int | None,
) -> dict[str, Any]:
    """The arguments of `mutual_information` by name, checked."""
    check(objective=objective, marginal=marginal)
    return {
        'temperature': temperature,
        'objective': objective,
        'marginal': marginal,
        'marginal_weight': marginal_weight,
        'block_size': block_size,
    }


def terms(
    za: jax.Array,
    zb: jax.Array,
    *,
    objective: str,
    temperature: float,
    block_size: int | None = None,
) -> bounds.Terms:
    """Joint and marginal term of a bound with the critic T = cos / temperature over the pairs of a
    batch (N, D).

    block_size: evaluate the N x N scores in row blocks of this size when N is larger (same value
    and gradient).
    """
    critic = functools.partial(critics.cosine, temperature=temperature)
    return scored(za, zb, critic, objective=objective, block_size=block_size)


def scored(
    za: jax.Array, zb: jax.Array, critic: Critic, *, objective: str, block_size: int | None
) -> bounds.Terms:
    """`terms` with any critic, (n, D), (N, D) -> scores (n, N)."""
    if block_size is not None and len(za) > block_size:
        return bounds.blocked_terms(objective, za, zb, critic, block_size)
    return bounds.terms(objective, pairs.in_batch(critic(za, zb)))


def cross_entropy_terms(
    za: jax.Array, zb: jax.Array, *, temperature: float, block_size: int | None = None
) -> bounds.Terms:
    """InfoNCE's `terms` without the log N of the bound: minus the cross-entropy over each row."""
    critic = functools.partial(critics.cosine, temperature=temperature)
    if block_size is not None and len(za) > block_size:
        return row_blocks.cross_entropy_terms(za, zb, critic, block_size)
    return paper.cross_entropy_terms(pairs.in_batch(critic(za, zb)))


def surrogate_terms(
    za: jax.Array,
    zb: jax.Array,
    *,
    marginal: str | None,
    marginal_weight: float,
    temperature: float,
) -> bounds.Terms:
    """The form of Eq. 10: joint E[T] with T = cos / temperature, marginal weight * R or, without
    one, 0.
    """
    joint = jnp.mean(jnp.sum(linalg.unit(za) * linalg.unit(zb), axis=-1)) / temperature
    if marginal is None:
        return bounds.Terms(joint, jnp.zeros_like(joint))
    return bounds.Terms(joint, marginal_weight * surrogates.REGULARISERS[marginal](za, zb))


def loss(terms: bounds.Terms) -> jax.Array:
    """marginal - joint, to be minimised (paper, Eq. 2, negated)."""
    return -paper.value(terms)


def average(*many: bounds.Terms) -> bounds.Terms:
    """Mean of the terms of several directions."""
    return jax.tree.map(lambda *values: sum(values) / len(values), *many)


def mutual_information(
    za: jax.Array,
    zb: jax.Array,
    *,
    objective: str,
    marginal: str | None,
    marginal_weight: float,
    temperature: float,
    block_size: int | None,
) -> bounds.Terms:
    """`terms`, or `surrogate_terms` where the marginal is not the bound's own."""
    if marginal == 'bound':
        return terms(za, zb, objective=objective, temperature=temperature, block_size=block_size)
    return surrogate_terms(
        za, zb, marginal=marginal, marginal_weight=marginal_weight, temperature=temperature
    )
