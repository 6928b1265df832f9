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
        """ValueError, in one line, when wandb cannot begin: nobody is logged in, or no network."""
        self._run = None
        if config.wandb:
            library = _library()
            # One id a folder, by which a resumed run is known.
            own = hashlib.sha256(str(workdir.absolute()).encode()).hexdigest()[:16]
            try:
                self._run = library.init(
                    project=config.wandb,
                    id=own,
                    resume='allow',
                    name=workdir.name,
                    dir=str(workdir),
                    config=json.loads(config.to_json()),
                )
            except library.Error as error:
                why = next(iter(str(error).splitlines()), type(error).__name__)
                raise ValueError(
                    f'wandb cannot begin ({why}): set WANDB_MODE=offline in the environment, or'
                    " wandb=''"
                ) from error
            # wandb's own steps must grow, or it drops the point; after a roll-back ours begin anew.
            self._run.define_metric('step')
            self._run.define_metric('*', step_metric='step')

    def write(self, line: Mapping[str, Any], *, step: int) -> None:
        """One log point: the mean over seeds of each number."""
        if self._run is not None:
            own = {'epoch': line['epoch'], 'step': step}
            self._run.log({**own, **dict(scalars(plain(line)))})

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
