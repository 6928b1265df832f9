"""Train one configuration as a SLURM job:

python launch/slurm.py --nodes=2 --gpus=8 --partition=gpu --time=24:00:00 [--dry_run] --
--config=configs/jmi_in100.py

It writes a batch file into --folder and hands it to sbatch; --dry_run prints the file instead. One
process a node uses all the node's GPUs, unless --tasks asks for more. Before the time is over, and
when the job is preempted, the run saves and the job queues again by itself; it goes on where it
stopped until the run has finished.
"""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # also where the package is not installed

from mi_ssl_jax.cli import guard, sbatch

STOPPED = 128 + 15  # the run's status after SIGTERM, with what was due saved

TEMPLATE = r"""#!/usr/bin/env bash
{directives}

cd {here}
export PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}}

# SLURM's own SIGTERM to this shell (scontrol requeue, scancel) must not end it before the run
# has saved.
ended=
trap 'ended=1' TERM

srun --kill-on-bad-exit=1 {command} &
step=$!
while true; do
    wait "$step" && status=0 || status=$?
    kill -0 "$step" 2>/dev/null || break
done

# The run was told to stop, this shell was not: the time is nearly over, or a preemption has a
# time of grace.
if [ "$status" = {stopped} ] && [ -z "$ended" ]; then
    echo "job $SLURM_JOB_ID stopped and saved; it queues again"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
"""


def batch_file(options: argparse.Namespace, arguments: Sequence[str]) -> str:
    """The text of the batch file. options: see `parser`. arguments: of mi_ssl_jax.main."""
    lines = sbatch.directives(
        {
            'job-name': options.name,
            'nodes': options.nodes,
            'ntasks-per-node': options.tasks,
            'gpus-per-node': options.gpus or None,
            'cpus-per-task': options.cpus,
            'partition': options.partition,
            'time': options.time,
            'output': sbatch.output(options.folder, '%x-%j.out'),
            'open-mode': 'append',
            'signal': f'TERM@{options.notice}',
            'requeue': True,
        }
    )
    command = shlex.join([sys.executable, '-m', 'mi_ssl_jax.main', *arguments])
    return TEMPLATE.format(
        directives='\n'.join(lines),
        root=shlex.quote(str(ROOT)),
        here=shlex.quote(str(Path.cwd())),
        command=command,
        stopped=STOPPED,
    )


def parser() -> guard.Parser:
    """The command's options."""
    own = guard.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument('--nodes', type=_positive, default=1, help='machines')
    own.add_argument('--gpus', type=_count, default=0, help='GPUs per node; 0 for none')
    own.add_argument(
        '--tasks', type=_positive, default=1, help='processes per node, which share its GPUs'
    )
    own.add_argument('--cpus', type=_positive, help='CPUs a process')
    own.add_argument('--partition', type=_word)
    own.add_argument(
        '--time', type=_time, help='limit, such as 90 (minutes), 12:00:00 or 2-00:00:00'
    )
    own.add_argument(
        '--notice',
        type=_positive,
        default=120,
        help='seconds before that limit at which the run stops',
    )
    own.add_argument('--name', type=_word, help="job name; default: the configuration's")
    own.add_argument(
        '--folder', type=Path, default=Path('runs/slurm'), help='folder for batch files and output'
    )
    own.add_argument('--dry_run', action='store_true', help='print the batch file and exit')
    own.add_argument('arguments', nargs='+', help='of mi_ssl_jax.main, behind --')
    return own


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 0")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def _word(text: str) -> str:
    if not re.fullmatch(r'[\w.,+-]+', text):
        raise argparse.ArgumentTypeError(f"'{text}' has characters that names cannot have")
    return text


def _time(text: str) -> str:
    if not re.fullmatch(r'(\d+-)?\d+(:\d\d){0,2}', text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a time such as 90 (minutes), 12:00:00 or 2-00:00:00"
        )
    return text


def main() -> int:
    """Exit status: sbatch's."""
    own = parser()
    options = own.parse_args()
    config = next(
        (word.partition('=')[2] for word in options.arguments if word.startswith('--config=')), None
    )
    if config is None:
        own.error('no configuration: end the line with -- --config=configs/NAME.py')
    options.name = options.name or Path(config).stem
    text = batch_file(options, options.arguments)
    if options.dry_run:
        print(text, end='')
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f'{options.name}.sbatch'
    path.write_text(text)
    print(f'wrote {path}', flush=True)
    try:
        return subprocess.run(['sbatch', str(path)], check=False).returncode
    except FileNotFoundError:
        print(
            'error: there is no sbatch here: run this on a machine of a SLURM cluster',
            file=sys.stderr,
        )
        return 2


if __name__ == '__main__':
    sys.exit(guard.guard(main))
