"""What the commands share: how they end, JAX's persistent compilation cache, what makes a CPU
faster."""

import argparse
import ctypes
import errno
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, MutableMapping

BAD_INPUT, DIVERGED, COLLAPSED, UNWRITABLE, NO_MEMORY = 2, 3, 4, 5, 6
FLAG_TRIED = ('0.10.2', '0.11.2')  # versions of jaxlib
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Stopped(Exception):
    """A command ends early although its input is good; the message is one line. status: its exit
    status."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class Parser(argparse.ArgumentParser):
    """Answers bad arguments with one line and status 2."""

    def error(self, message: str):
        print(f'error: {message}; see --help', file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def guard(command: Callable[[], int | None]) -> int:
    """Run a command; what ends it early becomes one line and an exit status: ValueError 2, Stopped
    its own, a full disk 5, a full device 6, Ctrl-C 130."""
    sys.path.insert(
        0, os.getcwd()
    )  # configs/ and the user's own modules are imported from where the command runs
    use_compilation_cache()
    convolve_fast(os.environ)
    keep_freed_memory()
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
    except RuntimeError as error:  # XLA's, when a device has no memory left
        if 'RESOURCE_EXHAUSTED' not in str(error):
            raise
        return _end(f'error: {no_memory(error)}', NO_MEMORY)
    except KeyboardInterrupt:
        return _end('interrupted', 130)


def no_room(error: OSError) -> str:
    """A full disk in words: the file, the reason, what is free."""
    path = os.path.abspath(error.filename or '.')
    free = shutil.disk_usage(os.path.dirname(path)).free
    return f'cannot write {path}: {error.strerror} ({free / 1e6:.1f} MB free)'


def no_memory(error: RuntimeError) -> str:
    """A full device in words, with the fields that need less of it."""
    said = str(error).splitlines()[0]
    return (
        'out of device memory: lower batch_size, set method.block_size (losses with N x N critics)'
        " or mi.batch_size (if it was the evaluation), or use net.dtype='bfloat16'; the last"
        f' checkpoint stays ({said})'
    )


def _end(line: str, status: int) -> int:
    print(line, file=sys.stderr)
    return status


def use_compilation_cache() -> None:
    """JAX's persistent compilation cache, under .cache/jax unless JAX_COMPILATION_CACHE_DIR says
    otherwise.

    Set before jax is imported.
    """
    os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', os.path.abspath('.cache/jax'))
    os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
    os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES', '-1')


def convolve_fast(environ: MutableMapping[str, str]) -> None:
    """Have XLA's CPU backend leave single convolutions to its older kernels; where XLA_FLAGS is
    unset alone.

    Measured on 2 cores: 1.18 times as fast for forward and gradient of conv4 on 512 images (median
    of three pairs, 1.09 to
    1.28), 1.08 to 1.16 for steps of a ResNet-18, no difference for the digits. XLA ends a process
    that names a flag it does not know, so only the versions that were tried have it.
    """
    if importlib.metadata.version('jaxlib') in FLAG_TRIED:
        environ.setdefault(
            'XLA_FLAGS', '--xla_cpu_experimental_ynn_fusion_type=-INDIVIDUAL_CONVOLUTION'
        )


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next step instead of handing it back to the
    system.

    XLA on a CPU allocates every large buffer of a step anew; each page of it is then made and
    zeroed again by the
    system. Measured on 2 cores, forward and gradient of conv4 on 512 images: 0.24 s a step instead
    of 0.43 to 0.51, 3 thousand page faults instead of 101 thousand, about the same peak memory.
    Nothing changes where the C library is not glibc, or where the user tunes it by its own MALLOC_
    variables.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None or any(name.startswith('MALLOC_') for name in os.environ):
        return
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # their numbers in malloc.h
    for option, value in ((arena_max, 1), (mmap_max, 0), (trim_threshold, 2**31 - 1)):
        mallopt(option, value)
