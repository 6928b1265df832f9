"""Configurations on the command line (--config=configs/NAME.py --config.lr=0.1); wrong ones
explained.
"""

import difflib
import hashlib
import importlib.machinery
import importlib.util
import os
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections import config_flags as ml_flags

from mi_ssl_jax.core import plugins
from mi_ssl_jax.experiment import schema

KINDS = {  # how the error of a flag's type begins: what the flag takes
    'invalid literal for int': 'a whole number',
    'could not convert string to float': 'a number',
    "('Non-boolean": 'True or False',
    'Error while parsing string': 'a tuple, such as "(64, 3)" or "(\'all\', \'10%\')"',
}


def words(argv: Sequence[str]) -> list[str]:
    """Arguments as 'name=value', whether they were given in one word or in two."""
    found = []
    for word in argv[1:]:
        if word.startswith('-'):
            found.append(word.lstrip('-'))
        elif found and '=' not in found[-1]:
            found[-1] += f'={word}'
    return found


def path(argv: Sequence[str], flag: str = 'config') -> str | None:
    """The configuration file that `flag` names, None without one."""
    return next(
        (word.partition('=')[2] for word in words(argv) if word.startswith(f'{flag}=')), None
    )


def default_workdir(argv: Sequence[str]) -> str:
    """runs/<config>, and a hash of the overridden fields behind it when there are any."""
    overrides = sorted(word for word in words(argv) if word.startswith('config.'))
    stem = Path(path(argv)).stem
    return f'runs/{stem}' + (
        f'-{hashlib.sha256(repr(overrides).encode()).hexdigest()[:8]}' if overrides else ''
    )


def parse(
    values: flags.FlagValues,
    argv: Sequence[str],
    *,
    usage: str,
    files: Sequence[str] = ('config',),
) -> None:
    """Parse the command line into `values`.

    usage: what --help prints above the flags. files: the flags that name configuration files.
    ValueError, in one line, for a file that is missing or lacks a field, and for a flag, field or
    value that is wrong.
    """
    if {'--help', '--helpfull', '-h'} & set(argv):
        print(usage.strip(), values.main_module_help(), sep='\n')
        print(_help(argv, files))
        raise SystemExit(0)
    for flag in files:
        file = path(argv, flag)
        if file is not None and not os.path.isfile(file):
            near = difflib.get_close_matches(file, map(str, Path('configs').glob('*.py')), 1)
            hint = f'; did you mean {near[0]}?' if near else ': give configs/NAME.py'
            raise ValueError(f'no configuration {file}{hint}')
        if file is not None:
            schema.check(read(file), file)
    try:
        rest = values(list(argv))[1:]
    except Exception as error:  # ml_collections lets errors of many kinds through
        raise ValueError(_explain(error, argv, files)) from error
    if rest:
        raise ValueError(f"unexpected argument '{rest[0]}'; options start with --")
    for flag in files:
        if values[flag].value is not None:
            schema.check(values[flag].value, path(argv, flag))


def read(file: str) -> Any:
    """What get_config() of a Python file gives. ValueError, in one line, where there is none or it
    fails.
    """
    found = module(file)
    if not callable(getattr(found, 'get_config', None)):
        raise ValueError(f'{file} defines no get_config(): it is not the configuration of a run')
    try:
        return found.get_config()
    except Exception as error:  # whatever the file does wrong
        raise ValueError(f'{file} fails: {plugins.in_words(error)}') from error


def module(file: str) -> types.ModuleType:
    """A file as a module. ValueError, in one line, where it is not Python or fails."""
    loader = importlib.machinery.SourceFileLoader(Path(file).stem, file)
    found = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    try:
        loader.exec_module(found)
    except (Exception, SystemExit) as error:
        if isinstance(error, (SyntaxError, UnicodeDecodeError)):
            line = getattr(error, 'lineno', None)
            at = f' (line {line})' if line else ''
            raise ValueError(
                f'{file} is not a Python file{at}: give one such as those of configs/'
            ) from error
        if isinstance(error, ModuleNotFoundError) and error.name == 'configs':
            raise ValueError(
                f'{file} imports configs/, which is not here: run the command from the checkout, or'
                ' put the checkout on PYTHONPATH'
            ) from error
        raise ValueError(f'{file} fails: {plugins.in_words(error)}') from error
    return found


def show(config: ConfigDict | None) -> int:
    """Print a resolved configuration, or without one the methods."""
    if importlib.util.find_spec('configs') is None:
        raise ValueError('there is no configs/ here: run the command from the checkout')
    if config is None:
        from configs.base import methods as values
        from mi_ssl_jax.experiment import build  # imports JAX
        from mi_ssl_jax.methods import table7

        print(table7.text(lambda name: build.method_arguments(values.arguments(name))))
    else:
        from configs.base import common

        print(schema.text(config, common.base()))
    return 0


def _explain(error: Exception, argv: Sequence[str], files: Sequence[str]) -> str:
    """One line for a flag that cannot be parsed, with the nearest right name for a misspelt
    field.
    """
    found = re.sub(r'\s+', ' ', f'{error}')
    for flag in files:
        known = _fields(argv, flag)
        for word in words(argv):
            name, _, value = word.partition('=')
            name = name.removeprefix(f'{flag}.')
            if word.startswith(f'{flag}.') and known and name not in known:
                return f"no {flag} field '{name}'{_instead(name, known, argv, flag)}"
            if word.startswith(f'{flag}.') and value.startswith(f'--{flag}'):
                return f'--{flag}.{name} needs a value, as in --{flag}.{name}=VALUE'
        for name in known:
            if f"'{name}'" in found.partition(';')[0] and f"flag '{name}'" in found:
                return f'{found}; fields are set by --{flag}.{name}=VALUE'
    given = re.match(r'flag --([\w.]+)=(.*?): (.*)', found)
    if given is None:
        return found
    name, value, reason = given.groups()
    for start, kind in KINDS.items():
        if reason.startswith(start):
            return f"--{name}='{value}' must be {kind}"
    for flag in files:
        field, known = name.removeprefix(f'{flag}.'), _fields(argv, flag)
        inner = sorted(
            (k for k in known if k.startswith(f'{field}.')), key=lambda k: not k.endswith('.name')
        )
        if inner:
            return (
                f"'{field}' is a group of fields: set one of them, such as --{flag}.{inner[0]}=..."
            )
        if field in known and 'ConfigDict' in reason:
            return f"'{field}' is a group of options: set them in {path(argv, flag)}"
    return found


def _instead(name: str, known: Sequence[str], argv: Sequence[str], flag: str) -> str:
    """What to do about a field that there is not."""
    group = next((k for k in schema.open_groups() if name.startswith(f'{k}.')), None)
    if group is None or group == 'method':
        return schema.nearest(name, known)
    own = [field for field in known if field.startswith(f'{group}.')]
    near = difflib.get_close_matches(name, own, 1, cutoff=0.9)
    if near:
        return f"; did you mean '{near[0]}'?"
    has = ', '.join(own) or f'nothing in {group}'
    return f'; {path(argv, flag)} has {has}: add others there'


def _help(argv: Sequence[str], files: Sequence[str]) -> str:
    """The fields of the configuration that is named, with their values and units."""
    config = _alone(argv, files[0])
    if config is None:
        return f'--{files[0]}=configs/NAME.py --help lists the fields too, with their units.'
    return f'Fields, set by --{files[0]}.FIELD=VALUE:\n{schema.text(config, config, mark=False)}'


def _fields(argv: Sequence[str], flag: str) -> list[str]:
    """The fields of a configuration file, read without the overrides."""
    config = _alone(argv, flag)
    return [] if config is None else list(_paths(config))


def _alone(argv: Sequence[str], flag: str) -> ConfigDict | None:
    """The configuration of a file without the overrides; None where there is none to read."""
    own, file = flags.FlagValues(), path(argv, flag)
    if file is None:
        return None
    alone = [argv[0], f'--{flag}={file}']
    holder = ml_flags.DEFINE_config_file(flag, None, '', flag_values=own, sys_argv=alone)
    try:
        own(alone)
    except Exception:  # the file itself is what is wrong: the first error says how
        return None
    return holder.value


def _paths(config: ConfigDict, prefix: str = '') -> Iterator[str]:
    for name, value in config.items():
        yield f'{prefix}{name}'
        if isinstance(value, ConfigDict):
            yield from _paths(value, f'{prefix}{name}.')
