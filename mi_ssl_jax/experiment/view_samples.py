"""Training images with their views, the normalisation undone, for a person to look at."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax import augment, data
from mi_ssl_jax.augment import digits, rgb
from mi_ssl_jax.data import streamed
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.figures.statistics import evenly

JITTER = ('brightness', 'contrast', 'saturation', 'hue')


class Gallery(NamedTuple):
    """images: (H, W, C) each, in [0, 1]. views: a tuple for each image, (size, size, C) each, cut
    to [0, 1].

    title, note: the pipeline with its parameters, in words.
    """

    images: list[np.ndarray]
    views: list[tuple[np.ndarray, ...]]
    title: str
    note: str


def make(config: ConfigDict, count: int) -> Gallery:
    """`count` images of the configuration's training set. Errors as `examples`."""
    x = examples(config, count)
    pipeline = augment.load(config.views.name, **_options(config))
    keys = jax.random.split(jax.random.PRNGKey(config.seed), count)
    made = jax.device_get(jax.jit(jax.vmap(pipeline))(keys, x))
    undo, how = undone(pipeline)
    scale, x = pipeline.keywords.get('scale'), x.astype(np.float32)
    low, high = (0.0, 255.0) if scale is None else map(np.array, scale)
    pictures = [_picture(np.clip((one - low) / (high - low), 0, 1)) for one in x]
    shown = [
        tuple(_picture(np.clip(undo(view[index]), 0, 1)) for view in made) for index in range(count)
    ]
    return Gallery(
        pictures,
        shown,
        f"Views '{config.views.name}' of {config.data.name}",
        'Training images and, to the right of each, random views as the network receives them,'
        f' {how}. {described(pipeline)}.' + _channels(x.shape[-1]),
    )


def _options(config: ConfigDict) -> dict[str, Any]:
    """The options of the views, with the statistics of the data where they need them."""
    if not inputs.standardises(config):
        return dict(config.views.options)
    return inputs.views_options(config, inputs.load(config))


def _picture(image: np.ndarray) -> np.ndarray:
    """An image as it is drawn: of other than one or three channels the first."""
    return image if image.shape[-1] in (1, 3) else image[..., :1]


def _channels(count: int) -> str:
    return '' if count in (1, 3) else f' Of {count} channels the first is drawn.'


def examples(config: ConfigDict, count: int) -> np.ndarray:
    """Evenly picked training images (count, H, W, C), as the pipeline takes them.

    ValueError for data that are no images, and for too many images.
    """
    where = config.data.dir or None
    if config.data.streamed:
        stream = data.stream(config.data.name, where, canvas=config.data.canvas)
        chosen = _evenly(stream.prepared.sizes['train'], count)
        return next(streamed.once(stream, 'train', indices=chosen, batch_size=count)).x
    held = data.load(
        config.data.name, where, short_side=config.data.short_side or None, **config.data.options
    )
    if isinstance(held.train.x, dict) or held.train.x.ndim != 4:
        kind = 'series' if len(held.shape) == 2 else 'points'
        kind = 'a graph' if isinstance(held.train.x, dict) else kind
        raise ValueError(f'{config.data.name} holds {kind}, not images: there is nothing to draw')
    return held.train.x[_evenly(len(held.train.x), count)]


def undone(pipeline: augment.Pipeline) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """The inverse of a pipeline's normalisation, and what was done in words."""
    if pipeline.func is rgb.make:
        mean, std = (np.array(values) for values in pipeline.keywords['norm'])
    elif pipeline.func is digits.digits:
        mean, std = digits.DIGITS_MEAN, digits.DIGITS_STD
    else:  # the user's own: unknown
        stretched = 'each stretched to black and white'
        return lambda view: (view - view.min()) / max(np.ptp(view), 1e-12), stretched
    return lambda view: view * std + mean, 'their normalisation undone'


def described(pipeline: augment.Pipeline) -> str:
    """Describe a pipeline view by view; other than image pipelines, by their arguments."""
    if pipeline.func is not rgb.make:
        known = inspect.signature(pipeline.func).parameters.values()
        given = {p.name: p.default for p in known if p.kind is inspect.Parameter.KEYWORD_ONLY}
        return ', '.join(f'{name} = {value}' for name, value in (given | pipeline.keywords).items())
    made, found = pipeline.keywords['views'], []
    for view in dict.fromkeys(made):
        numbers = [str(number) for number, own in enumerate(made, 1) if own == view]
        which = (
            f'View {numbers[0]}' if len(numbers) == 1 else f'Views {numbers[0]} to {numbers[-1]}'
        )
        found.append(f'{which}: {_words(view)}')
    return '. '.join(found)


def _words(view: rgb.View) -> str:
    low, high = (100 * share for share in view.scale)
    jitter = [f'{name} {strength:g}' for name, strength in zip(JITTER, view.jitter, strict=True)]
    area = f'{low:g} to {high:g} %' if low < high else f'{low:g} %'
    crop = 'crop' if view.ratio[0] < view.ratio[1] else 'square crop'
    words = [f'{crop} of {area} of the area to {view.size} px ({view.method}), flip p 0.5']
    words += [f'jitter ({", ".join(jitter)}) p {view.jitter_p:g}'] if view.jitter_p else []
    words += [f'grey p {view.grey_p:g}'] if view.grey_p else []
    if view.blur_p:
        words.append(f'blur {view.blur_sigma[0]:g} to {view.blur_sigma[1]:g} px p {view.blur_p:g}')
    words += [f'solarize p {view.solarize_p:g}'] if view.solarize_p else []
    words += ['colours before crop and flip'] if view.crop_last else []
    return ', '.join(words)


def _evenly(size: int, count: int) -> np.ndarray:
    if count > size:
        raise ValueError(f'--images={count}, but there are {size} training examples')
    return evenly(size, count)
