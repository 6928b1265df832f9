"""Views of vectors and series of the user's own: standardised, then noise, masks, scaling and, for
series, crops in time.

The operations are those of the field (Um et al. 2017, arXiv 1706.00527, for sensor series; SCARF,
arXiv 2106.15147, and VIME for tables); their default strengths are ours.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from mi_ssl_jax.core.statistics import Statistics


def vectors(
    key: Array,
    example: Array,
    *,
    statistics: Statistics | None = None,
    noise: float = 0.3,
    mask: float = 0.2,
    scaling: float = 0.1,
) -> tuple[Array, Array]:
    """Two views of one vector (d,), float32, each feature standardised first.

    Args:
      key: random key of this example.
      example: (d,) numbers.
      statistics: of the training set, (d,) each.
      noise: standard deviation of Gaussian noise, in standard deviations of a feature.
      mask: probability that a feature is set to its mean, each one by itself.
      scaling: the whole standardised vector is multiplied by a factor uniform in 1 +- scaling.

    Raises:
      ValueError: a strength out of its range, no statistics, or an example of another shape.
    """
    _check(noise=noise)
    _check(mask=mask, scaling=scaling, most=1.0)
    plain = vector(example, statistics=statistics)

    def view(key: Array) -> Array:
        key_noise, key_mask, key_scaling = jax.random.split(key, 3)
        factor = jax.random.uniform(key_scaling, minval=1 - scaling, maxval=1 + scaling)
        noisy = factor * plain + noise * jax.random.normal(key_noise, plain.shape)
        return jnp.where(jax.random.bernoulli(key_mask, mask, plain.shape), 0.0, noisy)

    first, second = jax.random.split(key)
    return view(first), view(second)


def vector(example: Array, *, statistics: Statistics | None = None) -> Array:
    """One vector (d,) standardised, as float32. ValueError as `vectors`."""
    return _standardised(example, statistics, 1, 'vectors')


def series(
    key: Array,
    example: Array,
    *,
    statistics: Statistics | None = None,
    crop: Sequence[float] = (0.5, 1.0),
    noise: float = 0.1,
    scaling: float = 0.2,
    time_mask: float = 0.2,
) -> tuple[Array, Array]:
    """Two views of one series (steps, C), float32, each channel standardised first.

    Args:
      key: random key of this example.
      example: (steps, C) numbers.
      statistics: of the training set, (C,) each.
      crop: range of the share of the steps that a view shows, stretched to all steps by linear
        interpolation; (1, 1) leaves the crop out.
      noise: standard deviation of Gaussian noise (jitter), in standard deviations of a channel.
      scaling: each channel is multiplied by a factor uniform in 1 +- scaling.
      time_mask: largest share of the steps that one masked span has; it is set to the mean.

    Raises:
      ValueError: a strength out of its range, no statistics, or an example of another shape.
    """
    _check(noise=noise)
    _check(scaling=scaling, time_mask=time_mask, most=1.0)
    if len(crop) != 2 or not 0 < crop[0] <= crop[1] <= 1:
        raise ValueError(f'crop={tuple(crop)}: give two shares with 0 < low <= high <= 1')
    plain = whole(example, statistics=statistics)

    def view(key: Array) -> Array:
        key_crop, key_noise, key_scaling, key_mask = jax.random.split(key, 4)
        cropped = plain if crop[0] == 1 else _crop(key_crop, plain, *crop)
        factor = jax.random.uniform(
            key_scaling, plain.shape[1:], minval=1 - scaling, maxval=1 + scaling
        )
        noisy = factor * cropped + noise * jax.random.normal(key_noise, plain.shape)
        return jnp.where(_span(key_mask, len(plain), time_mask)[:, None], 0.0, noisy)

    first, second = jax.random.split(key)
    return view(first), view(second)


def whole(example: Array, *, statistics: Statistics | None = None) -> Array:
    """One series (steps, C) standardised, as float32. ValueError as `series`."""
    return _standardised(example, statistics, 2, 'series')


def _crop(key: Array, x: Array, low: float, high: float) -> Array:
    """A random part of the steps of x (steps, C), stretched to as many steps."""
    steps = len(x)
    key_length, key_start = jax.random.split(key)
    length = (steps - 1) * jax.random.uniform(key_length, minval=low, maxval=high)
    start = (steps - 1 - length) * jax.random.uniform(key_start)
    at = start + length * jnp.arange(steps) / (steps - 1)
    before = jnp.clip(jnp.floor(at).astype(jnp.int32), 0, steps - 2)
    share = (at - before)[:, None]
    return (1 - share) * x[before] + share * x[before + 1]


def _span(key: Array, steps: int, most: float) -> Array:
    """(steps,) bool: one span of 0 to `most` of the steps, anywhere."""
    length, place = jax.random.uniform(key, (2,))
    length = most * steps * length
    start = place * (steps - length)
    middle = jnp.arange(steps) + 0.5
    return (middle >= start) & (middle < start + length)


def _standardised(example: Array, statistics: Statistics | None, rank: int, name: str) -> Array:
    if statistics is None:
        raise ValueError(f"views '{name}' need the statistics of their data set")
    if example.ndim != rank or example.shape[-1] != len(statistics.mean):
        shape = '(features,)' if rank == 1 else '(steps, channels)'
        raise ValueError(f"views '{name}' need examples {shape}, not {example.shape}")
    mean, std = (jnp.asarray(own, jnp.float32) for own in (statistics.mean, statistics.std))
    return (example.astype(jnp.float32) - mean) / std


def _check(*, most: float = float('inf'), **strengths: float) -> None:
    for name, value in strengths.items():
        if not 0 <= value <= most:
            raise ValueError(
                f'{name}={value}: give a number '
                + ('of at least 0' if most == float('inf') else f'from 0 to {most:g}')
            )
