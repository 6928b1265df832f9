"""A configuration's compiled views against Pillow's, and crops by matrix products against
gathers.
"""

import functools
import os
from collections.abc import Mapping
from random import Random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from ml_collections import ConfigDict

from mi_ssl_jax import augment
from mi_ssl_jax.augment import resample, rgb
from mi_ssl_jax.bench import pillow_peer, programs, timing
from mi_ssl_jax.bench.table import Row, rate, ratios
from mi_ssl_jax.experiment import inputs

COMPILED, PEER = 'compiled', 'Pillow and numpy'
CROPS, GATHERS = 'crop and flip, products', 'crop and flip, gathers'


def measure(
    configs: Mapping[str, ConfigDict],
    *,
    steps: int,
    rounds: int,
) -> tuple[list[Row], dict[str, Any]]:
    """(rows, settings): a batch's views, again and again, all programs in alternation.

    configs: name -> the one configuration. Pillow's views run on one thread, the compiled ones on
    as many as the process has cores. ValueError for views of anything but images.
    """
    ((name, config),) = configs.items()
    pipeline = augment.load(config.views.name, **config.views.options)
    own = getattr(pipeline, 'keywords', {})
    if not {'views', 'norm'} <= set(own):
        raise ValueError(
            f"views '{config.views.name}' are not made of images by this package's operations: "
            'Pillow has no counterpart'
        )
    batch = next(inputs.batches(inputs.load(config), 'train', config.batch_size)).x
    random = Random(0)
    made = {
        COMPILED: _compiled(pipeline, batch),
        PEER: timing.Program(
            lambda count: [pillow_peer.batch(random, batch, **own) for _ in range(count)], 1
        ),
    }
    crops = _crops(own['views'][0], own['norm'], batch)
    times = timing.alternate(made | crops, steps=steps, rounds=rounds)
    rows = [
        rate(what, '', own_times, len(batch) * (len(own['views']) if what in made else 1))
        for what, own_times in times.items()
    ]
    rows += ratios(f'{COMPILED} / {PEER}', times[PEER], times[COMPILED], 'times as fast')
    if crops:
        rows += ratios('products / gathers', times[GATHERS], times[CROPS], 'times as fast')
    settings = {
        'views': config.views.name,
        'size': own['views'][0].size,
        'images a batch': len(batch),
        'steps': steps,
        'rounds': rounds,
        'threads': f'{len(os.sched_getaffinity(0))} compiled, 1 Pillow',
    }
    return rows, {name: settings}


def _crops(view: rgb.View, norm: rgb.Norm, batch: np.ndarray) -> dict[str, timing.Program]:
    """Return both kinds of crop, or none where images exceed the view and need more taps."""
    if max(batch.shape[1:3]) > view.size:
        return {}
    functions = {
        CROPS: functools.partial(rgb.one, view=crop_alone(view), norm=norm),
        GATHERS: functools.partial(gathered, view=view, norm=norm),
    }
    return {
        what: _compiled(lambda key, image, one=one: (one(key, image),), batch)
        for what, one in functions.items()
    }


def crop_alone(view: rgb.View) -> rgb.View:
    """The view without its colours."""
    return view._replace(jitter_p=0.0, grey_p=0.0, blur_p=0.0, solarize_p=0.0, crop_last=False)


def gathered(key: Array, image: Array, *, view: rgb.View, norm: rgb.Norm) -> Array:
    """`rgb.one` of a crop that enlarges, by gathers of rows, then of columns, not by
    products.
    """
    key_box, _, key_chances = jax.random.split(key, 3)
    flip = jax.random.uniform(key_chances, (5,), jnp.float32)[0] < 0.5
    box = resample.random_box(key_box, *image.shape[:2], scale=view.scale, ratio=(3 / 4, 4 / 3))
    rows, down = _taps(box.top, box.height, view, False)
    columns, across = _taps(box.left, box.width, view, flip)
    x = image.astype(jnp.float32) / 255
    x = sum(x[rows[:, tap]] * down[:, tap, None, None] for tap in range(rows.shape[1]))
    x = sum(x[:, columns[:, tap]] * across[None, :, tap, None] for tap in range(columns.shape[1]))
    return (jnp.clip(x, 0, 1) - jnp.asarray(norm.mean)) / jnp.asarray(norm.std)


def _taps(start: Array, length: Array, view: rgb.View, flip: Array | bool) -> tuple[Array, Array]:
    """Pixels that make each output along one axis, and their weights: (size, 2), bicubic (size,
    4).
    """
    position = jnp.arange(view.size, dtype=jnp.float32)
    position = jnp.where(flip, view.size - 1 - position, position)
    place = (position + 0.5) * length / view.size - 0.5
    f = place - jnp.floor(place)
    if view.method == 'bilinear':
        weights = jnp.stack([1 - f, f], axis=1)
    else:  # Catmull and Rom's spline, which is Keys' kernel with a = -0.5
        weights = (
            jnp.stack(
                [
                    f * (-1 + f * (2 - f)),
                    2 + f * f * (3 * f - 5),
                    f * (1 + f * (4 - 3 * f)),
                    f * f * (f - 1),
                ],
                axis=1,
            )
            / 2
        )
    taps = weights.shape[1]
    pixel = jnp.floor(place)[:, None].astype(jnp.int32) + jnp.arange(1 - taps // 2, 1 + taps // 2)
    weights = jnp.where((pixel >= 0) & (pixel < length), weights, 0)
    return start + jnp.clip(pixel, 0, length - 1), weights / weights.sum(axis=1, keepdims=True)


def _compiled(pipeline: Any, batch: np.ndarray) -> timing.Program:
    images = jnp.asarray(batch)

    @jax.jit
    def make(number: Array, images: Array) -> tuple[Array, tuple[Array, ...]]:
        keys = jax.random.split(jax.random.fold_in(jax.random.PRNGKey(0), number), len(images))
        return number + 1, jax.vmap(pipeline)(keys, images)

    def run(steps: int) -> None:
        programs.chain(lambda number: make(number, images), steps)

    return timing.Program(run, programs.WARM)
