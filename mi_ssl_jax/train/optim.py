"""Optimisers and their schedules, from optax. Learning rate and weight decay may be traced
scalars.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from mi_ssl_jax.core import linalg
from mi_ssl_jax.methods import api

Name = Literal['sgd', 'adam', 'adamw', 'lars']
NAMES = get_args(Name)
Ratio = Literal['whole', 'parts']
LARS_EPS = 1e-8  # in the denominator of 'parts'


class Lars(NamedTuple):
    """The choices in which implementations of LARS differ; the defaults are those of the reference
    code of BYOL, MoCo-v3, Barlow Twins and VICReg.
    """

    eta: float = 1e-3  # the trust coefficient
    ratio: Ratio = 'whole'  # |p| / |g + wd p|; 'parts': |p| / (|g| + wd |p|)
    clip: bool = False  # eta times the ratio becomes min(that / learning rate, 1)
    vectors: bool = False  # biases and batch norms too are adapted and decay


REFERENCE = Lars()


def warmup_cosine(
    *, warmup_steps: int, total_steps: int, start: float = 0.0, final: float = 0.0
) -> optax.Schedule:
    """Factor of the base learning rate: from `start` linearly to 1 over the warm-up, then half a
    cosine down to `final`.
    """

    def after(count: jax.Array) -> jax.Array:
        progress = jnp.clip((count - warmup_steps) / max(total_steps - warmup_steps, 1), 0, 1)
        return final + (1 - final) * 0.5 * (1 + jnp.cos(jnp.pi * progress))

    return _warmed(after, warmup_steps, start)


def warmup_steps_down(
    *, warmup_steps: int, drops: tuple[int, ...], drop_factor: float, start: float = 0.0
) -> optax.Schedule:
    """Factor of the base learning rate: from `start` linearly to 1 over the warm-up, then times
    `drop_factor` from each step in `drops` on.
    """

    def after(count: jax.Array) -> jax.Array:
        passed = jnp.sum(count >= jnp.expand_dims(jnp.asarray(drops), -1), axis=0)
        return drop_factor ** passed.reshape(count.shape)

    return _warmed(after, warmup_steps, start)


def _warmed(after: optax.Schedule, warmup_steps: int, start: float) -> optax.Schedule:
    def factor(count: jax.Array) -> jax.Array:
        count = jnp.asarray(count, float)
        warmup = start + (1 - start) * count / max(warmup_steps, 1)
        return jnp.where(count < warmup_steps, warmup, after(count))

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
    lars: Lars = REFERENCE,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """An optimiser for one phase over that phase's own steps.

    'sgd', 'adam': weight decay on every parameter, added to the gradient, as PyTorch does. 'adamw':
    decoupled weight decay. 'lars': decay and trust ratio for weights only (biases and batch norms
    are excluded), learning rate outside the momentum; see Lars. momentum: of sgd and lars.
    nesterov: that momentum is Nesterov's, as in PyTorch. schedule: factor of the learning rate by
    step. steps_per_epoch, total_steps: of this phase. groups: modules with a rule of their own; see
    methods.api.Group. rules: see methods.api.Rules.
    """
    if name not in NAMES:
        raise ValueError(f"unknown optimizer '{name}'; use one of {', '.join(NAMES)}")

    ball = _heavy_ball(momentum, nesterov)
    decay = weight_decay
    if rules.final_weight_decay is not None:
        decay = cosine(weight_decay, rules.final_weight_decay, total_steps=total_steps)

    def chain(group: api.Group) -> optax.GradientTransformation:
        frozen = group.frozen_epochs * steps_per_epoch
        factor = jnp.ones_like if group.constant_lr else schedule
        # Counts stand still with the module: schedules are read where training stands.
        own_decay = (lambda count: decay(count + frozen)) if callable(decay) else decay
        steps = [_clip(rules.clip)] if rules.clip is not None else []

        def rate(count: jax.Array) -> jax.Array:
            return lr * factor(count + frozen)

        if name == 'lars':
            steps += [*_adapted(lars, own_decay, rate), *ball]
        else:
            steps += _direction(name, own_decay, ball, decay_vectors=rules.decay_vectors)
        steps += [optax.scale_by_schedule(lambda count: -rate(count))]
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


def _heavy_ball(momentum: float, nesterov: bool) -> list[optax.GradientTransformation]:
    return [optax.trace(decay=momentum, nesterov=nesterov)] if momentum else []


def _direction(
    name: Name,
    weight_decay: float | optax.Schedule,
    ball: list[optax.GradientTransformation],
    *,
    decay_vectors: bool,
) -> list[optax.GradientTransformation]:
    decay = optax.add_decayed_weights(weight_decay, mask=None if decay_vectors else _weights)
    if name == 'sgd':
        return [decay, *ball]
    if name == 'adam':
        return [decay, optax.scale_by_adam()]
    return [optax.scale_by_adam(), decay]


def _adapted(
    lars: Lars, weight_decay: float | optax.Schedule, rate: optax.Schedule
) -> list[optax.GradientTransformation]:
    """Weight decay and trust ratio of LARS (You et al. 2017, arXiv 1708.03888)."""
    mask = None if lars.vectors else _weights
    if lars.ratio == 'whole' and not lars.clip:
        ratio = optax.scale_by_trust_ratio(trust_coefficient=lars.eta)
        decay = optax.add_decayed_weights(weight_decay, mask=mask)
        return [decay, optax.masked(ratio, mask) if mask else ratio]

    def adapt(gradient: jax.Array, param: jax.Array, decay: jax.Array, lr: jax.Array) -> jax.Array:
        if param.ndim < 2 and not lars.vectors:
            return gradient
        decayed = gradient + decay * param
        size, length = _norm(param), _norm(gradient)
        below = _norm(decayed) if lars.ratio == 'whole' else length + decay * size + LARS_EPS
        scale = lars.eta * size / jnp.where(below > 0, below, 1)
        if lars.clip:
            # A rate of 0, where a warm-up begins there, moves nothing.
            scale = jnp.minimum(scale / jnp.where(lr > 0, lr, 1), 1)
        # As in its code: a parameter or a gradient of zeros leaves the gradient as it is.
        return jnp.where((size > 0) & (length > 0), decayed * scale, gradient)

    def update(gradients, state, params=None):
        decay = weight_decay(state.count) if callable(weight_decay) else weight_decay
        lr = rate(state.count)
        moved = jax.tree.map(lambda g, p: adapt(g, p, decay, lr), gradients, params)
        return moved, optax.ScaleByScheduleState(optax.safe_increment(state.count))

    def init(params):
        return optax.ScaleByScheduleState(jnp.zeros((), jnp.int32))

    return [optax.GradientTransformation(init, update)]


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(x)))
