"""Arguments that name one of a run's encoders."""

from argparse import ArgumentParser
from pathlib import Path


def add(parser: ArgumentParser) -> None:
    """Add --workdir, --branch and --seed."""
    parser.add_argument('--workdir', required=True, type=Path, help='the folder of a run')
    parser.add_argument(
        '--branch',
        help='the encoder (default: the first that is trained; SDMI: theta is f, xi is g)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help="which of the run's seeds, counted from 0"
    )
