"""Settings made before JAX is imported: the compilation cache, and three that make a CPU faster."""

import ctypes
import gc
import importlib.metadata
import os
import sys
from collections.abc import MutableMapping

FLAG_TRIED = ('0.10.2', '0.11.2')  # versions of jaxlib


def use_compilation_cache() -> None:
    """Keep compiled programs between commands, under .cache/jax unless JAX_COMPILATION_CACHE_DIR
    says otherwise.
    """
    wanted = {
        'jax_compilation_cache_dir': os.path.abspath('.cache/jax'),
        'jax_persistent_cache_min_compile_time_secs': 0.0,
        'jax_persistent_cache_min_entry_size_bytes': -1,
    }
    jax = sys.modules.get('jax')
    for name, value in wanted.items():
        if name.upper() in os.environ:
            continue
        os.environ[name.upper()] = str(
            value
        )  # for JAX when it is imported, and for child processes
        if jax is not None:  # it has read the environment already
            jax.config.update(name, value)


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


def collect_seldom() -> None:
    """Have Python look for garbage in cycles after 50,000 new objects instead of 700.

    Importing and tracing make hundreds of thousands of objects that stay, and each look goes over
    many of them: a tenth of the CPU time of a short run on digits.
    """
    gc.set_threshold(50_000, *gc.get_threshold()[1:])


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
