"""Search over configurations: python launch/sweep.py configs/sweep_digits.py --method=jmi
[--config.epochs=8]

Configurations that differ in lr, weight_decay and temperature alone train in one program where the
network is small. Every configuration gets a run's folder in WORKDIR/METHOD_DATA/STAGE/; the same
command goes on after an interrupt and repeats nothing that is finished. --config.FIELD=VALUE
applies to every configuration.
"""

import re
import shlex
import sys
from pathlib import Path

from mi_ssl_jax.cli import guard
from mi_ssl_jax.runs import exits
from mi_ssl_jax.sweep import plan, results, slurm_array, stages


def main() -> int:
    """Exit status: 0 done, 3 every configuration diverged; the others come from cli.guard."""
    parser = _parser()
    options, overrides = parser.parse_known_args()
    for word in overrides:
        if not re.match(r'--config\.[\w.]+=', word):
            parser.error(
                f"unexpected argument '{word}'; fields are overridden by --config.FIELD=VALUE"
            )
    if options.together is not None and options.together < 1:
        parser.error('--together must be at least 1')
    try:
        sbatch = shlex.split(options.sbatch)
    except ValueError as error:
        parser.error(f'--sbatch={options.sbatch}: {error}')
    searches = _searches(options, overrides)
    if options.job is not None and (
        len(searches) != 1 or not 0 <= options.job < len(searches[0].jobs)
    ):
        parser.error(
            '--job needs one --method, one --data and the number of one of its jobs; see --dry_run'
        )
    for search in searches:
        plan.check(search)
    if options.dry_run or options.table:
        for search in searches:
            print(tables(search) if options.table else text(search))
        return 0
    for search in searches:
        plan.write(search)
    if options.slurm:
        words = [options.file, f'--workdir={_workdir(options)}', *_together(options), *overrides]
        for search in searches:
            slurm_array.submit(search, words, sbatch)
        return 0
    return _run(searches, options.job)


def text(search: plan.Search) -> str:
    """List the runs that would start."""
    states = {member.folder: results.status(member) for member in search.members}
    done = sum(state != 'unfinished' for state in states.values())
    lines = [
        f'{search.method} on {search.data}, {search.stage}: {len(states)} configurations in '
        f'{len(search.jobs)} programs, {done} of them done; in {search.folder}'
    ]
    for number, job in enumerate(search.jobs):
        lines.append(f'job {number}: {len(job)} configuration{"s in one program" * (len(job) > 1)}')
        lines += [f'  {states[member.folder]:12}{member.folder.name}' for member in job]
    return '\n'.join([*lines, f'the first alone: {plan.command(search.members[0])}'])


def tables(search: plan.Search) -> str:
    """Format the results so far."""
    from mi_ssl_jax.figures import tables as formats

    return formats.text(results.table(search))


def _parser() -> guard.Parser:
    what, how = __doc__.split('\n\n')
    parser = guard.Parser(
        prog='python launch/sweep.py', allow_abbrev=False, description=what, epilog=how
    )
    parser.add_argument(
        'file', help='a search, such as configs/sweep_digits.py or configs/sweep_cifar.py'
    )
    parser.add_argument('--method', help='comma-separated; default: all of the search')
    parser.add_argument('--data', help='comma-separated; default: all of the search')
    parser.add_argument(
        '--stage',
        choices=plan.STAGES,
        default='grid',
        help="'second' and 'final' start from the best of the previous stages (default: grid)",
    )
    parser.add_argument('--workdir', type=Path, help='default: runs/FILE')
    parser.add_argument(
        '--together',
        type=int,
        metavar='N',
        help=(
            'configurations per program at most; default: all that can share one, but 1 for '
            'ResNets, streamed data, collapse.stop, rollback and wandb'
        ),
    )
    parser.add_argument(
        '--dry_run', action='store_true', help='print what would run, and where, and exit'
    )
    parser.add_argument('--table', action='store_true', help='print the results so far and exit')
    parser.add_argument(
        '--slurm', action='store_true', help='submit the unfinished jobs as a SLURM array'
    )
    parser.add_argument(
        '--sbatch',
        default='',
        metavar='OPTIONS',
        help="further sbatch options, such as '--partition=gpu --gres=gpu:1 --time=8:00:00'",
    )
    parser.add_argument(
        '--job', type=int, metavar='N', help='run one job, as a task of the array does'
    )
    return parser


def _searches(options, overrides: list[str]) -> list[plan.Search]:
    module = plan.load(Path(options.file))
    methods = module.METHODS if options.method is None else options.method.split(',')
    data = module.DATA if options.data is None else options.data.split(',')
    return [
        stages.search(
            module,
            options.stage,
            method,
            name,
            workdir=_workdir(options),
            overrides=overrides,
            together=options.together,
        )
        for name in data
        for method in methods
    ]


def _workdir(options) -> Path:
    return options.workdir or Path('runs') / Path(options.file).stem


def _together(options) -> list[str]:
    return [] if options.together is None else [f'--together={options.together}']


def _run(searches: list[plan.Search], only: int | None) -> int:
    from mi_ssl_jax.sweep import jobs

    jobs.check(searches)
    for search in searches:
        for number in range(len(search.jobs)) if only is None else [only]:
            jobs.work(search, number)
        if only is None:
            paths = results.write(search)
            print(tables(search))
            print('\n'.join(f'wrote {path}' for path in paths))
    members = [member for search in searches for member in search.members]
    return exits.DIVERGED if all(results.status(member) == 'diverged' for member in members) else 0


if __name__ == '__main__':
    sys.exit(guard.guard(main))
