"""Train one configuration: python -m mi_ssl_jax.main --config=configs/sdmi_gaussian.py
[--workdir=DIR] [--config.lr=0.1]

--list prints the methods with their place in the paper's Table 7. Several processes, on one machine
or on many, train
one run together: under srun or mpirun by themselves, else told by --coordinator, --processes and
--process.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags as ml_flags

from mi_ssl_jax.cli import config_file, guard
from mi_ssl_jax.runs import exits, processes

_CONFIG = ml_flags.DEFINE_config_file('config', None, 'A file in configs/.')
_WORKDIR = flags.DEFINE_string(
    'workdir', None, "The run's folder; default runs/<config>, with overrides runs/<config>-<hash>."
)
_FORCE = flags.DEFINE_bool(
    'force', False, 'Go on from a checkpoint of another configuration, where its arrays fit.'
)
_LIST = flags.DEFINE_bool('list', False, 'Print the methods and end.')
_COORDINATOR = flags.DEFINE_string(
    'coordinator', None, 'HOST:PORT where process 0 listens and the others find it.'
)
_PROCESSES = flags.DEFINE_integer('processes', None, 'How many processes train together.')
_PROCESS = flags.DEFINE_integer('process', None, 'This process, from 0 to processes - 1.')


def main() -> int:
    """Exit status: 0 done, 3 a loss that is not finite; the others come from cli.guard."""
    argv = sys.argv
    config_file.parse(flags.FLAGS, argv, usage=__doc__)
    if _LIST.value:
        from mi_ssl_jax.methods import table7

        print(table7.text())
        return 0
    if _CONFIG.value is None:
        raise ValueError('no configuration: give --config=configs/NAME.py')
    from mi_ssl_jax.runs import after_training, run, signals
    from mi_ssl_jax.train import loop

    workdir = Path(_WORKDIR.value or default_workdir(argv))
    here = processes.place(
        os.environ,
        coordinator=_COORDINATOR.value,
        processes=_PROCESSES.value,
        process=_PROCESS.value,
    )
    try:
        with processes.joined(here):
            ready = run.run(_CONFIG.value, workdir, force=_FORCE.value)
        if here is not None and here.process > 0:
            return 0
        with signals.watched(
            lambda: 'after training, which is saved; the same command does the rest', at_once=True
        ):
            after_training.finish(ready, workdir)
    except loop.Diverged as error:
        print(f'error: {error}', file=sys.stderr)
        return exits.DIVERGED
    return 0


def default_workdir(argv: Sequence[str]) -> str:
    """runs/<config>, and a hash of the overridden fields behind it when there are any."""
    overrides = sorted(word for word in config_file.words(argv) if word.startswith('config.'))
    stem = Path(config_file.path(argv)).stem
    return f'runs/{stem}' + (
        f'-{hashlib.sha256(repr(overrides).encode()).hexdigest()[:8]}' if overrides else ''
    )


if __name__ == '__main__':
    sys.exit(guard.guard(main))
