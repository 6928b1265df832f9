"""The user's own parts by name: 'my_package.my_module:attribute'."""

import importlib
from typing import Any


def load(name: str, kind: str) -> Any:
    """Import the attribute that 'module:attribute' names.

    Args:
        name: for example 'my_package.my_module:build'.
        kind: of part it is, for the message: 'method', 'network', 'views'.

    Returns:
        The attribute.

    Raises:
        ValueError: there is no such module or attribute, or importing it fails.
    """
    module, _, attribute = name.partition(':')
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise ValueError(f"cannot load the {kind} '{name}': {error}") from error
