"""What the commands share: one clear line for bad input, and JAX's persistent compilation cache."""

import argparse
import os
import sys
from collections.abc import Callable

BAD_INPUT, DIVERGED = 2, 3


class Parser(argparse.ArgumentParser):
    """Answers bad arguments with one line and status 2."""

    def error(self, message: str):
        print(f'error: {message}; see --help', file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def guard(command: Callable[[], int | None]) -> int:
    """Run a command; a ValueError becomes one line and status 2."""
    sys.path.insert(0, os.getcwd())  # configs/ and the user's own modules are imported from where the command runs
    use_compilation_cache()
    try:
        return command() or 0
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return BAD_INPUT


def use_compilation_cache() -> None:
    """JAX's persistent compilation cache, under .cache/jax unless JAX_COMPILATION_CACHE_DIR says otherwise.

    Set before jax is imported.
    """
    os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', os.path.abspath('.cache/jax'))
    os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
    os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES', '-1')
