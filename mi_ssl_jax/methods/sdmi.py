"""SDMI: two independently initialised encoders that maximise I(f(x1); g(x2)) in turns (paper,
Algorithm 1).

The E-step trains f against a frozen g, the M-step trains g against a frozen f. There is no
predictor, no EMA and no regulariser; the ablations of Figure 4 are arguments.
"""

import jax

from mi_ssl_jax.core import bounds
from mi_ssl_jax.methods import api, objectives

# The paper leaves the head open: batch norm after every layer as in MoCo-v3 and SimSiam, its
# closest relatives.
PROJECTOR = {'hidden_bias': False, 'last_bias': False, 'last_norm': 'plain'}
PREDICTOR = {'hidden_bias': False, 'last_bias': True, 'last_norm': None}


def sdmi_terms(
    trained: tuple[jax.Array, jax.Array], frozen: tuple[jax.Array, jax.Array], **options
) -> bounds.Terms:
    """-L_E or -L_M of Algorithm 1: the mean over both view orders, the frozen branch under a
    stop-gradient.

    trained, frozen: (N, D) embeddings of view 1 and view 2. options: see
    methods.objectives.mutual_information.
    """
    frozen = jax.lax.stop_gradient(frozen)
    return objectives.average(
        objectives.mutual_information(trained[0], frozen[1], **options),
        objectives.mutual_information(trained[1], frozen[0], **options),
    )


def build(
    parts: api.Parts,
    *,
    temperature: float,
    objective: str = 'dv',
    marginal: str | None = 'bound',
    marginal_weight: float = 1.0,
    predictor: bool = False,
    block_size: int | None = None,
) -> api.Method:
    """marginal=None is SDMI-NoDV, with predictor=True SDMI-NoDV-Pred (paper, Figure 4a).

    objective: a bound by name. marginal: 'bound' (its own), None (dropped), or a surrogate by name
    with `marginal_weight`. predictor: on the trained branch in both steps. block_size: see
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
    net = parts.encoder(projector=PROJECTOR, predictor=PREDICTOR if predictor else None)

    def phase(name: str, trained: str, frozen: str) -> api.Phase:
        def loss(views, aux, info):
            return api.mi_loss(sdmi_terms(views[trained].out, views[frozen].z, **options), aux)

        return api.Phase(name, trained, loss)

    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='explicit' if marginal == 'bound' else 'surrogate',
        branches={'theta': api.Branch(net), 'xi': api.Branch(net)},
        phases=(phase('e', 'theta', 'xi'), phase('m', 'xi', 'theta')),
        tracked=api.Tracked('theta', 'xi'),
        stop_gradient=True,
    )
