"""SDMI: two independently initialised encoders that maximise I(f(x1); g(x2)) in turns (paper,
Algorithm 1).

The E-step trains f against a frozen g, the M-step trains g against a frozen f. There is no
predictor, no EMA and no regulariser; the ablations of Figure 4 are arguments.
"""

import functools
from typing import Literal

import chex
import jax

from mi_ssl_jax.core import bounds
from mi_ssl_jax.core.types import Array
from mi_ssl_jax.methods import api, objectives

# The paper leaves the head open: batch norm after every layer as in MoCo-v3 and SimSiam, its
# closest relatives.
PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'plain'}
PREDICTOR = {'hidden_bias': False, 'last_bias': True, 'last_norm': None}

TwoViews = tuple[Array, ...] | Array  # (N, D) of view 1 and of view 2, or both stacked


def sdmi_terms(
    trained: TwoViews,
    frozen: TwoViews,
    *,
    temperature: chex.Numeric,
    objective: str,
    marginal: str | None,
    marginal_weight: chex.Numeric,
    block_size: int | None,
) -> bounds.Terms:
    """-L_E or -L_M of Algorithm 1 taken apart; arguments as of `sdmi_loss`."""
    information = functools.partial(
        objectives.mutual_information,
        objective=objective,
        marginal=marginal,
        marginal_weight=marginal_weight,
        temperature=temperature,
        block_size=block_size,
    )
    frozen = jax.lax.stop_gradient(frozen)
    return objectives.average(
        information(trained[0], frozen[1]), information(trained[1], frozen[0])
    )


def sdmi_loss(
    trained: TwoViews,
    frozen: TwoViews,
    *,
    temperature: chex.Numeric,
    objective: str = 'dv',
    marginal: str | None = 'bound',
    marginal_weight: chex.Numeric = 1.0,
    block_size: int | None = None,
) -> jax.Array:
    """Compute L_E or L_M of SDMI: minus the mutual information of a trained and a frozen encoder.

    The mean over both orders of the views, for the E-step L(f, sg g), for the M-step L(g, sg f)
    (paper, Algorithm 1).

    Args:
        trained: (N, D) embeddings of view 1 and of view 2 by the encoder that is trained; a pair,
            or both stacked to (2, N, D).
        frozen: the same by the other encoder, under a stop-gradient.
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

    >>> f, g = jnp.stack([jnp.eye(2)] * 2), jnp.stack([jnp.eye(2)] * 2)
    >>> f'{ms.losses.sdmi(f, g, temperature=0.5):.3f}'
    '-2.000'
    """
    options = objectives.options(temperature, objective, marginal, marginal_weight, block_size)
    return objectives.loss(sdmi_terms(trained, frozen, **options))


def build(
    parts: api.Parts,
    *,
    temperature: float,
    objective: str,
    marginal: str | None,
    marginal_weight: float,
    predictor: bool,
    block_size: int | None,
) -> api.Method:
    """marginal=None is SDMI-NoDV, with predictor=True SDMI-NoDV-Pred (paper, Figure 4a).

    objective: a bound by name. marginal: 'bound' (its own), None (dropped), or a surrogate by name
    with `marginal_weight`. predictor: on the trained branch in both steps. block_size: see
    methods.objectives.terms.
    """
    options = objectives.options(temperature, objective, marginal, marginal_weight, block_size)
    net = parts.encoder(projector=PROJECTOR, predictor=PREDICTOR if predictor else None)

    def phase(name: Literal['e', 'm'], trained: str, frozen: str) -> api.Phase:
        def loss(views, aux, info, **traced):
            return api.mi_loss(
                sdmi_terms(views[trained].out, views[frozen].z, **options | traced), aux
            )

        return api.Phase(name, trained, loss)

    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='explicit' if marginal == 'bound' else 'surrogate',
        branches={'theta': api.Branch(net), 'xi': api.Branch(net)},
        phases=(phase('e', 'theta', 'xi'), phase('m', 'xi', 'theta')),
        tracked=api.Tracked('theta', 'xi'),
        stop_gradient=True,
        traced=('temperature',),
    )
