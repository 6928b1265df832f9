"""The command line of finetune."""

import argparse
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mi_ssl_jax import data
from mi_ssl_jax.cli import config_file, guard
from mi_ssl_jax.experiment import schema
from mi_ssl_jax.experiment.fields import FIELDS
from mi_ssl_jax.runs import labelled

GROUP = 'data'  # whose fields can be set
KINDS = {'str': str, 'int': int, 'bool': lambda word: {'True': True, 'False': False}[word]}
WORDS = {'int': 'a whole number', 'bool': 'True or False'}


def arguments(description: str) -> argparse.Namespace:
    """The arguments; `changes`: those of the data, by field. Bad ones end the command."""
    parser = guard.Parser(prog='python -m mi_ssl_jax.finetune', description=description)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--workdir', type=Path, help='the folder of a run')
    what.add_argument(
        '--weights', type=Path, help='a .safetensors file or a folder of weights, with --config'
    )
    parser.add_argument('--config', help='configs/NAME.py, whose data and views --weights takes')
    parser.add_argument('--branch', help='of a run, the encoder (default: the first trained)')
    parser.add_argument(
        '--best', action='store_true', help='of a run, the best checkpoint instead of the last'
    )
    parser.add_argument(
        '--labels',
        default='all',
        help="'all', '10%%', '1%%', '10 a class', a .txt file with an example a line; several by"
        ' commas (default: all)',
    )
    parser.add_argument('--seeds', type=int, default=1, help='default: 1')
    parser.add_argument('--epochs', type=int, help="default: the protocol's")
    parser.add_argument('--batch_size', type=int, default=256, help='default: 256')
    for name, of in (
        ('backbone_lr', 'the pretrained backbone'),
        ('head_lr', 'the classifier on it'),
        ('scratch_lr', 'both, from random weights'),
    ):
        parser.add_argument(f'--{name}', type=float, help=f"of {of} (default: the protocol's)")
    parser.add_argument('--out', type=Path, help='default: WORKDIR/finetune, or runs/finetune_NAME')
    names = [name for name, own in FIELDS.items() if _can_be_set(name, own.kind)]
    for name in names:
        parser.add_argument(f'--{name}', help=f'{FIELDS[name].unit} (default: as in training)')
    options = parser.parse_args()
    options.config = _configuration(parser, options)
    options.labels = [name.strip() for name in options.labels.split(',')]
    _check(parser, options)
    options.changes = {name: _value(parser, options, name) for name in names}
    options.changes = {name: own for name, own in options.changes.items() if own is not None}
    return options


def _configuration(parser: guard.Parser, options: argparse.Namespace) -> ConfigDict | None:
    """The configuration whose data weights are fine-tuned on; None where none was given."""
    if options.weights is not None and (options.branch or options.best):
        parser.error('--branch and --best are of runs: give --workdir')
    if options.config is None:
        return None
    if options.weights is None:
        parser.error('--config goes with --weights: a run has its own')
    if not Path(options.config).is_file():
        parser.error(f'no configuration {options.config}: give configs/NAME.py')
    found = config_file.read(options.config)
    schema.check(found, options.config)
    return found


def _can_be_set(name: str, kind: str) -> bool:
    return name.startswith(f'{GROUP}.') and kind in KINDS


def _value(parser: guard.Parser, options: argparse.Namespace, name: str) -> Any:
    word, field = getattr(options, name), FIELDS[name]
    if word is None:
        return None
    try:
        value = KINDS[field.kind](word)
    except (KeyError, ValueError):
        parser.error(f"--{name}='{word}' must be {WORDS[field.kind]}")
    _check_value(parser, f'--{name}', value, name)
    return value


def _check(parser: guard.Parser, options: argparse.Namespace) -> None:
    """Refuse numbers out of their range and labels that are not known."""
    rates = dict.fromkeys(('backbone_lr', 'head_lr', 'scratch_lr'), 'lr')
    for name, field in {**{own: own for own in ('seeds', 'epochs', 'batch_size')}, **rates}.items():
        if getattr(options, name) is not None:
            _check_value(parser, f'--{name}', getattr(options, name), field)
    try:
        names = [name for name in options.labels if not labelled.is_file(name)]
        data.label_sets(None, names, field='--labels')
    except ValueError as error:
        parser.error(str(error))


def _check_value(parser: guard.Parser, name: str, value: Any, field: str) -> None:
    try:
        schema.check_value(name, value, FIELDS[field])
    except ValueError as error:
        parser.error(str(error))
