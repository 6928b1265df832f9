"""JMI: one shared encoder that maximises I(f(x1); f(x2)) by one joint gradient step (paper,
Algorithm 2 and Eq. 10).
"""

import functools
from collections.abc import Callable

import chex
import jax
from flax import linen as nn

from mi_ssl_jax.core import bounds
from mi_ssl_jax.core.types import Critic
from mi_ssl_jax.methods import api, objectives
from mi_ssl_jax.nets import learned_critics

# The paper leaves the head open: batch norm after every layer, as in SimCLR.
PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'plain'}
LEARNED: dict[str, Callable[[], nn.Module]] = {
    'separable': learned_critics.Separable,
    'concatenated': learned_critics.Concatenated,
}
# With a learned critic the encoder has one module more: listed and tested beside the one without.
STRUCTURES = ({'critic': 'separable'},)


def jmi_terms(
    za: chex.Array,
    zb: chex.Array,
    *,
    temperature: chex.Numeric,
    objective: str,
    marginal: str | None,
    marginal_weight: chex.Numeric,
    block_size: int | None,
) -> bounds.Terms:
    """-L of Algorithm 2 taken apart; arguments as of `jmi_loss`.

    Bounds that pool all off-diagonal pairs are the same in both orders, value and gradient, and are
    computed once; InfoNCE normalises over rows and is not.
    """
    information = functools.partial(
        objectives.mutual_information,
        objective=objective,
        marginal=marginal,
        marginal_weight=marginal_weight,
        temperature=temperature,
        block_size=block_size,
    )
    forward = information(za, zb)
    if objective != 'infonce':
        return forward
    return objectives.average(forward, information(zb, za))


def jmi_loss(
    za: chex.Array,
    zb: chex.Array,
    *,
    temperature: chex.Numeric,
    objective: str = 'dv',
    marginal: str | None = 'bound',
    marginal_weight: chex.Numeric = 1.0,
    block_size: int | None = None,
) -> jax.Array:
    """Compute L of JMI: minus the mutual information of two views by one encoder.

    The mean over both orders of the views (paper, Algorithm 2 and Eq. 10).

    Args:
        za: (N, D) embeddings of view 1, one row a sample, not normalised.
        zb: (N, D) embeddings of view 2; its row i belongs to row i of `za`.
        temperature: of the cosine critic.
        objective: a bound by name, see `mi_ssl_jax.bounds.BOUNDS`.
        marginal: 'bound' for the bound's own marginal term; else Eq. 10's form, with a regulariser
            R of `mi_ssl_jax.surrogates.REGULARISERS` or without one (collapses).
        marginal_weight: of R.
        block_size: rows of scores held at a time, None for all.

    Returns:
        (), nats, to be minimised.

    Raises:
        ValueError: unknown objective or marginal, or N < 2.

    >>> f'{ms.losses.jmi(jnp.eye(2), jnp.eye(2), temperature=0.5):.3f}'
    '-2.000'
    """
    options = objectives.options(temperature, objective, marginal, marginal_weight, block_size)
    return objectives.loss(jmi_terms(za, zb, **options))


def learned_terms(
    za: chex.Array, zb: chex.Array, critic: Critic, *, objective: str, block_size: int | None
) -> bounds.Terms:
    """-L of Algorithm 2 with a critic that is no function of the cosine: the mean over both
    orders. za, zb: (N, D). critic: (n, D), (N, D) -> scores (n, N).
    """
    information = functools.partial(
        objectives.scored, critic=critic, objective=objective, block_size=block_size
    )
    return objectives.average(information(za, zb), information(zb, za))


def build(
    parts: api.Parts,
    *,
    temperature: float,
    objective: str,
    marginal: str | None,
    marginal_weight: float,
    block_size: int | None,
    critic: str,
) -> api.Method:
    """objective: a bound by name. marginal: 'bound' (its own), None (dropped: collapses), or a
    surrogate R by name.

    With a surrogate the loss is Eq. 10, -E[T] + marginal_weight * R. block_size: see
    methods.objectives.terms. critic: 'cosine', with its temperature, or one that is trained with
    the encoder, by the same step: 'separable' or 'concatenated' (nets.learned_critics), with the
    bound's own marginal term.
    """
    options = objectives.options(temperature, objective, marginal, marginal_weight, block_size)
    scorer = _critic(critic, marginal)

    def loss(views, aux, info, **traced):
        seen = views['theta']
        if scorer is None:
            return api.mi_loss(jmi_terms(*seen.z, **options | traced), aux)

        def score(za, zb):
            return scorer.apply({'params': seen.shared['critic']}, za, zb)

        terms = learned_terms(*seen.z, score, objective=objective, block_size=block_size)
        return api.mi_loss(terms, aux)

    return api.joint(
        parts.encoder(projector=PROJECTOR, critic=scorer),
        loss,
        objective='explicit' if marginal == 'bound' else 'surrogate',
        traced=('temperature',) if scorer is None else (),
    )


def _critic(name: str, marginal: str | None) -> nn.Module | None:
    """The module of a learned critic, None for the cosine. ValueError for another name, or with
    another marginal term than the bound's.
    """
    if name == 'cosine':
        return None
    if name not in LEARNED:
        raise ValueError(f"unknown critic '{name}'; use one of cosine, {', '.join(LEARNED)}")
    if marginal != 'bound':
        raise ValueError(
            f"critic='{name}' is learned by a bound: set method.marginal='bound', not '{marginal}'"
        )
    return LEARNED[name]()
