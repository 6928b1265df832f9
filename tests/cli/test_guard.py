"""What the commands share."""

import gc
import os
import subprocess
import sys

import pytest

from mi_ssl_jax.cli import cpu_tuning, guard
from mi_ssl_jax.runs import exits

# Ten rounds of taking and giving back 64 MB in a fresh process; prints the page faults of the last
# nine.
ROUNDS = """
import ctypes, resource, sys
from mi_ssl_jax.cli import cpu_tuning
if sys.argv[1] == 'keep':
    cpu_tuning.keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
for number in range(10):
    block = libc.malloc(ctypes.c_size_t(1 << 26))
    ctypes.memset(block, 1, 1 << 26)
    libc.free(block)
    if number == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, keep: bool, **environment: str) -> int:
    clean = {name: value for name, value in os.environ.items() if not name.startswith('MALLOC_')}
    done = subprocess.run(
        [sys.executable, '-c', ROUNDS, 'keep' if keep else 'plain'],
        text=True,
        check=True,
        capture_output=True,
        env=clean | environment,
    )
    return int(done.stdout)


@pytest.mark.skipif(
    'glibc' not in os.confstr('CS_GNU_LIBC_VERSION') if hasattr(os, 'confstr') else True,
    reason='tunes glibc only',
)
def test_freed_memory_is_kept_unless_the_user_tunes_the_c_library():
    plain = faults(keep=False)
    assert faults(keep=True) < plain / 10
    assert faults(keep=True, MALLOC_ARENA_MAX='8') > plain / 2


def test_garbage_is_looked_for_seldom():
    before = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)
        cpu_tuning.collect_seldom()
        assert gc.get_threshold() == (50_000, 10, 10)
    finally:
        gc.set_threshold(*before)


def test_a_full_device_is_one_line_that_names_what_needs_less(capsys):
    def command():
        raise RuntimeError(
            'RESOURCE_EXHAUSTED: Out of memory allocating 68719476736 bytes.\nand more lines'
        )

    assert guard.guard(command) == exits.NO_MEMORY
    line = capsys.readouterr().err
    assert (
        line.count('\n') == 1
        and 'batch_size' in line
        and 'block_size' in line
        and '68719476736' in line
    )


PLACES = {
    'a folder in a file': lambda file: (file / 'x').mkdir(),
    'a folder for a file': lambda file: file.mkdir(),
    'a file for a folder': lambda file: file.parent.write_text(''),
    'no folder': lambda file: (file.parent / 'none' / 'x').write_text(''),
    'a name too long': lambda file: (file.parent / ('x' * 300)).write_text(''),
}


@pytest.mark.parametrize('place', PLACES)
def test_a_path_that_cannot_be_used_is_one_line(place, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert guard.guard(lambda: PLACES[place](tmp_path / 'file')) == exits.BAD_INPUT
    line = capsys.readouterr().err
    assert line.startswith(f'error: cannot use {tmp_path}') and line.count('\n') == 1


def test_other_errors_of_the_program_stay_visible():
    def command():
        raise RuntimeError('a bug')

    with pytest.raises(RuntimeError, match='a bug'):
        guard.guard(command)

    def without_a_path():
        raise OSError(2, 'No such file or directory')

    with pytest.raises(OSError, match='No such file'):
        guard.guard(without_a_path)


def test_a_flag_for_xla_is_set_only_where_it_was_tried_and_the_user_has_none(monkeypatch):
    monkeypatch.setattr(cpu_tuning.importlib.metadata, 'version', lambda name: '0.10.2')
    environ = {}
    cpu_tuning.convolve_fast(environ)
    assert 'INDIVIDUAL_CONVOLUTION' in environ['XLA_FLAGS']
    environ = {'XLA_FLAGS': '--xla_dump_to=/tmp/x'}
    cpu_tuning.convolve_fast(environ)
    assert environ == {'XLA_FLAGS': '--xla_dump_to=/tmp/x'}
    monkeypatch.setattr(cpu_tuning.importlib.metadata, 'version', lambda name: '0.12.0')
    environ = {}
    cpu_tuning.convolve_fast(environ)
    assert environ == {}
