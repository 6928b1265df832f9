"""Bounds on mutual information by name: Pairs -> nats, and their joint and marginal terms apart.

A bound is a function of `pairs.Pairs`; `terms(name, pairs)` is what methods call with a bound's name. To add a
bound, write `X_terms(pairs) -> Terms` and put it into `BOUNDS`.
"""

import functools
from typing import Any, Callable

from mi_ssl_jax.core.blocked import blocked, blocked_terms
from mi_ssl_jax.core.lower_bounds import (
    Terms, dv, dv_terms, eq13, infonce, infonce_terms, jsd, jsd_terms, nwj, nwj_terms, taylor_dv, taylor_dv_terms)
from mi_ssl_jax.core.pairs import Pairs

__all__ = [
    'BOUNDS', 'Terms', 'blocked', 'blocked_terms', 'dv', 'dv_terms', 'eq13', 'infonce', 'infonce_terms', 'jsd',
    'jsd_terms', 'nwj', 'nwj_terms', 'taylor_dv', 'taylor_dv_terms', 'terms']

BOUNDS: dict[str, Callable[..., Terms]] = {
    'dv': dv_terms,
    'infonce': infonce_terms,
    'jsd': jsd_terms,
    'nwj': nwj_terms,
    'taylor_dv': functools.partial(taylor_dv_terms, variance_weight=0.5),  # Eq. 24; pass 1 for Eq. 11
}


def terms(name: str, pairs: Pairs, **options: Any) -> Terms:
    """Joint and marginal term of the bound `name`, in nats.

    Raises:
        ValueError: unknown name.
    """
    if name not in BOUNDS:
        raise ValueError(f'unknown bound {name!r}: choose one of {", ".join(sorted(BOUNDS))}')
    return BOUNDS[name](pairs, **options)
