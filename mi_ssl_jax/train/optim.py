"""Optimisers and their schedules, from optax. Learning rate and weight decay may be traced
scalars.
"""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import optax

from mi_ssl_jax.core import linalg
from mi_ssl_jax.methods import api

LARS_TRUST = 1e-3
Name = Literal['sgd', 'adamw', 'lars']
NAMES = get_args(Name)


def warmup_cosine(*, warmup_steps: int, total_steps: int) -> optax.Schedule:
    """Factor of the base learning rate: from 0 linearly to 1 over the warm-up, then half a cosine
    down to 0.
    """

    def factor(count: jax.Array) -> jax.Array:
        warmup = count / max(warmup_steps, 1)
        progress = jnp.clip((count - warmup_steps) / max(total_steps - warmup_steps, 1), 0, 1)
        return jnp.where(count < warmup_steps, warmup, 0.5 * (1 + jnp.cos(jnp.pi * progress)))

    return factor


def cosine(start: float, end: float, *, total_steps: int) -> optax.Schedule:
    """From `start` by half a cosine to `end`."""
    return lambda count: end + (start - end) * (1 + jnp.cos(jnp.pi * count / total_steps)) / 2


def make(
    name: Name,
    *,
    lr: float,
    weight_decay: float,
    momentum: float,
    schedule: optax.Schedule,
    steps_per_epoch: int,
    total_steps: int,
    groups: tuple[api.Group, ...] = (),
    rules: api.Rules = api.Rules(),
) -> optax.GradientTransformation:
    """An optimiser for one phase over that phase's own steps.

    'sgd': weight decay on every parameter, added to the gradient, as PyTorch does. 'adamw':
    decoupled weight decay. 'lars': as in the reference code of BYOL, MoCo-v3, Barlow Twins and
    VICReg: decay and trust ratio for weights only (biases and batch norms are excluded), learning
    rate outside the momentum. momentum: of sgd and lars.
    schedule: factor of the learning rate by step. steps_per_epoch, total_steps: of this phase.
    groups: modules with a rule of their own; see methods.api.Group. rules: see methods.api.Rules.
    """
    if name not in NAMES:
        raise ValueError(f"unknown optimizer '{name}'; use one of {', '.join(NAMES)}")

    decay = weight_decay
    if rules.final_weight_decay is not None:
        decay = cosine(weight_decay, rules.final_weight_decay, total_steps=total_steps)

    def chain(group: api.Group) -> optax.GradientTransformation:
        frozen = group.frozen_epochs * steps_per_epoch
        factor = jnp.ones_like if group.constant_lr else schedule
        # Counts stand still with the module: schedules are read where training stands.
        own_decay = (lambda count: decay(count + frozen)) if callable(decay) else decay
        steps = [_clip(rules.clip)] if rules.clip is not None else []
        steps += _direction(
            name, weight_decay=own_decay, momentum=momentum, decay_vectors=rules.decay_vectors
        )
        steps += [optax.scale_by_schedule(lambda count: -lr * factor(count + frozen))]
        steps += [_unit_rows()] if group.unit_rows else []
        update = optax.chain(*steps)
        return optax.conditionally_mask(update, lambda step: step >= frozen) if frozen else update

    rest = chain(api.Group(''))
    if not groups:
        return rest
    return optax.partition(
        {'rest': rest, **{group.module: chain(group) for group in groups}},
        _labels(tuple(group.module for group in groups)),
    )


def _labels(modules: tuple[str, ...]) -> Callable:
    """Top-level module name -> label, for every parameter below it."""
    return lambda params: {
        name: jax.tree.map(lambda _: name if name in modules else 'rest', tree)
        for name, tree in params.items()
    }


def _clip(largest: float) -> optax.GradientTransformation:
    """Scale each parameter's gradient g by min(1, largest / (|g| + 1e-6)) (DINO's code)."""

    def clip(gradient: jax.Array) -> jax.Array:
        norm = jnp.sqrt(jnp.sum(jnp.square(gradient)))
        return gradient * jnp.minimum(1, largest / (norm + 1e-6))

    return optax.stateless(lambda gradients, params: jax.tree.map(clip, gradients))


def _unit_rows() -> optax.GradientTransformation:
    """The update after which every row has unit length."""
    return optax.stateless(
        lambda updates, params: jax.tree.map(lambda u, p: linalg.unit(p + u) - p, updates, params)
    )


def _weights(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)


def _direction(
    name: Name, *, weight_decay: float | optax.Schedule, momentum: float, decay_vectors: bool
) -> list[optax.GradientTransformation]:
    heavy_ball = [optax.trace(decay=momentum)] if momentum else []
    only = None if decay_vectors and name != 'lars' else _weights
    decay = optax.add_decayed_weights(weight_decay, mask=only)
    if name == 'sgd':
        return [decay, *heavy_ball]
    if name == 'adamw':
        return [optax.scale_by_adam(), decay]
    return [
        decay,
        optax.masked(optax.scale_by_trust_ratio(trust_coefficient=LARS_TRUST), _weights),
        *heavy_ball,
    ]
