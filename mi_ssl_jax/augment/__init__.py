"""Named pipelines: `load(name)` makes training views, `evaluation(name)` the one un-augmented
network input.

A pipeline is a function `(key, example) -> tuple of views` of ONE key and ONE example; the caller
vmaps it. Images come in as uint8 (H, W, C), views leave as normalised float32.

    augment.load('noise', sigma=0.1)                  points; two views
    augment.load('digits', rotation=20.0)             8x8 grey images; two views, or views=N
    augment.load('graph', edge_drop=(0.2, 0.3))       a graph; two views
    augment.load('simclr', data='cifar10')            RGB images; the method's views for that data
    augment.load('dino', data='imagenet100', size=112, local_views=4, jitter_p=0.5)
    augment.load('simclr', data='own', size=24, statistics=...)  images of any channels and type
    augment.load('vectors', statistics=...)           vectors; 'series': series; two views
    augment.load('my_package.my_module:my_views')     the user's own
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jax import Array

from mi_ssl_jax.augment import digits, graph, ops, points, recipes, rgb, series
from mi_ssl_jax.core import plugins
from mi_ssl_jax.core.statistics import Statistics

__all__ = ['evaluation', 'load', 'names', 'ops', 'supervised']

Pipeline = Callable[[Array, Array], tuple[Array, ...]]
Augmentation = Callable[[Array, Array], Array]
Evaluation = Callable[[Array], Array]


class _Entry(NamedTuple):
    views: Callable[..., tuple[Array, ...]]
    evaluation: Callable[..., Array]


_SMALL = {
    'noise': _Entry(points.noise, points.point),
    'digits': _Entry(digits.digits, digits.digit),
    'graph': _Entry(graph.graph, graph.whole),
}
_STANDARDISED = {  # they need the statistics of their data set
    'vectors': _Entry(series.vectors, series.vector),
    'series': _Entry(series.series, series.whole),
}
OWN = 'own'  # views.options.data of images of any channels and type
# Of images, what training with labels changes: crops of any size and flips, but no colours.
_SUPERVISED = {
    'scale': (0.08, 1.0),
    'jitter_p': 0.0,
    'grey_p': 0.0,
    'blur_p': 0.0,
    'solarize_p': 0.0,
}


def names() -> list[str]:
    """List the pipelines that `load` knows.

    Returns:
        Their names, sorted.

    >>> 'simclr' in ms.augment.names()
    True
    """
    return sorted([*_SMALL, *_STANDARDISED, *recipes.RECIPES])


def needs_statistics(name: str, data: str | None) -> bool:
    """Whether a pipeline takes `statistics`, those of its training set. data: of its options."""
    return name in _STANDARDISED or name in recipes.RECIPES and data == OWN


def load(name: str, **options: Any) -> Pipeline:
    """Build a pipeline of training views.

    Args:
        name: one of `names()`, or the user's own function `(key, example, **options) -> tuple of
            views` as 'my_package.my_module:my_views'.
        **options: for 'noise', 'digits', 'graph', 'vectors' and 'series' the keyword arguments of
            the functions of those names in `points`, `digits`, `graph` and `series`. For the
            methods' image pipelines: data (a name in `recipes.IMAGES`, or 'own', required); size,
            the side of the views; mean and std of the normalisation, in place of the data's;
            local_views, the number of small views of dino and swav; any field of `rgb.View` but
            size, for all views; and with data='own' statistics, those of the training set.

    Returns:
        The function `(key, example) -> tuple of views`.

    Raises:
        ValueError: unknown name, options that the pipeline does not have, or operations on colours
            for images of other than three channels.

    >>> views = ms.augment.load('noise', sigma=0.1)(jax.random.PRNGKey(0), jnp.zeros(3))
    >>> [view.shape for view in views]
    [(3,), (3,)]
    """
    if ':' in name:
        return _bind(name, plugins.load(name, 'views'), options)
    entry = _SMALL.get(name) or _STANDARDISED.get(name)
    if entry:
        return _bind(name, entry.views, options)
    images, made = _recipe(name, **options)
    return functools.partial(rgb.make, views=made, norm=images.norm, **_scale(images))


def evaluation(name: str, **options: Any) -> Evaluation:
    """Build the function `example -> network input` without augmentation, for probes and figures.

    Args:
        name: as of `load`. For the user's own 'my_package.my_module:my_views' it is that module's
            `evaluation(example, **options)`.
        **options: those of `load`, so that one configuration serves both; strengths have no part
            here.

    Returns:
        The function `example -> network input`.

    Raises:
        ValueError: as `load`.

    >>> ms.augment.evaluation('noise')(jnp.zeros(3)).shape
    (3,)
    """
    if ':' in name:
        other = f'{name.partition(":")[0]}:evaluation'
        return _bind(other, plugins.load(other, 'views'), options)
    load(name, **options)
    if name in _SMALL:
        return _SMALL[name].evaluation
    if name in _STANDARDISED:
        statistics = options.get('statistics')
        return functools.partial(_STANDARDISED[name].evaluation, statistics=statistics)
    images, made = _recipe(name, **options)
    return functools.partial(
        rgb.centre,
        size=made[0].size,
        fraction=images.fraction,
        norm=images.norm,
        **_scale(images),
    )


class Normalisation(NamedTuple):
    """How pixels become network inputs: to [0, 1], then minus the mean, over the deviation.

    scale: values that become 0 and 1; None for 0 and 255 in all channels.
    """

    norm: rgb.Norm
    scale: rgb.Scale | None


def normalisation(name: str, **options: Any) -> Normalisation | None:
    """The normalisation of a pipeline of images, by `load`'s arguments; None of other pipelines."""
    if name == 'digits':
        norm = rgb.Norm((digits.DIGITS_MEAN,), (digits.DIGITS_STD,))
        return Normalisation(norm, None)
    if name not in recipes.RECIPES:
        return None
    images, _ = _recipe(name, **options)
    return Normalisation(images.norm, images.scale)


def supervised(name: str, **options: Any) -> Augmentation:
    """Build the function `(key, example) -> network input` for training with labels.

    Of images it crops and flips, and leaves colours alone; of others it is the first view of the
    pipeline.

    Args:
        name: as of `load`.
        **options: those of `load`, so that one configuration serves both.

    Returns:
        The function `(key, example) -> network input`.

    Raises:
        ValueError: as `load`.

    >>> ms.augment.supervised('noise', sigma=0.1)(jax.random.PRNGKey(0), jnp.zeros(3)).shape
    (3,)
    """
    changes = _SUPERVISED if name in recipes.RECIPES else {}
    pipeline = load(name, **{**options, **changes})
    return lambda key, example: pipeline(key, example)[0]


def _scale(images: recipes.Images) -> dict[str, rgb.Scale]:
    return {} if images.scale is None else {'scale': images.scale}


def _recipe(
    name: str,
    *,
    data: str | None = None,
    size: int | None = None,
    local_views: int | None = None,
    statistics: Statistics | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    **strengths: Any,
) -> tuple[recipes.Images, tuple[rgb.View, ...]]:
    if name not in recipes.RECIPES:
        raise ValueError(
            f"unknown views '{name}'; use one of {', '.join(names())}, "
            "or your own as 'my_package.my_module:my_views'"
        )
    if data not in (*recipes.IMAGES, OWN):
        raise ValueError(
            f"views '{name}' need data=NAME, one of {', '.join([*recipes.IMAGES, OWN])}; not"
            f' {data!r}'
        )
    images = _own(name, size, statistics) if data == OWN else recipes.IMAGES[data]
    images = images._replace(norm=_norm(name, images.norm, mean, std))
    made = recipes.RECIPES[name](images.kind, size or images.size)
    if local_views is not None:
        if len(made) == 2:
            raise ValueError(f"views '{name}' on {data} have no local views: leave local_views out")
        made = made[:2] + made[2:3] * local_views
    made = tuple(view._replace(**_strengths(name, strengths)) for view in made)
    if len(images.norm.mean) != 3:
        _check_colourless(name, made, len(images.norm.mean))
    return images, made


def _norm(
    name: str, norm: rgb.Norm, mean: Sequence[float] | None, std: Sequence[float] | None
) -> rgb.Norm:
    """The normalisation with what is given in place of the data's own."""
    own = rgb.Norm(tuple(mean or norm.mean), tuple(std or norm.std))
    if {len(own.mean), len(own.std)} != {len(norm.mean)}:
        raise ValueError(
            f"views '{name}': mean={own.mean} and std={own.std} must have a number for each of the"
            f' {len(norm.mean)} channels'
        )
    return own


def _own(name: str, size: int | None, statistics: Statistics | None) -> recipes.Images:
    if statistics is None:
        raise ValueError(f"views '{name}' with data='{OWN}' need the statistics of their data set")
    if not size:
        raise ValueError(f"views '{name}' with data='{OWN}' need size, the side of the views in px")
    return recipes.own(size, statistics)


def _check_colourless(name: str, views: tuple[rgb.View, ...], channels: int) -> None:
    """Raises ValueError for operations that need red, green and blue."""
    for view in views:
        jitters = view.jitter_p > 0 and any(view.jitter[2:])
        if jitters or view.grey_p > 0:
            what = 'saturation and hue' if jitters else 'grey'
            raise ValueError(
                f"views '{name}' change {what}, which needs 3 channels, and the images have"
                f' {channels}: set views.options.jitter='
                f'{(*view.jitter[:2], 0.0, 0.0)} and views.options.grey_p=0.0'
            )


def _strengths(name: str, strengths: dict[str, Any]) -> dict[str, Any]:
    known = [field for field in rgb.View._fields if field != 'size']
    unknown = sorted(set(strengths) - set(known))
    if unknown:
        options = ', '.join(['data', 'size', 'mean', 'std', 'local_views', *known])
        raise ValueError(f"views '{name}' do not take {', '.join(unknown)}; options: {options}")
    # Configurations hold lists; a view is compared with its neighbours and must be hashable.
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in strengths.items()
    }


def _bind(name: str, function: Callable, options: dict[str, Any]) -> Callable:
    parameters = inspect.signature(function).parameters.values()
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    known = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    unknown = sorted(set(options) - set(known))
    if unknown and not takes_any:
        options = ', '.join(known) or 'none'
        raise ValueError(f"views '{name}' do not take {', '.join(unknown)}; options: {options}")
    return functools.partial(function, **options)
