"""Train one configuration: python -m mi_ssl_jax.main --config=configs/sdmi_gaussian.py
[--workdir=DIR] [--config.lr=0.1]

--print shows the resolved configuration, --list the methods and their place in the paper's Table 7.
Several processes train one run together: under srun or mpirun by themselves, else by --coordinator,
--processes and --process.
"""

import os
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags as ml_flags

from mi_ssl_jax.cli import config_file, guard
from mi_ssl_jax.runs import exits, processes

_CONFIG = ml_flags.DEFINE_config_file('config', None, 'A file in configs/.')
_WORKDIR = flags.DEFINE_string('workdir', None, "The run's folder; default runs/<config>[-<hash>].")
_FORCE = flags.DEFINE_bool('force', False, "Continue from another configuration's checkpoint.")
_LIST = flags.DEFINE_bool('list', False, 'Print the methods and exit.')
_PRINT = flags.DEFINE_bool('print', False, 'Print the resolved configuration and exit.')
_COORDINATOR = flags.DEFINE_string('coordinator', None, 'HOST:PORT where process 0 listens.')
_PROCESSES = flags.DEFINE_integer('processes', None, 'Number of processes of the run.')
_PROCESS = flags.DEFINE_integer('process', None, 'Number of this process, from 0 to processes - 1.')


def main() -> int:
    """Exit status: 0 done, 3 a loss that is not finite; the others come from cli.guard."""
    config_file.parse(flags.FLAGS, sys.argv, usage=__doc__)
    if _CONFIG.value is None and not _LIST.value:
        raise ValueError('no configuration: give --config=configs/NAME.py')
    if _LIST.value or _PRINT.value:
        return config_file.show(None if _LIST.value else _CONFIG.value)
    from mi_ssl_jax.runs import after_training, run
    from mi_ssl_jax.train import loop

    workdir = Path(_WORKDIR.value or config_file.default_workdir(sys.argv))
    given = dict(coordinator=_COORDINATOR, processes=_PROCESSES, process=_PROCESS)
    here = processes.place(os.environ, **{name: flag.value for name, flag in given.items()})
    try:
        with processes.joined(here):
            ready = run.run(_CONFIG.value, workdir, force=_FORCE.value)
        if here is None or here.process == 0:
            after_training.finish(ready, workdir)
    except loop.Diverged as error:
        print(f'error: {error}', file=sys.stderr)
        return exits.DIVERGED
    return 0


if __name__ == '__main__':
    sys.exit(guard.guard(main))
