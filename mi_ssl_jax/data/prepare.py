"""Prepares a data set: python -m mi_ssl_jax.data.prepare NAME --data_dir=DIR [--source=PATH]
[--skip_bad]; arrays, parquet and webdataset also [--as=NAME] [--kind=KIND] [--x=NAME] [--y=NAME]
"""

import argparse
import re
import signal
import sys

import numpy as np

from mi_ssl_jax import data
from mi_ssl_jax.cli import guard
from mi_ssl_jax.data import records
from mi_ssl_jax.data.building import arrays, cifar, examples, folders, parquet, plan, webdataset
from mi_ssl_jax.data.generated import graph_npz

_OWN = {'arrays': arrays.plan, 'parquet': parquet.plan, 'webdataset': webdataset.plan}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 after one line (and one more for each bad file) that says what is wrong."""
    came = []

    def interrupt(number, frame):
        came.append(number)
        raise KeyboardInterrupt  # so that an ended run cleans up

    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # SIGINT too: in a background job Python leaves it ignored
        signal.signal(number, interrupt)
    parser = guard.Parser(prog='python -m mi_ssl_jax.data.prepare', allow_abbrev=False)
    parser.add_argument('name', help=', '.join(data.names()))
    parser.add_argument(
        '--data_dir', help='TFDS folder; default TFDS_DATA_DIR, else ~/tensorflow_datasets'
    )
    parser.add_argument('--source', help='folder or archive with the original files')
    parser.add_argument(
        '--classes', help='imagenet100: a file with one class folder a line, another choice'
    )
    parser.add_argument(
        '--skip_bad', action='store_true', help='leave damaged and mislabelled files out'
    )
    parser.add_argument(
        '--as', dest='called', help=f'{", ".join(_OWN)}: what the set is called in data.name'
    )
    parser.add_argument(
        '--kind', choices=list(examples.KINDS), help=f'{", ".join(_OWN)}: what one example is'
    )
    parser.add_argument(
        '--x', help='arrays, columns (A,B,C) or file extension that hold the examples'
    )
    parser.add_argument('--y', help='array, column or file extension that holds the labels')
    given = parser.parse_args(arguments)
    if given.source == '':
        parser.error('--source= names nothing: give a folder or an archive')
    try:
        _prepare(given)
    except (Exception, KeyboardInterrupt) as error:
        if came:  # also where a library has made an error of its own of it
            print(
                'interrupted: nothing was written; the same command starts again', file=sys.stderr
            )
            return 130
        if not isinstance(error, (ValueError, OSError)):
            raise
        bad = (
            [f'bad {error.item}: {file}' for file in error.files]
            if isinstance(error, plan.BadFiles)
            else []
        )
        print(*bad, f'error: {error}', sep='\n', file=sys.stderr)
        return 2
    return 0


def _prepare(given: argparse.Namespace) -> None:
    if given.name not in data.names():
        raise ValueError(f'unknown data set {given.name!r}: known are {", ".join(data.names())}')
    called = _called(given)
    if given.classes and given.name != 'imagenet100':
        raise ValueError(f'--classes is for imagenet100, not for {given.name}')
    if given.skip_bad and given.name in (*data.GENERATED, 'graph_npz'):
        raise ValueError(f'--skip_bad is for sets of images, not for {given.name}')
    if given.name == 'graph_npz':
        print(graph_npz.prepare(given.source, given.data_dir))
        return
    if given.name in data.GENERATED:
        if given.source is not None:
            raise ValueError(f'--source is not for {given.name}, which is generated')
        data.load(given.name, given.data_dir)
        print(f'{given.name} is prepared in {records.root(given.data_dir)}')
        return
    try:
        existing = data.find(called, given.data_dir).folder
    except ValueError:
        existing = None  # missing, or not usable: then plan.write tells
    if existing and not records.may_differ(existing, given.source):
        print(records.already(called, existing))
        return
    if given.name in _OWN:
        wanted = examples.Wanted(given.kind, given.x, given.y)
        chosen = _OWN[given.name](given.source, wanted)._replace(name=called)
    elif given.name in folders.NAMES:
        chosen = folders.plan(given.name, given.source, given.classes)
    else:
        chosen = cifar.plan(given.name, given.source, given.data_dir)
    if existing:
        records.check_origin(called, existing, chosen.origin)
        print(records.already(called, existing))
        return
    print(*chosen.notes, sep='\n', end='\n' * bool(chosen.notes), flush=True)
    _report(plan.write(chosen, given.data_dir, skip_bad=given.skip_bad), chosen)


def _called(given: argparse.Namespace) -> str:
    """The name of the prepared set. ValueError for options that the data set does not take."""
    options = {'--as': given.called, '--kind': given.kind, '--x': given.x, '--y': given.y}
    wrong = [option for option, value in options.items() if value is not None]
    if given.name not in _OWN and wrong:
        raise ValueError(f'{wrong[0]} is for {", ".join(_OWN)}, not for {given.name}')
    called = given.called or given.name
    if not re.fullmatch(r'[a-z][a-z0-9_]*', called):
        raise ValueError(f'--as={called}: use small letters, digits and _, such as my_scans')
    if given.called in data.names() and given.called != given.name:
        raise ValueError(f'--as={called}: that is a data set of its own, choose another name')
    return called


def _report(summary: plan.Summary, chosen: plan.Plan) -> None:
    for file in summary.bad:
        print(f'left out: {file}')
    for split, counts in summary.counts.items():
        each = f'{min(counts)}' if min(counts) == max(counts) else f'{min(counts)} to {max(counts)}'
        total = examples.counted(sum(counts), chosen.noun)
        if not chosen.class_names:
            print(f'{split}: {total}, no labels')
            continue
        print(f'{split}: {total}, {len(counts)} classes of {each}')
        if min(counts) != max(counts) and len(counts) <= 20:
            print(
                '    '
                + ', '.join(f'{name} {count}' for name, count in zip(chosen.class_names, counts))
            )
        lacking = [name for name, count in zip(chosen.class_names, counts) if not count]
        if lacking:
            some = ', '.join(lacking[:3]) + (', ...' if len(lacking) > 3 else '')
            print(f'note: no {chosen.noun} in {split} ({len(lacking)} of the classes): {some}')
    size = np.sum([file.stat().st_size for file in summary.folder.iterdir()])
    print(f'{summary.folder}: {size / 1e6:,.1f} MB in {summary.seconds:.1f} s')


if __name__ == '__main__':
    sys.exit(guard.guard(main))
