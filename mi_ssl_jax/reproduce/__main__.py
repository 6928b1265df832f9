"""The paper's tables and figures by command: python -m mi_ssl_jax.reproduce COMMAND [--help]"""

import argparse
import importlib
import sys
from pathlib import Path

from mi_ssl_jax.cli import guard
from mi_ssl_jax.experiment import schema
from mi_ssl_jax.runs import exits

METHODS = ('sdmi', 'simsiam', 'mocov3', 'byol', 'jmi', 'simclr', 'barlow', 'vicreg')
RECIPES_PARTS = ('recipes', 'critics', 'relatives')
MMI_PARTS = ('methods', 'projector', 'form', 'momentum', 'order', 'costs')
COLLECTED = {  # commands that put finished runs together
    'table1': 'Table 1: linear-probe accuracies of finished runs, beside the paper',
    'figure4': (
        'Figure 4: SDMI without its marginal term, SimSiam without its predictor, from finished'
        ' runs'
    ),
    'scatter': (
        'final mutual information and figures without labels against linear-probe accuracy, from'
        ' finished runs'
    ),
}


def main() -> int | None:
    """Parse the arguments and hand over to the experiment's own module. Exit status as of
    mi_ssl_jax.main.
    """
    parser = guard.Parser(
        prog='python -m mi_ssl_jax.reproduce',
        description="The paper's tables and figures by command.",
    )
    commands = parser.add_subparsers(dest='command', required=True)
    _on_points(commands)
    _on_known_truth(commands)
    _on_images(commands)
    for name, command in commands.choices.items():
        command.add_argument('--workdir', type=Path, help=f'default: runs/reproduce_{name}')
    options = vars(parser.parse_args())
    _check(parser, options)
    return _run(options.pop('command'), options)


def _on_points(commands: argparse._SubParsersAction) -> None:
    gaussian = commands.add_parser(
        'gaussian', help='Table 2 and Figures 3, 5, 6; with --minibatch Figure 7'
    )
    gaussian.add_argument(
        '--seeds', type=int, default=12, help='independent seeds of every method (default: 12)'
    )
    _add_methods(gaussian)
    gaussian.add_argument(
        '--minibatch',
        action='store_true',
        help='batches of 500 instead of all 2,500 points (B.1.2)',
    )
    gaussian.add_argument('--epochs', type=int, default=100)

    ablations = commands.add_parser('ablations', help="Figure 4's logic on the Gaussian mixture")
    ablations.add_argument('--seeds', type=int, default=6)
    ablations.add_argument(
        '--epochs', type=int, nargs='+', default=[100, 1000], help='lengths (default: 100 1000)'
    )

    proposition = commands.add_parser(
        'proposition', help='section 3.1: the bound after each E-step and M-step'
    )
    proposition.add_argument('--seeds', type=int, default=6)
    proposition.add_argument('--epochs', type=int, default=50)

    surrogate = commands.add_parser(
        'surrogate', help='section 3.4: from the DV bound to Barlow Twins, step by step'
    )
    surrogate.add_argument('--seeds', type=int, default=3)
    surrogate.add_argument('--epochs', type=int, default=100)


def _on_known_truth(commands: argparse._SubParsersAction) -> None:
    what = 'estimators of mutual information against the truth: bounds x critics x tasks'
    benchmark = commands.add_parser('mi_benchmark', help=what, description=what)
    for name, default in (
        ('tasks', 'twenty-three; those without a critic on all'),
        ('bounds', 'all'),
        ('critics', "each bound's first; InfoNCE with all"),
    ):
        benchmark.add_argument(
            f'--{name}',
            type=lambda words: tuple(words.split(',')),
            help=f'comma-separated (default: {default})',
        )
    benchmark.add_argument(
        '--samples', type=int, default=10_000, help='of each fit (default: 10000)'
    )
    benchmark.add_argument('--fits', type=int, default=5, help='each on fresh samples (default: 5)')

    what = "how often estimate_mi's intervals hold the truth"
    coverage = commands.add_parser('mi_coverage', help=what, description=what)
    for name, default in (('tasks', 'six'), ('bounds', 'those that learn nothing')):
        coverage.add_argument(
            f'--{name}',
            type=lambda words: tuple(words.split(',')),
            help=f'comma-separated (default: {default})',
        )
    for name, default, what in (
        ('samples', 1000, 'of each draw'),
        ('fits', 5, 'of each estimate'),
        ('draws', 200, 'of each task'),
    ):
        coverage.add_argument(
            f'--{name}', type=int, default=default, help=f'{what} (default: {default})'
        )
    coverage.add_argument('--steps', type=int, help='of a learned bound (default: 2000)')


def _on_images(commands: argparse._SubParsersAction) -> None:
    what = 'Figure 2: mutual information while all methods train on CIFAR-10'
    cifar10 = commands.add_parser('cifar10', help=what, description=what)
    cifar10.add_argument(
        '--net', default='conv4', help="default: conv4, for CPUs; the paper's: resnet18"
    )
    cifar10.add_argument('--epochs', type=int, default=5, help="default: 5; the paper's: 1000")
    cifar10.add_argument('--seeds', type=int, default=1)
    cifar10.add_argument('--batch_size', type=int, help="default: the configurations', 512")
    cifar10.add_argument(
        '--mi_every_steps',
        type=int,
        help=(
            'steps between two evaluations of mutual '
            'information, 0 = by epochs (default: 50 up to 5 epochs, else 0)'
        ),
    )
    _add_methods(cifar10)

    what = 'all methods and the ablations of Figure 4 on CIFAR-10, small enough for two CPU cores'
    study = commands.add_parser(
        'cifar10_study',
        help=what,
        description=f'{what}: finished runs are kept with the source, and not repeated.',
    )
    _add_methods(study)
    study.add_argument(
        '--results',
        type=Path,
        help='folder of finished runs, to which new ones are added (default: the one kept with the'
        ' source)',
    )

    mmi = commands.add_parser(
        'mmi', help='explicit MMI (arXiv 2409.04747): projector, momentum, order, costs'
    )
    mmi.add_argument('--data', choices=('digits', 'cifar10'), default='digits')
    mmi.add_argument(
        '--only',
        default=','.join(MMI_PARTS),
        help=f'comma-separated (default: {",".join(MMI_PARTS)})',
    )
    mmi.add_argument('--epochs', type=int, help='default: 40 on digits, 3 on CIFAR-10')
    mmi.add_argument('--seeds', type=int, help='default: 3 on digits, 1 on CIFAR-10')
    what = "published recipes beside the paper's settings, learned critics, CorInfoMax; on digits"
    recipes = commands.add_parser('recipes', help=what, description=what)
    recipes.add_argument(
        '--only',
        default=','.join(RECIPES_PARTS),
        help=f'comma-separated (default: {",".join(RECIPES_PARTS)})',
    )
    recipes.add_argument('--epochs', type=int, default=150)
    recipes.add_argument('--seeds', type=int, default=3)
    for name, what in COLLECTED.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument(
            'runs',
            type=Path,
            nargs='+',
            metavar='RUN',
            help='folder of a finished run with its probe.json',
        )


def _add_methods(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        '--methods', default=','.join(METHODS), help='comma-separated (default: all eight)'
    )


def _check(parser: guard.Parser, options: dict) -> None:
    fields = schema.FIELDS
    for name, least, most in (
        ('seeds', 1, fields['seeds'].most),
        ('epochs', 1, fields['epochs'].most),
        ('batch_size', 2, fields['batch_size'].most),
        ('mi_every_steps', 0, fields['mi.every_steps'].most),
        ('samples', 1, fields['data.limit'].most),
        ('fits', 2, 10_000),
        ('draws', 2, 10_000),
        ('steps', 1, 1_000_000),
    ):
        value = options.get(name)
        numbers = value if isinstance(value, list) else [value]
        if value is not None and min(numbers) < least:
            parser.error(f'--{name} must be at least {least}')
        if value is not None and max(numbers) > most:
            parser.error(f'--{name} must be at most {most:,}')
    parts = RECIPES_PARTS if options['command'] == 'recipes' else MMI_PARTS
    for option, known in (('methods', METHODS), ('only', parts)):
        if option in options:
            options[option] = tuple(options[option].split(','))
            unknown = sorted(set(options[option]) - set(known))
            if unknown:
                what = 'method' if option == 'methods' else 'part'
                parser.error(
                    f"no {what} '{unknown[0]}' in this experiment; it has {', '.join(known)}"
                )


def _run(command: str, options: dict) -> int | None:
    if options['workdir'] is None:
        ending = (
            '_minibatch'
            if options.get('minibatch')
            else f'_{options["data"]}'
            if 'data' in options
            else ''
        )
        options['workdir'] = Path(f'runs/reproduce_{command}{ending}')
    if command in COLLECTED:
        from mi_ssl_jax.reproduce import finished_runs

        return getattr(finished_runs, command)(**options)
    from mi_ssl_jax.train import loop

    try:
        return importlib.import_module(f'mi_ssl_jax.reproduce.{command}').reproduce(**options)
    except loop.Diverged as error:
        print(f'error: {error}', file=sys.stderr)
        return exits.DIVERGED


if __name__ == '__main__':
    sys.exit(guard.guard(main))
