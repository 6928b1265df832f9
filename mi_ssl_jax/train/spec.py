"""The trainers' input: method, views, optimiser, layout."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import optax

from mi_ssl_jax import parallel
from mi_ssl_jax.methods import api


class Spec(NamedTuple):
    """Everything that a step is compiled from.

    optimiser: (hyper, phase) -> optax transformation; hyper may be traced. views: (key, example) ->
    tuple of views. hyper: 'lr', 'weight_decay' and what the method traces, one mapping a seed.
    steps_per_pass, passes: of each phase. period: steps of a phase before the next one
    takes over. classes: of
    the online probe, 0 for none. accumulate: pieces in which a device encodes its share of the
    batch. local_statistics: whether batch norm's statistics are of each device's examples alone.
    check_replicas: whether training makes sure that all devices hold the same state.
    """

    method: api.Method
    optimiser: Callable[[Mapping[str, Any], api.Phase], optax.GradientTransformation]
    views: Callable
    layout: parallel.Layout
    hyper: tuple[Mapping[str, float], ...]
    batch_size: int
    steps_per_pass: int
    passes: int
    period: int
    classes: int = 0
    accumulate: int = 1
    local_statistics: bool = False
    check_replicas: bool = False
