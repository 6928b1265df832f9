"""Train one configuration: python -m mi_ssl_jax.main --config=configs/sdmi_gaussian.py [--workdir=DIR] [--config.lr=0.1]

--list prints the methods with their place in the paper's Table 7.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags as ml_flags

from mi_ssl_jax import cli, config_flags

_CONFIG = ml_flags.DEFINE_config_file('config', None, 'A file in configs/.')
_WORKDIR = flags.DEFINE_string('workdir', None, "The run's folder; default runs/<config>, with overrides runs/<config>-<hash>.")
_LIST = flags.DEFINE_bool('list', False, 'Print the methods and end.')


def main() -> int:
    """Exit status: 0 done, 3 a loss that is not finite, 128 + n stopped by signal n with a checkpoint."""
    argv = sys.argv
    config_flags.parse(flags.FLAGS, argv, usage=__doc__)
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
    overrides = sorted(word for word in config_flags.words(argv) if word.startswith('config.'))
    stem = Path(config_flags.path(argv)).stem
    return f'runs/{stem}' + (f'-{hashlib.sha256(repr(overrides).encode()).hexdigest()[:8]}' if overrides else '')


if __name__ == '__main__':
    sys.exit(cli.guard(main))
