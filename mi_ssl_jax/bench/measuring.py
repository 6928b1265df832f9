"""Measurement and table of the bench command."""

import os
from typing import Any

from ml_collections import ConfigDict

METHOD = (
    'views/s count the views that the trained branch sees, and follow from wall time. After a'
    ' warm-up, each program takes `steps` steps in turn, `rounds` times, and is waited for; median,'
    ' min and max are over rounds. CPU ms is the time of all threads of the process; decoding'
    ' processes are not included. Network: encoders, loss, gradient, update on ready views. Device'
    " memory is the compiler's account of one device: arguments and temporaries. Model FLOPs"
    " count the matrix products and convolutions of the network alone, traced (not the compiler's"
    ' estimate), two for each multiplication with an addition.'
)


def measure(
    configs: dict[str, ConfigDict],
    *,
    steps: int,
    rounds: int,
    augmentation: bool = False,
    scaling: bool = False,
) -> dict[str, Any]:
    """{'rows', 'settings', 'machine', 'method'}; see bench.steps, .augmentation and
    .scaling.
    """
    from mi_ssl_jax.bench import augmentation as pipelines
    from mi_ssl_jax.bench import machine
    from mi_ssl_jax.bench import scaling as paper
    from mi_ssl_jax.bench import steps as whole

    load = os.getloadavg()[0]
    if scaling:
        rows, settings = paper.measure(configs)
    else:
        rows, settings = (pipelines if augmentation else whole).measure(
            configs, steps=steps, rounds=rounds
        )
    return {'rows': rows, 'settings': settings, 'machine': machine.describe(load), 'method': METHOD}


def text(result: dict[str, Any]) -> str:
    """Format the configuration, the machine and the table of measurements."""
    from mi_ssl_jax.bench import costs, table

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
