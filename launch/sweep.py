"""python launch/sweep.py FILE [--method=M] [--config.FIELD=VALUE] [--dry_run]; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # also where the package is not installed

from mi_ssl_jax.cli import guard
from mi_ssl_jax.sweep.__main__ import main

sys.exit(guard.guard(main))
