"""The command mi_ssl_jax.main, made to say when it reaches a moment, and to be slow there: MOMENT
MARKER ARGUMENTS...

Compilation is not made up but for 'long compilation': a computation that never returns to the
interpreter, as a large network's does not, with a grace of 2 instead of 25 seconds.
"""

import hashlib
import sys
import time
from pathlib import Path

from mi_ssl_jax.cli import cpu_tuning, guard

cpu_tuning.use_compilation_cache()

from mi_ssl_jax import main, parallel
from mi_ssl_jax.evals import monitor
from mi_ssl_jax.runs import checkpoint, probes, signals

COUNT = {'passes': 0}


def before(module, name: str, hook) -> None:
    """Call `hook` before every call of a module's function."""
    function = getattr(module, name)

    def hooked(*args, **kwargs):
        hook()
        return function(*args, **kwargs)

    setattr(module, name, hooked)


def on_passes(hook) -> None:
    """Call `hook` before every chunk."""
    compile_pass = parallel.compile_pass

    def hooked(*args, **kwargs):
        run = compile_pass(*args, **kwargs)

        def watched(*arguments):
            COUNT['passes'] += 1
            hook()
            return run(*arguments)

        return watched

    parallel.compile_pass = hooked


def slow(marker: Path, seconds: float):
    def hook() -> None:
        if not marker.exists():
            marker.touch()
            time.sleep(seconds)

    return hook


def reach(moment: str, marker: Path) -> None:
    """Put the hook of a moment in its place."""
    if moment == 'compilation':
        on_passes(slow(marker, 0))
    elif moment == 'long compilation':
        signals.GRACE = 2.0
        on_passes(lambda: (marker.touch(), hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)))
    elif moment == 'step':
        on_passes(lambda: COUNT['passes'] == 3 and slow(marker, 2)())
    elif moment == 'second signal':
        on_passes(lambda: COUNT['passes'] == 3 and slow(marker, 600)())
    elif moment in ('save', 'last save'):
        before(checkpoint, '_sums', slow(marker, 2))
    elif moment == 'evaluation':
        make = monitor.make
        monitor.make = lambda *args, **kwargs: late(make(*args, **kwargs), slow(marker, 2))
    elif moment == 'probes':
        before(probes, 'probe', slow(marker, 600))


def late(measure, hook):
    def measured(*args, **kwargs):
        hook()
        return measure(*args, **kwargs)

    return measured


if __name__ == '__main__':
    reach(sys.argv[1], Path(sys.argv[2]))
    sys.argv = ['main', *sys.argv[3:]]
    sys.exit(guard.guard(main.main))
