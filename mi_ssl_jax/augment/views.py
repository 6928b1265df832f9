"""Named pipelines: `load(name)` makes training views, `evaluation(name)` the one un-augmented network input.

A pipeline is a function `(key, example) -> tuple of views` of ONE key and ONE example; the caller vmaps it.
Images come in as uint8 (H, W, C), views leave as normalised float32.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import NamedTuple

from jax import Array

from mi_ssl_jax.augment import small

Pipeline = Callable[[Array, Array], tuple[Array, ...]]
Evaluation = Callable[[Array], Array]


class _Entry(NamedTuple):
    views: Callable[..., tuple[Array, ...]]
    evaluation: Callable[..., Array]


_ENTRIES = {
    'noise': _Entry(small.noise, small.point),
    'digits': _Entry(small.digits, small.digit),
}


def names() -> list[str]:
    """The pipelines that `load` knows."""
    return sorted(_ENTRIES)


def load(name: str, **options) -> Pipeline:
    """The pipeline `(key, example) -> tuple of views`.

    Args:
      name: one of `names()`, or the user's own function `(key, example, **options) -> tuple of views`
        as 'my_package.my_module:my_views'.
      **options: the pipeline's own keyword arguments, for example sigma=0.2 for 'noise'.

    Raises:
      ValueError: unknown name, or options that the pipeline does not have.
    """
    return _bind(name, _entry(name).views if ':' not in name else _own(name), options)


def evaluation(name: str, **options) -> Evaluation:
    """The function `example -> network input` without augmentation, for probes and figures.

    For the user's own 'my_package.my_module:my_views' it is that module's `evaluation(example, **options)`.

    Raises:
      ValueError: as `load`.
    """
    own = f'{name.partition(":")[0]}:evaluation'
    return _bind(name, _entry(name).evaluation if ':' not in name else _own(own), options)


def _entry(name: str) -> _Entry:
    if name not in _ENTRIES:
        raise ValueError(
            f"unknown views '{name}'; use one of {', '.join(names())}, "
            "or your own as 'my_package.my_module:my_views'"
        )
    return _ENTRIES[name]


def _own(name: str) -> Callable:
    module, _, attribute = name.partition(':')
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"cannot load the views '{name}': {error}") from error


def _bind(name: str, function: Callable, options: dict) -> Callable:
    known = inspect.signature(function).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    unknown = [] if takes_any else sorted(set(options) - set(known))
    if unknown:
        accepted = [n for n, p in known.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
        raise ValueError(f"views '{name}' do not take {', '.join(unknown)}; options: {', '.join(accepted) or 'none'}")
    return functools.partial(function, **options)
