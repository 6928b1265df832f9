"""python -m mi_ssl_jax.reproduce {gaussian,ablations,proposition} [--help]"""

import sys
from pathlib import Path

from mi_ssl_jax import cli

METHODS = ('sdmi', 'simsiam', 'mocov3', 'byol', 'jmi', 'simclr', 'barlow', 'vicreg')


def main() -> None:
    """Parse the arguments and hand over to the experiment's own module."""
    parser = cli.Parser(prog='python -m mi_ssl_jax.reproduce', description="The paper's tables and figures by command.")
    commands = parser.add_subparsers(dest='command', required=True, metavar='{gaussian,ablations,proposition}')

    gaussian = commands.add_parser('gaussian', help='Table 2 and Figures 3, 5, 6; with --minibatch Figure 7')
    gaussian.add_argument('--seeds', type=int, default=12, help='independent seeds of every method (default: 12)')
    gaussian.add_argument('--methods', default=','.join(METHODS), help='comma-separated (default: all eight)')
    gaussian.add_argument('--minibatch', action='store_true', help='batches of 500 instead of all 2,500 points (B.1.2)')
    gaussian.add_argument('--epochs', type=int, default=100)

    ablations = commands.add_parser('ablations', help="Figure 4's logic on the Gaussian mixture")
    ablations.add_argument('--seeds', type=int, default=6)
    ablations.add_argument('--epochs', type=int, nargs='+', default=[100, 1000], help='lengths (default: 100 1000)')

    proposition = commands.add_parser('proposition', help='section 3.1: the bound after each E-step and M-step')
    proposition.add_argument('--seeds', type=int, default=6)
    proposition.add_argument('--epochs', type=int, default=50)

    for name, command in commands.choices.items():
        command.add_argument('--workdir', type=Path, help=f'default: runs/reproduce_{name}')
    options = vars(parser.parse_args())
    _check(parser, options)
    _run(options.pop('command'), options)


def _check(parser: cli.Parser, options: dict) -> None:
    lengths = options['epochs'] if isinstance(options['epochs'], list) else [options['epochs']]
    if options['seeds'] < 1 or min(lengths) < 1:
        parser.error('--seeds and --epochs must be at least 1')
    if 'methods' in options:
        options['methods'] = tuple(options['methods'].split(','))
        unknown = sorted(set(options['methods']) - set(METHODS))
        if unknown:
            parser.error(f"no method '{unknown[0]}' in the controlled experiment; it has {', '.join(METHODS)}")


def _run(command: str, options: dict) -> None:
    if options['workdir'] is None:
        options['workdir'] = Path(f'runs/reproduce_{command}' + ('_minibatch' if options.get('minibatch') else ''))
    if command == 'gaussian':
        from mi_ssl_jax.reproduce import gaussian
        gaussian.reproduce(**options)
    elif command == 'ablations':
        from mi_ssl_jax.reproduce import ablations
        ablations.reproduce(**options)
    else:
        from mi_ssl_jax.reproduce import proposition
        proposition.reproduce(**options)


if __name__ == '__main__':
    sys.exit(cli.guard(main))
