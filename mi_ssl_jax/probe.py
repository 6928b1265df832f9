"""Probes of a run's frozen backbone features: python -m mi_ssl_jax.probe --workdir=runs/jmi_digits

Linear probe with all labels and with few, weighted kNN; for every branch trained by gradient (SDMI:
f and g), beside the untrained encoder and the raw inputs.
"""

import sys
from pathlib import Path

from mi_ssl_jax.cli import guard
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.runs import probes, restoring, run_folder


def main() -> None:
    """Probe a finished run again, from its checkpoint."""
    parser = guard.Parser(prog='python -m mi_ssl_jax.probe', description=__doc__.splitlines()[0])
    parser.add_argument('--workdir', required=True, type=Path, help='the folder of a run')
    parser.add_argument(
        '--best', action='store_true', help='probe the best checkpoint, into probe_best.json'
    )
    values = parser.parse_args()
    workdir = values.workdir
    ready = experiments.setup(run_folder.read_config(workdir))
    population, progress = restoring.restore(ready, workdir, best=values.best)
    print(f'checkpoint of epoch {progress["epoch"]:g}')
    print(
        probes.text(
            probes.write(
                ready, population, workdir, 'probe_best.json' if values.best else 'probe.json'
            )
        )
    )


if __name__ == '__main__':
    sys.exit(guard.guard(main))
