"""What the commands share: how they end, and JAX's persistent compilation cache."""

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Callable

BAD_INPUT, DIVERGED, COLLAPSED, UNWRITABLE = 2, 3, 4, 5
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Stopped(Exception):
    """A command ends early although its input is good; the message is one line. status: its exit status."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class Parser(argparse.ArgumentParser):
    """Answers bad arguments with one line and status 2."""

    def error(self, message: str):
        print(f'error: {message}; see --help', file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def guard(command: Callable[[], int | None]) -> int:
    """Run a command; what ends it early becomes one line and an exit status: ValueError 2, Stopped its own, a full disk 5,
    Ctrl-C 130."""
    sys.path.insert(0, os.getcwd())  # configs/ and the user's own modules are imported from where the command runs
    use_compilation_cache()
    try:
        return command() or 0
    except ValueError as error:
        return _end(f'error: {error}', BAD_INPUT)
    except Stopped as stop:
        return _end(str(stop), stop.status)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        return _end(f'error: {no_room(error)}', UNWRITABLE)
    except KeyboardInterrupt:
        return _end('interrupted', 130)


def no_room(error: OSError) -> str:
    """A full disk in words: the file, the reason, what is free."""
    path = os.path.abspath(error.filename or '.')
    free = shutil.disk_usage(os.path.dirname(path)).free
    return f'cannot write {path}: {error.strerror} ({free / 1e6:.1f} MB free)'


def _end(line: str, status: int) -> int:
    print(line, file=sys.stderr)
    return status


def use_compilation_cache() -> None:
    """JAX's persistent compilation cache, under .cache/jax unless JAX_COMPILATION_CACHE_DIR says otherwise.

    Set before jax is imported.
    """
    os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', os.path.abspath('.cache/jax'))
    os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
    os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES', '-1')
