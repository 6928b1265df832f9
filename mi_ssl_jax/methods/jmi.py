"""JMI: one shared encoder that maximises I(f(x1); f(x2)) by one joint gradient step (paper,
Algorithm 2 and Eq. 10).
"""

from mi_ssl_jax.core import bounds
from mi_ssl_jax.methods import api, objectives

# The paper leaves the head open: batch norm after every layer, as in SimCLR.
PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'plain'}


def jmi_terms(za, zb, *, objective: str, **options) -> bounds.Terms:
    """-L of Algorithm 2, the mean over both orders of the views (N, D).

    Bounds that pool all off-diagonal pairs are the same in both orders, value and gradient, and are
    computed once; InfoNCE normalises over rows and is not.
    """
    forward = objectives.mutual_information(za, zb, objective=objective, **options)
    if objective != 'infonce':
        return forward
    return objectives.average(
        forward, objectives.mutual_information(zb, za, objective=objective, **options)
    )


def build(
    parts: api.Parts,
    *,
    temperature: float,
    objective: str = 'dv',
    marginal: str | None = 'bound',
    marginal_weight: float = 1.0,
    block_size: int | None = None,
) -> api.Method:
    """objective: a bound by name. marginal: 'bound' (its own), None (dropped: collapses), or a
    surrogate R by name.

    With a surrogate the loss is Eq. 10, -E[T] + marginal_weight * R. block_size: see
    methods.objectives.terms.
    """
    objectives.check(objective=objective, marginal=marginal)
    options = dict(
        objective=objective,
        marginal=marginal,
        marginal_weight=marginal_weight,
        temperature=temperature,
        block_size=block_size,
    )

    def loss(views, aux, info):
        return api.mi_loss(jmi_terms(*views['theta'].z, **options), aux)

    return api.Method(
        paradigm='jmi',
        update='joint',
        objective='explicit' if marginal == 'bound' else 'surrogate',
        branches={'theta': api.Branch(parts.encoder(projector=PROJECTOR))},
        phases=(api.Phase('joint', 'theta', loss),),
        tracked=api.Tracked('theta', 'theta'),
        stop_gradient=False,
    )
