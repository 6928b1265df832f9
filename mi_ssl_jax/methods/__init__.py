"""Methods by name. Every module here with a `build` is a method; add a file and it is found and
tested.
"""

import difflib
import functools
import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from mi_ssl_jax.core import plugins
from mi_ssl_jax.methods import api

__all__ = ['find', 'load', 'names', 'options']


@functools.cache
def builders() -> dict[str, Callable[..., api.Method]]:
    """Name -> build function; a module with VARIANTS (name -> build function) has several
    methods.
    """
    return {name: build for _, own in _modules() for name, build in own.items()}


@functools.cache
def structures() -> dict[str, tuple[str, dict[str, Any]]]:
    """Label -> (method, arguments): every method by default, then with the arguments that its
    module's STRUCTURES lists because they give it other branches, networks or phases ('mmi,
    momentum_encoder=True').
    """
    found = {}
    for module, own in _modules():
        for name, arguments in itertools.product(own, ({}, *getattr(module, 'STRUCTURES', ()))):
            label = ', '.join([name, *(f'{key}={value}' for key, value in arguments.items())])
            found[label] = name, arguments
    return dict(sorted(found.items()))


def _modules() -> Iterator[tuple[ModuleType, dict[str, Callable[..., api.Method]]]]:
    """Return every module here that has a `build`, with its methods."""
    for entry in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f'{__name__}.{entry.name}')
        if hasattr(module, 'build'):
            yield module, getattr(module, 'VARIANTS', {entry.name: module.build})


def names() -> list[str]:
    """List the methods that `load` knows.

    Returns:
        Their names, sorted.

    >>> 'sdmi' in ms.methods.names()
    True
    """
    return sorted(builders())


def find(name: str) -> Callable[..., api.Method]:
    """Find a method's build function.

    Args:
        name: one of `names()`, or the user's own as 'my_package.my_module:build'.

    Returns:
        The function (parts, **arguments) -> methods.api.Method.

    Raises:
        ValueError: unknown name, with the nearest right one and the list.
    """
    if name in builders():
        return builders()[name]
    if ':' in name:
        return plugins.load(name, 'method')
    near = difflib.get_close_matches(name, names(), 1)
    hint = f"; did you mean '{near[0]}'?" if near else ''
    raise ValueError(
        f"unknown method '{name}'{hint or '.'} Known: {', '.join(names())}; "
        "or your own as 'my_package.my_module:build'"
    )


def options(name: str) -> dict[str, inspect.Parameter]:
    """List the keyword arguments of a method.

    Args:
        name: as of `find`.

    Returns:
        Name -> parameter; those without a default must be given.

    Raises:
        ValueError: unknown name.

    >>> 'temperature' in ms.methods.options('sdmi')
    True
    """
    parameters = inspect.signature(find(name)).parameters
    return {key: parameter for key, parameter in parameters.items() if key != 'parts'}


def load(name: str, parts: api.Parts, **arguments) -> api.Method:
    """Build a method from the experiment's networks.

    Args:
        name: as of `find`.
        parts: the networks, see methods.api.Parts.
        **arguments: the method's own keyword arguments, see `options`.

    Returns:
        A methods.api.Method.

    Raises:
        ValueError: an unknown name, an argument that the method does not have, or a missing one.
    """
    known = options(name)
    for key in arguments:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ''
            raise ValueError(
                f"method '{name}' has no argument '{key}'{hint or '.'} It has:"
                f' {", ".join(known) or "none"}'
            )
    missing = [
        key
        for key, p in known.items()
        if p.default is inspect.Parameter.empty and key not in arguments
    ]
    if missing:
        raise ValueError(
            f"method '{name}' needs {', '.join(missing)}: set method.{missing[0]} in the config"
        )
    try:
        found = find(name)(parts, **arguments)
    except Exception as error:
        if ':' not in name:  # what this package's methods refuse, they say in a line
            raise
        raise ValueError(f"method '{name}' fails: {plugins.in_words(error)}") from error
    if not isinstance(found, api.Method):
        raise ValueError(f"method '{name}' gives {type(found).__name__}, not a methods.api.Method")
    return found
