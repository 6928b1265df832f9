"""The frame of every command: bad arguments and early ends become one line and an exit status."""

import argparse
import os
import sys
from collections.abc import Callable

from mi_ssl_jax.cli import cpu_tuning, streams
from mi_ssl_jax.runs import exits


class Parser(argparse.ArgumentParser):
    """Answers bad arguments with one line and status 2."""

    def error(self, message: str):
        print(f'error: {message}; see --help', file=sys.stderr)
        raise SystemExit(exits.BAD_INPUT)


def guard(command: Callable[[], int | None]) -> int:
    """Run a command; what ends it early becomes one line and an exit status: ValueError 2, Stopped
    its own, a full disk 5, a full device 6, Ctrl-C 130.
    """
    # configs/ and the user's own modules are imported from where the command runs.
    sys.path.insert(0, os.getcwd())
    streams.keep_going()
    cpu_tuning.use_compilation_cache()
    cpu_tuning.convolve_fast(os.environ)
    cpu_tuning.keep_freed_memory()
    cpu_tuning.collect_seldom()
    try:
        return command() or 0
    except ValueError as error:
        return _end(f'error: {error}', exits.BAD_INPUT)
    except exits.Stopped as stop:
        return _end(str(stop), stop.status)
    except OSError as error:
        if error.errno in exits.NO_ROOM:
            return _end(f'error: {exits.no_room(error)}', exits.UNWRITABLE)
        if error.errno not in exits.NO_ENTRY or not error.filename:
            raise
        return _end(f'error: cannot use {error.filename}: {error.strerror}', exits.BAD_INPUT)
    except RuntimeError as error:  # XLA's, when a device has no memory left
        if 'RESOURCE_EXHAUSTED' not in str(error):
            raise
        return _end(f'error: {exits.no_memory(error)}', exits.NO_MEMORY)
    except KeyboardInterrupt:
        return _end('interrupted', 130)


def _end(line: str, status: int) -> int:
    print(line, file=sys.stderr)
    return status
