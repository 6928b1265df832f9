"""Speed: python -m mi_ssl_jax.bench --config=configs/jmi_cifar10.py [--config.batch_size=64]

The whole training step as training runs it, its views, its network and its input alone;
compilation, memory and model FLOPs. With --versus a second configuration is timed in alternation
with the first (an SDMI round against a SimCLR step); with --augmentation the configuration's views
are held against Pillow's, on one core. With --scaling nothing is timed: bytes that devices
exchange, and what the loss costs, as devices are added.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections import config_flags as ml_flags

from mi_ssl_jax import cli, config_flags

METHOD = (
    'views/s count the views that the trained branch sees, and follow from wall time. After a'
    ' warm-up, each program takes `steps` steps in turn, `rounds` times, and is waited for; median,'
    ' min and max are over rounds. CPU ms is the time of all threads of the process; processes that'
    ' decode are not in it. Network: encoders, loss, gradient, update on ready views. Device memory'
    " is the compiler's account of one device: arguments, and temporaries beside them. Model FLOPs"
    " count the matrix products and convolutions of the network alone, traced (not the compiler's"
    ' estimate), two for each multiplication with an addition.'
)


def main() -> None:
    """Print the table and, with --json, write what it holds and what it was measured on."""
    values = _parse(sys.argv)
    if values.augmentation:  # before any library starts its threads
        os.environ['JAX_PLATFORMS'] = 'cpu'
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder, _traced(values.trace):
        result = measure(
            _configs(values, Path(folder)),
            steps=values.steps,
            rounds=values.rounds,
            augmentation=values.augmentation,
            scaling=values.scaling,
        )
    print(text(result))
    if values.json:
        from mi_ssl_jax import rundir

        rundir.write_json(
            Path(values.json), {**result, 'rows': [row._asdict() for row in result['rows']]}
        )


def measure(
    configs: dict[str, ConfigDict],
    *,
    steps: int,
    rounds: int,
    augmentation: bool = False,
    scaling: bool = False,
) -> dict[str, Any]:
    """{'rows', 'settings', 'machine', 'method'}; see benchmarks.steps, .augmentation and
    .scaling."""
    from mi_ssl_jax.benchmarks import augmentation as pipelines
    from mi_ssl_jax.benchmarks import machine
    from mi_ssl_jax.benchmarks import scaling as paper
    from mi_ssl_jax.benchmarks import steps as whole

    load = os.getloadavg()[0]
    if scaling:
        rows, settings = paper.measure(configs)
    else:
        rows, settings = (pipelines if augmentation else whole).measure(
            configs, steps=steps, rounds=rounds
        )
    return {'rows': rows, 'settings': settings, 'machine': machine.describe(load), 'method': METHOD}


def text(result: dict[str, Any]) -> str:
    """What was measured, on what, and the table."""
    from mi_ssl_jax.benchmarks import costs, table

    lines = [
        f'{name}: ' + ', '.join(f'{key} {value}' for key, value in own.items())
        for name, own in result['settings'].items()
    ]
    lines.append(', '.join(f'{key} {value}' for key, value in result['machine'].items() if value))
    units = {row.unit for row in result['rows']}
    if 'GFLOP/s' in units and '%' not in units:
        lines.append(
            "the share of the device's peak is left out: it is known for " + ', '.join(costs.PEAKS)
        )
    return '\n'.join([*lines, '', table.text(result['rows'])])


def _parse(argv: Sequence[str]) -> flags.FlagValues:
    values = flags.FlagValues()
    for name, use in (
        ('config', 'A file in configs/.'),
        ('versus', 'A second one, to compare to.'),
    ):
        ml_flags.DEFINE_config_file(name, None, use, flag_values=values)
    flags.DEFINE_integer('steps', 20, 'Steps a round.', lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        'rounds', 5, 'Rounds, each program once.', lower_bound=1, flag_values=values
    )
    flags.DEFINE_string('json', None, 'Write the results here too.', flag_values=values)
    flags.DEFINE_string(
        'trace',
        None,
        "Write a profiler trace of the measurement here, for TensorBoard's profile "
        'plugin or Perfetto.',
        flag_values=values,
    )
    flags.DEFINE_bool(
        'synthetic', False, 'Made-up images in place of the data set.', flag_values=values
    )
    flags.DEFINE_bool(
        'augmentation', False, "The views against Pillow's, on one core.", flag_values=values
    )
    flags.DEFINE_bool(
        'scaling',
        False,
        'Exchanged bytes and the cost of the loss; nothing is timed.',
        flag_values=values,
    )
    config_flags.parse(values, argv, usage=__doc__, files=('config', 'versus'))
    if values.config is None:
        raise ValueError('no configuration: give --config=configs/NAME.py')
    if values.augmentation and values.scaling:
        raise ValueError('--augmentation and --scaling are two measurements: give one of them')
    if values.versus is not None and values.augmentation:
        raise ValueError('--augmentation measures one configuration: leave --versus out')
    if values.json and not Path(values.json).absolute().parent.is_dir():
        raise ValueError(f'--json={values.json}: there is no folder {Path(values.json).parent}')
    return values


def _traced(folder: str | None) -> contextlib.AbstractContextManager:
    if folder is None:
        return contextlib.nullcontext()
    import jax

    return jax.profiler.trace(folder, create_perfetto_trace=True)


def _configs(values: flags.FlagValues, folder: Path) -> dict[str, ConfigDict]:
    """Name of the file -> configuration, for one or for two."""
    given = [
        (name, values[name].value)
        for name in ('config', 'versus')
        if values[name].value is not None
    ]
    found = {}
    for name, config in given:
        if values.synthetic:
            from mi_ssl_jax.benchmarks import made_up

            config = made_up.replace_data(config, folder / name)
        stem = Path(config_flags.path(sys.argv, name)).stem
        found[stem if stem not in found else f'{stem} ({name})'] = config
    return found


if __name__ == '__main__':
    sys.exit(cli.guard(main))
