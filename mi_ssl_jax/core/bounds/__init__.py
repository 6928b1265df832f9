"""Bounds on mutual information by name: Pairs -> nats, and their joint and marginal terms apart.

A bound is a function of `pairs.Pairs`; `terms(name, pairs)` is what methods call with a bound's
name. To add a bound, write `X_terms(pairs) -> Terms` and put it into `BOUNDS`.

| name | what it is | kind |
|---|---|---|
| dv, infonce, jsd, nwj, taylor_dv | the paper's (`paper`) | lower; jsd: not in nats |
| tuba, i_alpha | with a learned baseline a(y) (`literature`) | lower |
| smile, js_nwj | value of clipped DV / NWJ, gradient of JSD | smile: no bound; js_nwj: lower |
| mine | DV with a bias-corrected gradient and a state | lower |
| chi_squared | of another divergence (`corrected`) | lower, of chi^2; not in nats |
| dv_jackknife, leave_one_out | DV with another log-mean (`corrected`) | neither |
| barber_agakov, club | with a fitted conditional q(y given x) (`conditional`) | lower; upper |
"""

import functools
from collections.abc import Callable

import chex

from mi_ssl_jax.core.bounds.conditional import barber_agakov, club, log_likelihood
from mi_ssl_jax.core.bounds.corrected import (
    chi_squared,
    chi_squared_terms,
    dv_jackknife,
    leave_one_out,
)
from mi_ssl_jax.core.bounds.literature import (
    i_alpha,
    i_alpha_terms,
    js_nwj_terms,
    mine_terms,
    smile,
    smile_jsd_terms,
    smile_terms,
    tuba,
    tuba_terms,
)
from mi_ssl_jax.core.bounds.paper import (
    Terms,
    dv,
    dv_terms,
    eq13,
    infonce,
    infonce_terms,
    jsd,
    jsd_terms,
    nwj,
    nwj_terms,
    taylor_dv,
    taylor_dv_terms,
)
from mi_ssl_jax.core.bounds.parameters import PARAMETERS, parameters
from mi_ssl_jax.core.bounds.row_blocks import blocked, blocked_terms
from mi_ssl_jax.core.pairs import Pairs

__all__ = [
    'BOUNDS',
    'Terms',
    'barber_agakov',
    'blocked',
    'blocked_terms',
    'chi_squared',
    'chi_squared_terms',
    'club',
    'dv',
    'dv_jackknife',
    'dv_terms',
    'eq13',
    'i_alpha',
    'i_alpha_terms',
    'infonce',
    'infonce_terms',
    'js_nwj_terms',
    'jsd',
    'jsd_terms',
    'leave_one_out',
    'log_likelihood',
    'mine_terms',
    'nwj',
    'nwj_terms',
    'smile',
    'smile_jsd_terms',
    'smile_terms',
    'taylor_dv',
    'taylor_dv_terms',
    'terms',
    'tuba',
    'tuba_terms',
]

# Those that need nothing but scores.
BOUNDS: dict[str, Callable[..., Terms]] = {
    'dv': dv_terms,
    'infonce': infonce_terms,
    'jsd': jsd_terms,
    'nwj': nwj_terms,
    'js_nwj': js_nwj_terms,
    'chi_squared': chi_squared_terms,
    'smile': functools.partial(smile_jsd_terms, **PARAMETERS['smile']),
    'taylor_dv': functools.partial(taylor_dv_terms, **PARAMETERS['taylor_dv']),
}


def terms(
    name: str,
    pairs: Pairs,
    *,
    clip: chex.Numeric | None = None,
    variance_weight: chex.Numeric | None = None,
) -> Terms:
    """Take a bound apart by its name.

    Args:
        name: a key of `BOUNDS`: dv, infonce, jsd, nwj, js_nwj, taylor_dv, smile or
            chi_squared.
        pairs: scores of joint and of marginal pairs, see `mi_ssl_jax.pairs`.
        clip: of 'smile', the largest |S| of a marginal pair (5 unless given).
        variance_weight: of 'taylor_dv' (0.5 unless given; 1 in the paper's Eq. 11).

    Returns:
        Terms, nats (but for 'jsd' and 'chi_squared'); the bound is joint - marginal.

    Raises:
        ValueError: unknown name, or a parameter that the bound does not have.

    >>> f'{ms.bounds.terms("dv", ms.pairs.in_batch(2 * jnp.eye(2))).joint:.3f}'
    '2.000'
    """
    if name not in BOUNDS:
        raise ValueError(f'unknown bound {name!r}: choose one of {", ".join(sorted(BOUNDS))}')
    return BOUNDS[name](pairs, **parameters(name, clip=clip, variance_weight=variance_weight))
