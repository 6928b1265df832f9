"""The command line of the bench command."""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict
from ml_collections import config_flags as ml_flags

from mi_ssl_jax.cli import config_file


def parse(argv: Sequence[str], *, usage: str) -> flags.FlagValues:
    """The flags of a command line. ValueError, in one line, for wrong ones."""
    values = flags.FlagValues()
    for name, use in (
        ('config', 'A file in configs/.'),
        ('versus', 'A second configuration to compare with.'),
    ):
        ml_flags.DEFINE_config_file(name, None, use, flag_values=values)
    flags.DEFINE_integer('steps', 20, 'Steps a round.', lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        'rounds', 5, 'Rounds, each program once.', lower_bound=1, flag_values=values
    )
    flags.DEFINE_string('json', None, 'Also write the results to this file.', flag_values=values)
    flags.DEFINE_string(
        'trace',
        None,
        "Write a profiler trace of the measurement here, for TensorBoard's profile "
        'plugin or Perfetto.',
        flag_values=values,
    )
    flags.DEFINE_bool(
        'synthetic', False, 'Random images in place of the data set.', flag_values=values
    )
    flags.DEFINE_bool(
        'augmentation', False, "Compare the views with Pillow's, on one core.", flag_values=values
    )
    flags.DEFINE_bool(
        'scaling',
        False,
        'Count exchanged bytes and the cost of the loss, without timing.',
        flag_values=values,
    )
    config_file.parse(values, argv, usage=usage, files=('config', 'versus'))
    if values.config is None:
        raise ValueError('no configuration: give --config=configs/NAME.py')
    if values.augmentation and values.scaling:
        raise ValueError('--augmentation and --scaling are two measurements: give one of them')
    if values.versus is not None and values.augmentation:
        raise ValueError('--augmentation measures one configuration: leave --versus out')
    if values.json and not Path(values.json).absolute().parent.is_dir():
        raise ValueError(f'--json={values.json}: there is no folder {Path(values.json).parent}')
    if values.json and Path(values.json).is_dir():
        raise ValueError(f'--json={values.json} is a folder: name a file in it')
    if values.trace:
        Path(values.trace).mkdir(parents=True, exist_ok=True)  # now, rather than after measuring
    return values


def configs(values: flags.FlagValues, folder: Path) -> dict[str, ConfigDict]:
    """Name of the file -> configuration, for one or for two."""
    given = [
        (name, values[name].value)
        for name in ('config', 'versus')
        if values[name].value is not None
    ]
    found = {}
    for name, config in given:
        if values.synthetic:
            from mi_ssl_jax.bench import synthetic

            config = synthetic.replace_data(config, folder / name)
        stem = Path(config_file.path(sys.argv, name)).stem
        found[stem if stem not in found else f'{stem} ({name})'] = config
    return found
