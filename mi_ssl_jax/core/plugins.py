"""The user's own parts by name: 'my_package.my_module:attribute'."""

import importlib
from collections.abc import Callable

# Parts of the names of files that are not the user's.
FOREIGN = ('site-packages', 'importlib', '<', __file__.rpartition('core')[0])


def load(name: str, kind: str) -> Callable:
    """Import the attribute that 'module:attribute' names.

    Args:
        name: for example 'my_package.my_module:build'.
        kind: of part it is, for the message: 'method', 'network', 'views'.

    Returns:
        The attribute.

    Raises:
        ValueError: there is no such module or attribute, importing it fails, or it is no function
            or class.
    """
    module, _, attribute = name.partition(':')
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the user's module does wrong
        raise ValueError(f"cannot load the {kind} '{name}': {in_words(error)}") from error
    if not callable(found):
        raise ValueError(f"the {kind} '{name}' is {type(found).__name__}, no function or class")
    return found


def in_words(error: BaseException) -> str:
    """An error of the user's own code in one line, with its place there."""
    first = next(iter(f'{error}'.strip().splitlines()), '')
    plain = isinstance(error, (ImportError, AttributeError, ValueError))
    words = first if plain and first else f'{type(error).__name__}: {first}'.rstrip(': ')
    place, frame = '', error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if not any(part in file for part in FOREIGN):
            place = f' ({file}, line {frame.tb_lineno})'
        frame = frame.tb_next
    return words + place
