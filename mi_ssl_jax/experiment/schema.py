"""All fields of a configuration: unit, range, and whether a resumed run may change it.

configs/base/common.py gives the fields their defaults. Nothing here needs JAX, so a wrong value is
refused before anything is loaded.
"""

import copy
import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict


class Field(NamedTuple):
    """The values that a field accepts."""

    unit: str  # its unit, or what it says
    kind: str  # 'int', 'float', 'bool', 'str', 'widths', 'epochs', 'names' or 'open'
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()
    free: bool = False  # may differ between a run and its resumption: no step computes with it
    # Where given, a run goes on with the value it began with, whatever the configuration says now:
    # with this one if it is older than the field.
    began: str = ''


LISTS = {'widths': ('a width', '(2048, 128)'), 'epochs': ('an epoch', '(150, 175)')}
MANY = 10**9  # more steps, epochs or examples than anything here takes

FIELDS: dict[str, Field] = {
    'seed': Field('of the first member; the others follow it', 'int', 0, 2**32 - 1),
    'seeds': Field('independent copies trained side by side', 'int', 1, 10**6),
    'batch_size': Field('examples per step, over all devices', 'int', 1, MANY),
    'epochs': Field('passes over the data; for SDMI, per phase', 'int', 1, MANY, free=True),
    'warmup_epochs': Field('epochs', 'int', 0, MANY),
    'lr': Field('at batch_size; with lr_scaling, at 256 examples', 'float', 0),
    'lr_scaling': Field(
        'scales lr by batch_size / 256 or its root', 'str', choices=('none', 'linear', 'sqrt')
    ),
    'weight_decay': Field('coupled (L2); decoupled with adamw', 'float', 0),
    'schedule.name': Field('after the warm-up', 'str', choices=('cosine', 'steps')),
    'schedule.start': Field('of the warm-up, as a fraction of lr', 'float', 0, 1),
    'schedule.final': Field('of the cosine, as a fraction of lr', 'float', 0, 1),
    'schedule.drops': Field('of steps: epochs from which on it drops', 'epochs', 1, MANY),
    'schedule.drop_factor': Field('of steps: factor of each drop', 'float', 0, 1),
    'period': Field('steps before the phases alternate; 0 = a whole pass', 'int', 0, MANY),
    'log_every': Field('steps', 'int', 1, MANY),
    'devices': Field('number; 0 = all local ones', 'int', 0, MANY, free=True),
    'accumulate': Field('pieces of a batch per device (gradient caching)', 'int', 1, MANY),
    'check_replicas': Field('compares the devices at every log point', 'bool', free=True),
    'mode': Field('how steps run; auto chooses', 'str', choices=('auto', 'scan', 'apart', 'loop')),
    'wandb': Field("Weights & Biases project; '' = none", 'str', free=True),
    'method': Field('its name and arguments', 'open'),
    'optimizer.name': Field('optimiser', 'str', choices=('sgd', 'adam', 'adamw', 'lars')),
    'optimizer.momentum': Field('of sgd and lars', 'float', 0, 1),
    'optimizer.lars.eta': Field('trust coefficient', 'float', math.ulp(0.0), 1),
    'optimizer.lars.ratio': Field(
        '|p| / |g + wd p|; parts: |p| / (|g| + wd |p|)', 'str', choices=('whole', 'parts')
    ),
    'optimizer.lars.clip': Field('eta times the ratio is at most the learning rate', 'bool'),
    'optimizer.lars.vectors': Field('biases and batch norms are adapted and decay too', 'bool'),
    'data.name': Field('a data set, or its TFDS name', 'str'),
    'data.dir': Field("folder; '' = TFDS_DATA_DIR, else TFDS's default", 'str', free=True),
    'data.short_side': Field('px; 0 = no resizing', 'int', 0, 65_536),
    'data.streamed': Field('read from disk while training', 'bool'),
    'data.canvas': Field('px, side of streamed images', 'int', 0, 65_536),
    'data.workers': Field('decoding processes; 0 = threads', 'int', 0, 4096, free=True),
    'data.options': Field('options of generated data', 'open'),
    'data.limit': Field('training examples; 0 = all', 'int', 0, MANY),
    'views.name': Field('view pipeline', 'str'),
    'views.options': Field('options of the pipeline', 'open'),
    'net.name': Field('backbone', 'str'),
    'net.projector': Field('widths; () = none', 'widths', 1, 1_000_000),
    'net.predictor': Field('hidden widths, where a method has one', 'widths', 1, 1_000_000),
    'net.dtype': Field(
        'of computation; auto: bfloat16 on accelerators',
        'str',
        choices=('float32', 'bfloat16', 'auto'),
    ),
    'net.convolution': Field(
        'on CPUs, in float32', 'str', choices=('fast', 'accurate', 'xla'), began='xla'
    ),
    'net.batch_norm': Field('batch statistics over', 'str', choices=('global', 'device')),
    'net.options': Field('options of each backbone', 'open'),
    'mi.every': Field('epochs', 'int', 1, MANY),
    'mi.every_steps': Field('steps between evaluations; 0 = by epochs', 'int', 0, MANY),
    'mi.temperature': Field('of the cosine critic', 'float', 1e-6, 1e6),
    'mi.examples': Field('held-out examples; 0 = all', 'int', 0, MANY),
    'mi.batch_size': Field('examples encoded at a time', 'int', 1, MANY),
    'probe.online': Field('trains a linear probe alongside', 'bool'),
    'probe.at_end': Field('probes when training ends', 'bool', free=True),
    'probe.labels': Field("'all', '1%', '10%', 'N a class'", 'names', free=True),
    'probe.knn_neighbours': Field('neighbours that vote', 'int', 1, MANY, free=True),
    'probe.knn_temperature': Field('of kNN', 'float', 1e-6, 1e6, free=True),
    'checkpoint.minutes': Field('minutes between checkpoints', 'float', 0, MANY, free=True),
    'checkpoint.epochs': Field(
        'epochs between checkpoints; 0 = by time only', 'int', 0, MANY, free=True
    ),
    'checkpoint.keep': Field('number of recent checkpoints kept', 'int', 1, MANY, free=True),
    'checkpoint.best': Field(
        'figure that selects the best', 'str', choices=('mi', 'online_top1', 'none'), free=True
    ),
    'collapse.stop': Field(
        'after so many collapsed evaluations; 0 = never', 'int', 0, MANY, free=True
    ),
    'rollback.times': Field('roll-backs at most', 'int', 0, MANY, free=True),
    'rollback.factor': Field('factor on the learning rate', 'float', math.ulp(0.0), 1, free=True),
}

# Arguments that methods of this package share by name.
ARGUMENTS: dict[str, Field] = {
    'temperature': Field('of the critic', 'float', 1e-6, 1e6),
    'student_temperature': Field('', 'float', 1e-6, 1e6),
    'teacher_temperature': Field('', 'float', 1e-6, 1e6),
    'first_teacher_temperature': Field('', 'float', 1e-6, 1e6),
    'momentum': Field('EMA coefficient', 'float', 0, 1),
    'momentum_end': Field('EMA coefficient at the end of its cosine', 'float', 0, 1),
    'clip': Field("largest norm of a parameter's gradient; 0 = none", 'float', 0, 1e6),
    'loss_scale': Field('factor of the loss', 'float', math.ulp(0.0), 1e6),
    'centre_momentum': Field('EMA coefficient', 'float', 0, 1),
    'eigenvalue_momentum': Field('EMA coefficient', 'float', 0, 1),
    'decay': Field('of the running second moment', 'float', 0, 1),
    'queue_size': Field('embeddings; 0 = none', 'int', 0, MANY),
    'block_size': Field('rows of scores held at a time; 0 = all', 'int', 0, MANY),
    'prototypes': Field('', 'int', 1, MANY),
    'slice_size': Field('embeddings', 'int', 1, MANY),
    'iterations': Field('', 'int', 1, 10_000),
    'order': Field('of the series', 'int', 1, 10_000),
    'epsilon': Field('', 'float', math.ulp(0.0), 1e6),
    'redundancy_weight': Field('', 'float', 0, 1e6),
    'invariance_weight': Field('', 'float', 0, 1e6),
    'variance_weight': Field('', 'float', 0, 1e6),
    'covariance_weight': Field('', 'float', 0, 1e6),
    'marginal_weight': Field('', 'float', 0, 1e6),
}

# Fields and arguments that earlier versions did not have, with the value that is as it was then.
LATER: dict[str, Any] = {
    'optimizer': {'lars': {'eta': 1e-3, 'ratio': 'whole', 'clip': False, 'vectors': False}},
    'schedule': {'name': 'cosine', 'start': 0.0, 'final': 0.0, 'drops': (), 'drop_factor': 0.2},
}
LATER_ARGUMENTS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ('bgrl', 'byol', 'dino', 'mec', 'mmi', 'mocov1', 'mocov2', 'mocov3', 'tico'),
        {'momentum_end': 1.0},
    ),
    'barlow': {'loss_scale': 1.0},
    'jmi': {'critic': 'cosine'},
    'simclr': {'head_norm': True},
}

# What a field is called elsewhere.
SYNONYMS = {
    'learning_rate': 'lr',
    'base_lr': 'lr',
    'eta': 'lr',
    'max_epochs': 'epochs',
    'num_epochs': 'epochs',
    'n_epochs': 'epochs',
    'batchsize': 'batch_size',
    'bs': 'batch_size',
    'wd': 'weight_decay',
    'tau': 'method.temperature',
    'temperature': 'method.temperature',
    'optim': 'optimizer.name',
    'backbone': 'net.name',
    'encoder': 'net.name',
    'arch': 'net.name',
    'model': 'net.name',
    'dataset': 'data.name',
    'data_dir': 'data.dir',
    'num_workers': 'data.workers',
    'workers': 'data.workers',
    'augmentation': 'views.name',
    'warmup': 'warmup_epochs',
    'precision': 'net.dtype',
    'dtype': 'net.dtype',
    'gpus': 'devices',
    'num_seeds': 'seeds',
    'random_seed': 'seed',
    'projection': 'net.projector',
    'projector': 'net.projector',
    'predictor': 'net.predictor',
    'momentum': 'optimizer.momentum',
}


def nearest(name: str, known: Mapping[str, Any] | frozenset[str] | set[str] | list[str]) -> str:
    """'; did you mean ...?' with the field that a wrong name most likely means, '' without one."""
    *groups, last = name.split('.')
    meant = SYNONYMS.get(name.lower()) or (SYNONYMS.get(last.lower()) if groups else None)
    if meant not in known:
        meant = next(iter(difflib.get_close_matches(name, list(known), 1, cutoff=0.5)), None)
    return f"; did you mean '{meant}'?" if meant else ''


def free(name: str) -> bool:
    """Whether a run may be resumed with another value of this field."""
    return name in FIELDS and FIELDS[name].free


def complete(config: ConfigDict) -> None:
    """Give the configuration of a run that is older than some fields what it was trained with."""
    for name, field in FIELDS.items():
        group, _, last = name.rpartition('.')
        if field.began and group in config and last not in config[group]:
            config[group][last] = field.began


def begun(config: ConfigDict, kept: ConfigDict) -> dict[str, Any]:
    """Name -> value of the fields in which a run goes on as it began, where `config` has others."""
    return {
        name: value_of(kept, name)
        for name, field in FIELDS.items()
        if field.began and value_of(kept, name) != value_of(config, name)
    }


def decided(config: ConfigDict, dtype: str) -> ConfigDict:
    """The configuration with `dtype` in place of net.dtype='auto'. It is decided when a run is
    created, and kept in its config.json.
    """
    return changed(config, {'net.dtype': dtype} if config.net.dtype == 'auto' else {})


def changed(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """A copy with these values of fields; the configuration itself without any."""
    if not values:
        return config
    config = copy.deepcopy(config)
    config.update_from_flattened_dict(values)
    return config


def check(config: ConfigDict, where: str) -> None:
    """Refuse a configuration with wrong fields or values.

    Args:
        config: the configuration.
        where: the file or folder it is of.

    Raises:
        ValueError: a field that is missing or that nothing reads, or a value out of its range.
    """
    found = set(names(config))
    for name in sorted(found - set(FIELDS)):
        raise ValueError(
            f"{where}: nothing reads the field '{name}'{nearest(name, set(FIELDS) - found)}"
        )
    if found != set(FIELDS):
        raise ValueError(
            f'{where} lacks {", ".join(sorted(set(FIELDS) - found))}: see configs/base/common.py'
            ' for what they are and for the values that change nothing'
        )
    check_values(config)


def renewed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in today's form from one that an earlier version stored."""
    method = dict(stored['method'])
    if 'block_size' in method and method['block_size'] is None:
        method['block_size'] = 0
    method = {**LATER_ARGUMENTS.get(method.get('name'), {}), **method}
    return _with(LATER, {**stored, 'method': method})


def _with(absent: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, and those of `absent` that they lack, group by group."""
    found = {**absent, **values}
    for name, own in absent.items():
        if isinstance(own, Mapping) and name in values:
            found[name] = _with(own, values[name])
    return found


def check_values(config: ConfigDict) -> None:
    """Refuse a value of the wrong kind or out of its range. ValueError, in one line."""
    for name, field in FIELDS.items():
        _check_value(name, value_of(config, name), field)
    if ':' not in str(config.method.get('name', '')):  # a method of the user's own has its own
        for name, field in ARGUMENTS.items():
            if config.method.get(name) is not None:  # None is left to the method
                _check_value(f'method.{name}', config.method[name], field)


def value_of(config: ConfigDict, name: str) -> Any:
    """The value of a field by its dotted name."""
    for part in name.split('.'):
        config = config[part]
    return config


def _check_value(name: str, value: Any, field: Field) -> None:
    if field.choices:
        if value not in field.choices:
            *first, last = (f"'{choice}'" for choice in field.choices)
            raise ValueError(f"{name}='{value}': use {', '.join(first)} or {last}")
    elif field.kind in ('int', 'float'):
        _check_number(name, value, field)
    elif field.kind in LISTS:
        one, example = LISTS[field.kind]
        if not isinstance(value, (tuple, list)):
            raise ValueError(f'{name}={value!r}: use a tuple of {field.kind}, such as {example}')
        for number in value:
            _check_number(f'{one} of {name}', number, field._replace(kind='int'))


def _check_number(name: str, value: Any, field: Field) -> None:
    whole = field.kind == 'int'
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ValueError(f'{name}={value!r} must be a {"whole " * whole}number')
    if not math.isfinite(value):
        raise ValueError(f'{name}={value} must be finite')
    if value < field.least:
        bound = 'above 0' if field.least == math.ulp(0.0) else f'at least {field.least:g}'
        raise ValueError(f'{name}={value} must be {bound}')
    if value > field.most:
        raise ValueError(f'{name}={value} must be at most {field.most:,.10g}')


def names(config: ConfigDict, prefix: str = '') -> Iterator[str]:
    """Yield every field's dotted name; a group of free arguments counts as one field."""
    for name, value in config.items():
        path = f'{prefix}{name}'
        if isinstance(value, ConfigDict) and FIELDS.get(path, Field('', '')).kind != 'open':
            yield from names(value, f'{path}.')
        else:
            yield path


def text(config: ConfigDict, base: ConfigDict, *, mark: bool = True) -> str:
    """The configuration field by field, with its units.

    mark: with a star before what differs from `base`.
    """
    rows = []
    for name in FIELDS:
        value, default = value_of(config, name), value_of(base, name)
        inner = value.to_dict() if isinstance(value, ConfigDict) else None
        for path, shown, plain in _leaves(name, inner if inner is not None else value, default):
            unit = _unit(path)
            rows.append((f'{"*" if shown != plain else " "} {path}', _shown(shown), unit))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [
        f'{path:{widths[0]}}  {value:{min(widths[1], 40)}}  {unit}'.rstrip()
        for path, value, unit in rows
    ]
    legend = ['', '* differs from configs/base/common.py'] if mark else []
    return '\n'.join([*lines, *legend])


def _leaves(path: str, value: Any, default: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(value, Mapping):
        known = default.to_dict() if isinstance(default, ConfigDict) else default
        for name, own in value.items():
            other = known.get(name) if isinstance(known, Mapping) else None
            yield from _leaves(f'{path}.{name}', own, other)
    else:
        yield path, value, default


def _unit(path: str) -> str:
    field = FIELDS.get(path) or (
        ARGUMENTS.get(path.removeprefix('method.')) if path.startswith('method.') else None
    )
    if field is None:
        return ''
    return ', '.join(filter(None, [field.unit, ' | '.join(field.choices)]))


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
