"""python launch/sweep.py FILE [--method=M] [--config.FIELD=VALUE] [--dry_run]; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # also where the package is not installed

from mi_ssl_jax import cli
from mi_ssl_jax.sweep.__main__ import main

sys.exit(cli.guard(main))
