"""A configuration is held to the table of its fields (`fields`), and shown with their units.

Nothing here needs JAX, so a wrong value is refused before anything is loaded.
"""

import copy
import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from mi_ssl_jax.experiment.fields import (
    ARGUMENTS,
    BELOW_ONE,
    FIELDS,
    LATER,
    LATER_ARGUMENTS,
    OPTIONS,
    SYNONYMS,
    Field,
)


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean ...?' with the field that a wrong name most likely means, '' without one."""
    known = set(known)
    leaves = [field for field in sorted(known) if not any(k.startswith(f'{field}.') for k in known)]
    *groups, last = name.lower().split('.')
    for meant in (SYNONYMS.get(name.lower()), SYNONYMS.get(last) if groups else None):
        if meant in known or (meant or '').startswith('--'):
            return f"; did you mean '{meant}'?"
    same = [field for field in leaves if last in (field, field.rpartition('.')[2])]
    near = same or difflib.get_close_matches(name.lower().replace('_', '.'), leaves, 1, cutoff=0.7)
    near = near or difflib.get_close_matches(name.lower(), leaves, 1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ''


def open_groups() -> list[str]:
    """The groups whose fields are the arguments of what another field names."""
    return [name for name, field in FIELDS.items() if field.kind == 'open']


def free(name: str) -> bool:
    """Whether a run may be resumed with another value of this field."""
    return name in FIELDS and FIELDS[name].free


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
    if not isinstance(config, ConfigDict):
        raise ValueError(f'{where} gives {type(config).__name__} in the place of a ConfigDict')
    found = set(names(config))
    for name in sorted(found - set(FIELDS)):
        inner = next((field for field in FIELDS if field.startswith(f'{name}.')), None)
        if inner:
            raise ValueError(f"{where}: '{name}' must be a group of fields, such as '{inner}'")
        raise ValueError(
            f"{where}: nothing reads the field '{name}'{nearest(name, set(FIELDS) - found)}"
        )
    if found != set(FIELDS):
        lacking = sorted(set(FIELDS) - found)
        some = ', '.join(lacking[:5]) + f' and {len(lacking) - 5} more' * (len(lacking) > 5)
        raise ValueError(
            f'{where} lacks {some}: see configs/base/common.py for what they are and for the'
            ' values that change nothing'
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
        check_value(name, value_of(config, name), field)
    last = config.seed + config.seeds - 1
    if last > FIELDS['seed'].most:
        raise ValueError(
            f'seed={config.seed} and seeds={config.seeds} count up to {last:,}: seeds end at'
            f' {FIELDS["seed"].most:,}'
        )
    if ':' not in str(config.method.get('name', '')):  # a method of the user's own has its own
        _check_group('method', config.method, ARGUMENTS)
    for name, options in config.net.options.items():
        if ':' not in name:
            check_value(f'net.options.{name}', options, Field('', 'open'))
            _check_group(f'net.options.{name}', options, OPTIONS)
    _check_group('data.options', config.data.options, OPTIONS)
    if ':' not in config.views.name:
        _check_group('views.options', config.views.options, OPTIONS)


def value_of(config: ConfigDict, name: str) -> Any:
    """The value of a field by its dotted name."""
    for part in name.split('.'):
        config = config[part]
    return config


def _check_group(group: str, values: ConfigDict, fields: Mapping[str, Field]) -> None:
    for name, field in fields.items():
        if values.get(name) is not None:  # None is left to whatever reads it
            check_value(f'{group}.{name}', values[name], field)


def check_value(name: str, value: Any, field: Field) -> None:
    """Refuse a value that a field does not accept. name: what it is called in the message.
    ValueError, in one line.
    """
    kinds = {'bool': (bool, 'True or False'), 'str': (str, 'text'), 'open': (ConfigDict, 'a group')}
    if field.choices and field.kind == 'str':
        if value not in field.choices:
            *first, last = (f"'{choice}'" for choice in field.choices)
            raise ValueError(f"{name}='{value}': use {', '.join(first)} or {last}")
    elif field.kind in kinds:
        kind, words = kinds[field.kind]
        if not isinstance(value, kind):
            raise ValueError(f'{name}={value!r} must be {words}')
    elif field.kind in ('int', 'float'):
        _check_number(name, value, field)
    else:
        _check_several(name, value, field)


def _check_several(name: str, values: Any, field: Field) -> None:
    form = {
        'widths': '(2048, 128)',
        'numbers': '(0.1, 0.2)',
        'names': "('all', '10%')",
        'epochs': '(150, 175)',
    }[field.kind]
    if not isinstance(values, (tuple, list)):
        raise ValueError(f'{name}={values!r} must be a tuple, such as {form}')
    if field.kind == 'names':
        unknown = [own for own in values if field.choices and own not in field.choices]
        if unknown:
            known = ', '.join(field.choices)
            raise ValueError(f"{name}: '{unknown[0]}' is none of {known}")
        return  # others are checked with what they name
    if not values and name not in FIELDS:
        raise ValueError(f'{name}={values!r} is empty: use a tuple, such as {form}')
    for value in values:
        if isinstance(value, str):
            raise ValueError(f'{name}={value!r} must be a tuple of numbers, such as {form}')
        what = {'widths': 'a width', 'epochs': 'an epoch'}.get(field.kind, 'a number')
        kind = 'float' if field.kind == 'numbers' else 'int'
        _check_number(f'{what} of {name}', value, field._replace(kind=kind))


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
        bound = 'below 1' if field.most == BELOW_ONE else f'at most {field.most:,.10g}'
        raise ValueError(f'{name}={value} must be {bound}')


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
    group, _, last = path.rpartition('.')
    own = ARGUMENTS if group == 'method' else OPTIONS if '.options' in group else {}
    field = FIELDS.get(path) or own.get(last)
    return '' if field is None else ', '.join(filter(None, [field.unit, ' | '.join(field.choices)]))


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
