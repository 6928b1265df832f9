"""The fields that every configuration has, no fewer and no others.

configs/base/common.py gives them their defaults.
"""

import difflib
from collections.abc import Iterator

from ml_collections import ConfigDict

OPEN = (
    'method',
    'data.options',
    'views.options',
    'net.options',
)  # hold the arguments of what they name
FIELDS = frozenset(
    (
        'seed',
        'seeds',
        'batch_size',
        'epochs',
        'warmup_epochs',
        'lr',
        'lr_scaling',
        'weight_decay',
        'period',
        'log_every',
        'devices',
        'accumulate',
        'check_replicas',
        'mode',
        'wandb',
        'method',
        'optimizer.name',
        'optimizer.momentum',
        'data.name',
        'data.dir',
        'data.short_side',
        'data.streamed',
        'data.canvas',
        'data.workers',
        'data.options',
        'data.limit',
        'views.name',
        'views.options',
        'net.name',
        'net.projector',
        'net.predictor',
        'net.dtype',
        'net.batch_norm',
        'net.options',
        'mi.every',
        'mi.every_steps',
        'mi.temperature',
        'mi.examples',
        'mi.batch_size',
        'probe.online',
        'probe.at_end',
        'probe.labels',
        'probe.knn_neighbours',
        'probe.knn_temperature',
        'checkpoint.minutes',
        'checkpoint.epochs',
        'checkpoint.keep',
        'checkpoint.best',
        'collapse.stop',
        'rollback.times',
        'rollback.factor',
    )
)


def check(config: ConfigDict, where: str) -> None:
    """ValueError for fields that are missing or that nothing reads. where: the file or folder the
    configuration is of.
    """
    found = set(names(config))
    for name in sorted(found - FIELDS):
        near = difflib.get_close_matches(name, FIELDS - found, 1)
        raise ValueError(
            f"{where}: nothing reads the field '{name}'"
            + (f"; did you mean '{near[0]}'?" if near else '')
        )
    if found != FIELDS:
        raise ValueError(
            f'{where} lacks {", ".join(sorted(FIELDS - found))}: see configs/base/common.py for'
            ' what they are and for the values that change nothing'
        )


def names(config: ConfigDict, prefix: str = '') -> Iterator[str]:
    """The configuration's fields with their groups' names; what stands in an open group is no
    field.
    """
    for name, value in config.items():
        if isinstance(value, ConfigDict) and f'{prefix}{name}' not in OPEN:
            yield from names(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}'
