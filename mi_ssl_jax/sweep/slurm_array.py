"""A search as a SLURM array: one task a job, by an sbatch file."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mi_ssl_jax.cli import sbatch
from mi_ssl_jax.sweep import plan, results


def submit(search: plan.Search, words: Sequence[str], options: Sequence[str]) -> None:
    """Write the sbatch file of the search's unfinished jobs and submit it; without any, say so.

    words: the command's own. options: further ones of sbatch.
    """
    left = [
        number
        for number, job in enumerate(search.jobs)
        if any(results.status(member) == 'unfinished' for member in job)
    ]
    if not left:
        print(f'{search.folder}: nothing is left to do')
        return
    path = search.folder / 'array.sbatch'
    path.write_text(script(search, words, options, left))
    try:
        found = subprocess.run(['sbatch', str(path)], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ValueError(f'wrote {path}, but there is no sbatch here to submit it') from error
    except subprocess.CalledProcessError as error:
        raise ValueError(
            f'wrote {path}, but sbatch refused it: {" ".join(error.stderr.split())}'
        ) from error
    print(f'{path}: {found.stdout.strip()}; the same command with --table shows the results')


def script(
    search: plan.Search, words: Sequence[str], options: Sequence[str], numbers: Sequence[int]
) -> str:
    """The sbatch file; a task that is preempted is queued again and goes on where it stopped."""
    command = [
        sys.executable,
        '-m',
        'mi_ssl_jax.sweep',
        *words,
        f'--method={search.method}',
        f'--data={search.data}',
        f'--stage={search.stage}',
    ]
    return '\n'.join(
        [
            '#!/usr/bin/env bash',
            *sbatch.directives(
                {
                    'job-name': f'{search.method}_{search.data}_{search.stage}',
                    'array': ','.join(map(str, numbers)),
                    'output': sbatch.output(search.folder, 'slurm-%A_%a.out'),
                    'requeue': True,
                    'signal': 'B:TERM@120',  # before the time is up: save and stop
                }
            ),
            *map(sbatch.word, options),
            f'cd {shlex.quote(str(Path.cwd()))}',
            f'exec {shlex.join(command)} --job="$SLURM_ARRAY_TASK_ID"',
            '',
        ]
    )
