"""Weights & Biases, for who wants it: config.wandb names the project; pip install
'mi_ssl_jax[wandb]'.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mi_ssl_jax.runs.log import plain, scalars


class Tracker:
    """Sends every log point to a wandb run that a resumed run goes on with; does nothing without
    config.wandb.
    """

    def __init__(self, config: ConfigDict, workdir: Path):
        self._run = None
        if config.wandb:
            # One id a folder: what a resumed run sends again replaces what it sent before.
            own = hashlib.sha256(str(workdir.absolute()).encode()).hexdigest()[:16]
            self._run = _library().init(
                project=config.wandb,
                id=own,
                resume='allow',
                name=workdir.name,
                dir=str(workdir),
                config=json.loads(config.to_json()),
            )

    def write(self, line: Mapping[str, Any], *, step: int) -> None:
        """One log point: the mean over seeds of each number."""
        if self._run is not None:
            self._run.log({'epoch': line['epoch'], **dict(scalars(plain(line)))}, step=step)

    def close(self) -> None:
        """End the run."""
        if self._run is not None:
            self._run.finish()


def check(config: ConfigDict) -> None:
    """ValueError when config.wandb asks for a library that is not there."""
    if config.wandb:
        _library()


def _library() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise ValueError(
            f"wandb is not installed: pip install 'mi_ssl_jax[wandb]', or set wandb='' ({error})"
        ) from error
    return wandb
