"""Optimisers and the learning-rate schedule, from optax. Learning rate and weight decay may be traced scalars."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from mi_ssl_jax.methods import api

LARS_TRUST = 1e-3
NAMES = ('sgd', 'adamw', 'lars')


def warmup_cosine(*, warmup_steps: int, total_steps: int) -> optax.Schedule:
    """Factor of the base learning rate: from 0 linearly to 1 over the warm-up, then half a cosine down to 0."""

    def factor(count: jax.Array) -> jax.Array:
        warmup = count / max(warmup_steps, 1)
        progress = jnp.clip((count - warmup_steps) / max(total_steps - warmup_steps, 1), 0, 1)
        return jnp.where(count < warmup_steps, warmup, 0.5 * (1 + jnp.cos(jnp.pi * progress)))

    return factor


def make(name: str, *, lr: float, weight_decay: float, momentum: float, schedule: optax.Schedule,
         groups: tuple[api.Group, ...] = ()) -> optax.GradientTransformation:
    """An optimiser for one phase over that phase's own steps.

    'sgd': weight decay on every parameter, added to the gradient, as PyTorch does. 'adamw': decoupled weight decay.
    'lars': as in the reference code of BYOL, MoCo-v3, Barlow Twins and VICReg: decay and trust ratio for weights only
    (biases and batch norms are excluded), learning rate outside the momentum. momentum: of sgd and lars.
    groups: modules with a rule of their own; see methods.api.Group.
    """
    if name not in NAMES:
        raise ValueError(f"unknown optimizer '{name}'; use one of {', '.join(NAMES)}")

    def chain(factor: optax.Schedule) -> optax.GradientTransformation:
        return optax.chain(*_direction(name, weight_decay=weight_decay, momentum=momentum),
                           optax.scale_by_schedule(lambda count: -lr * factor(count)))

    if not groups:
        return chain(schedule)
    rules = {group.module: chain(jnp.ones_like if group.constant_lr else schedule) for group in groups}
    return optax.partition({'rest': chain(schedule), **rules}, _labels(tuple(rules)))


def _labels(modules: tuple[str, ...]) -> Callable:
    """Top-level module name -> label, for every parameter below it."""
    return lambda params: {name: jax.tree.map(lambda _: name if name in modules else 'rest', tree)
                           for name, tree in params.items()}


def _weights(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)


def _direction(name: str, *, weight_decay: float, momentum: float) -> list[optax.GradientTransformation]:
    heavy_ball = [optax.trace(decay=momentum)] if momentum else []
    if name == 'sgd':
        return [optax.add_decayed_weights(weight_decay), *heavy_ball]
    if name == 'adamw':
        return [optax.scale_by_adam(), optax.add_decayed_weights(weight_decay)]
    return [optax.add_decayed_weights(weight_decay, mask=_weights),
            optax.masked(optax.scale_by_trust_ratio(trust_coefficient=LARS_TRUST), _weights), *heavy_ball]
