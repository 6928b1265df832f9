"""Named pipelines: `load(name)` makes training views, `evaluation(name)` the one un-augmented
network input.

A pipeline is a function `(key, example) -> tuple of views` of ONE key and ONE example; the caller
vmaps it. Images come in as uint8 (H, W, C), views leave as normalised float32.

    augment.load('noise', sigma=0.1)                  points; two views
    augment.load('digits', rotation=20.0)             8x8 grey images; two views
    augment.load('graph', edge_drop=(0.2, 0.3))       a graph; two views
    augment.load('simclr', data='cifar10')            RGB images; the method's views for that data
    augment.load('dino', data='imagenet100', size=112, local_views=4, jitter_p=0.5)
    augment.load('my_package.my_module:my_views')     the user's own
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

from mi_ssl_jax.augment import digits, graph, ops, points, recipes, rgb
from mi_ssl_jax.core import plugins

__all__ = ['evaluation', 'load', 'names', 'ops']

Pipeline = Callable[[Array, Array], tuple[Array, ...]]
Evaluation = Callable[[Array], Array]


class _Entry(NamedTuple):
    views: Callable[..., tuple[Array, ...]]
    evaluation: Callable[..., Array]


_SMALL = {
    'noise': _Entry(points.noise, points.point),
    'digits': _Entry(digits.digits, digits.digit),
    'graph': _Entry(graph.graph, graph.whole),
}


def names() -> list[str]:
    """List the pipelines that `load` knows.

    Returns:
        Their names, sorted.

    >>> 'simclr' in ms.augment.names()
    True
    """
    return sorted([*_SMALL, *recipes.RECIPES])


def load(name: str, **options: Any) -> Pipeline:
    """Build a pipeline of training views.

    Args:
        name: one of `names()`, or the user's own function `(key, example, **options) -> tuple of
            views` as 'my_package.my_module:my_views'.
        **options: for 'noise', 'digits' and 'graph' the keyword arguments of the functions of
            those names in `points`, `digits` and `graph`. For the methods' image pipelines: data (a
            name in `recipes.IMAGES`, required); size, the side of the views; local_views, the
            number of small views of dino and swav; and any field of `rgb.View` but size, for all
            views.

    Returns:
        The function `(key, example) -> tuple of views`.

    Raises:
        ValueError: unknown name, or options that the pipeline does not have.

    >>> views = ms.augment.load('noise', sigma=0.1)(jax.random.PRNGKey(0), jnp.zeros(3))
    >>> [view.shape for view in views]
    [(3,), (3,)]
    """
    if ':' in name:
        return _bind(name, plugins.load(name, 'views'), options)
    if name in _SMALL:
        return _bind(name, _SMALL[name].views, options)
    images, made = _recipe(name, **options)
    return functools.partial(rgb.make, views=made, norm=images.norm)


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
    images, made = _recipe(name, **options)
    return functools.partial(
        rgb.centre, size=made[0].size, fraction=images.fraction, norm=images.norm
    )


def _recipe(
    name: str,
    *,
    data: str | None = None,
    size: int | None = None,
    local_views: int | None = None,
    **strengths: Any,
) -> tuple[recipes.Images, tuple[rgb.View, ...]]:
    if name not in recipes.RECIPES:
        raise ValueError(
            f"unknown views '{name}'; use one of {', '.join(names())}, "
            "or your own as 'my_package.my_module:my_views'"
        )
    if data not in recipes.IMAGES:
        raise ValueError(
            f"views '{name}' need data=NAME, one of {', '.join(recipes.IMAGES)}; not {data!r}"
        )
    images = recipes.IMAGES[data]
    made = recipes.RECIPES[name](images.kind, size or images.size)
    if local_views is not None:
        if len(made) == 2:
            raise ValueError(f"views '{name}' on {data} have no local views: leave local_views out")
        made = made[:2] + made[2:3] * local_views
    return images, tuple(view._replace(**_strengths(name, strengths)) for view in made)


def _strengths(name: str, strengths: dict[str, Any]) -> dict[str, Any]:
    known = [field for field in rgb.View._fields if field != 'size']
    unknown = sorted(set(strengths) - set(known))
    if unknown:
        options = ', '.join(['data', 'size', 'local_views', *known])
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
