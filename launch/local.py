"""Train one configuration by several processes on this machine:

python launch/local.py --processes=2 [--dry_run] -- --config=configs/jmi_gaussian.py [further
arguments of mi_ssl_jax.main]

Each line of their output begins with the process's number. When one fails, the others are ended.
SIGINT and SIGTERM go
to all: they save and stop; a second one ends them at once.
"""

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # also where the package is not installed

from mi_ssl_jax.cli import guard

PATIENCE = 15.0  # seconds that the others have to end by themselves after one has failed
ADDRESS = '127.0.0.1'


def commands(processes: int, port: int, arguments: Sequence[str]) -> list[list[str]]:
    """The command of each process."""
    main = [sys.executable, '-m', 'mi_ssl_jax.main', *arguments]
    return [
        [
            *main,
            f'--coordinator={ADDRESS}:{port}',
            f'--processes={processes}',
            f'--process={number}',
        ]
        for number in range(processes)
    ]


def environment(environ: Mapping[str, str], number: int) -> dict[str, str]:
    """Return the environment of process `number`: one GPU each where there are any, and the
    repository's configs/ on the path.
    """
    path = os.pathsep.join([str(ROOT), *filter(None, [environ.get('PYTHONPATH')])])
    return {'JAX_LOCAL_DEVICE_IDS': str(number), **environ, 'PYTHONPATH': path}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


def run(started: Sequence[Sequence[str]]) -> int:
    """Run the commands together. The status of the first to fail, 0 when none did."""
    running = [
        subprocess.Popen(
            command,
            env=environment(os.environ, number),
            text=True,
            errors='replace',
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for number, command in enumerate(started)
    ]

    def forward(number, frame):
        for process in running:
            if process.poll() is None:
                process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    readers = [
        threading.Thread(target=_copy, args=(process.stdout, number))
        for number, process in enumerate(running)
    ]
    for reader in readers:
        reader.start()
    status = _wait(running)
    for reader in readers:
        reader.join()
    return status


def _wait(running: Sequence[subprocess.Popen]) -> int:
    """Until all have ended; PATIENCE seconds after the first failure the rest is killed."""
    failed, deadline = 0, None
    while any(process.poll() is None for process in running):
        statuses = [process.poll() for process in running]
        if deadline is None and any(statuses):
            failed, deadline = (
                next(status for status in statuses if status),
                time.monotonic() + PATIENCE,
            )
        if deadline is not None and time.monotonic() > deadline:
            for process in running:
                process.kill()
        time.sleep(0.1)
    failed = failed or next((process.returncode for process in running if process.returncode), 0)
    return failed if failed >= 0 else 128 - failed  # killed by a signal


def _copy(lines, number: int) -> None:
    for line in lines:
        print(f'[{number}] {line}', end='', flush=True)


def main() -> int:
    """Exit status: 0, or that of the first process to fail."""
    parser = guard.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--processes', type=int, required=True, help='how many')
    parser.add_argument('--dry_run', action='store_true', help='print the commands and exit')
    parser.add_argument('arguments', nargs='+', help='of mi_ssl_jax.main, behind --')
    options = parser.parse_args()
    if options.processes < 1:
        parser.error(f'--processes={options.processes} must be at least 1')
    started = commands(options.processes, free_port(), options.arguments)
    if options.dry_run:
        print('\n'.join(map(shlex.join, started)))
        return 0
    return run(started)


if __name__ == '__main__':
    sys.exit(guard.guard(main))
