"""Train one configuration: python -m mi_ssl_jax.main --config=configs/sdmi_gaussian.py [--workdir=DIR] [--config.lr=0.1]

--list prints the methods with their place in the paper's Table 7.
"""

import difflib
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from mi_ssl_jax import cli

FLAGS = flags.FLAGS
_CONFIG = config_flags.DEFINE_config_file('config', None, 'A file in configs/.')
_WORKDIR = flags.DEFINE_string('workdir', None, "The run's folder; default runs/<config>, with overrides runs/<config>-<hash>.")
_LIST = flags.DEFINE_bool('list', False, 'Print the methods and end.')


def main() -> int:
    """Exit status: 0 done, 3 a loss that is not finite, 128 + n stopped by signal n with a checkpoint."""
    argv = sys.argv
    _parse(argv)
    if _LIST.value:
        from mi_ssl_jax import table7
        print(table7.text())
        return 0
    if _CONFIG.value is None:
        raise ValueError('no configuration: give --config=configs/NAME.py')
    from mi_ssl_jax import finish, run
    from mi_ssl_jax.train import loop
    workdir = Path(_WORKDIR.value or default_workdir(argv))
    try:
        finish.finish(run.run(_CONFIG.value, workdir), workdir)
    except loop.Diverged as error:
        print(f'error: {error}', file=sys.stderr)
        return cli.DIVERGED
    except run.Interrupted as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.signal
    return 0


def default_workdir(argv: Sequence[str]) -> str:
    """runs/<config>, and a hash of the overridden fields behind it when there are any."""
    overrides = sorted(word for word in _words(argv) if word.startswith('config.'))
    stem = Path(_config_path(argv)).stem
    return f'runs/{stem}' + (f'-{hashlib.sha256(repr(overrides).encode()).hexdigest()[:8]}' if overrides else '')


def _words(argv: Sequence[str]) -> list[str]:
    """Arguments as 'name=value', whether they were given in one word or in two."""
    words = []
    for word in argv[1:]:
        if word.startswith('-'):
            words.append(word.lstrip('-'))
        elif words:
            words[-1] += f'={word}'
    return words


def _config_path(argv: Sequence[str]) -> str | None:
    return next((word.partition('=')[2] for word in _words(argv) if word.startswith('config=')), None)


def _parse(argv: Sequence[str]) -> None:
    path = _config_path(argv)
    if path is not None and not os.path.isfile(path):
        near = difflib.get_close_matches(path, map(str, Path('configs').glob('*.py')), 1)
        raise ValueError(f'no configuration {path}' + (f'; did you mean {near[0]}?' if near else ''))
    try:
        rest = FLAGS(list(argv))[1:]
    except Exception as error:  # config_flags lets errors of many kinds through
        raise ValueError(_explain(error, argv)) from error
    if rest:
        raise ValueError(f"unexpected argument '{rest[0]}'; options start with --")


def _explain(error: Exception, argv: Sequence[str]) -> str:
    """One line for a flag that cannot be parsed, with the nearest right name for a misspelt field."""
    fields = _fields(argv)
    for word in _words(argv):
        name = word.partition('=')[0].removeprefix('config.')
        if word.startswith('config.') and fields and name not in fields:
            near = difflib.get_close_matches(name, fields, 1, cutoff=0.4)
            return f"no config field '{name}'" + (f"; did you mean '{near[0]}'?" if near else '')
    return re.sub(r'\s+', ' ', f'{error}')


def _fields(argv: Sequence[str]) -> list[str]:
    """The fields of the configuration file, read without the overrides."""
    own = flags.FlagValues()
    holder = config_flags.DEFINE_config_file('config', None, '', flag_values=own)
    try:
        own([argv[0], f'--config={_config_path(argv)}'])
    except Exception:  # the file itself is what is wrong: the first error says how
        return []
    return list(_paths(holder.value))


def _paths(config: ConfigDict, prefix: str = ''):
    for name, value in config.items():
        yield f'{prefix}{name}'
        if isinstance(value, ConfigDict):
            yield from _paths(value, f'{prefix}{name}.')


if __name__ == '__main__':
    sys.exit(cli.guard(main))
