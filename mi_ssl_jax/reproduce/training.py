"""Running configurations by name, for the experiments of the paper."""

import importlib
from pathlib import Path

from ml_collections import ConfigDict

from mi_ssl_jax.runs import run


def config(name: str) -> ConfigDict:
    """configs/<name>.py's configuration. ValueError outside the repository's root."""
    try:
        return importlib.import_module(f'configs.{name}').get_config()
    except ModuleNotFoundError as error:
        raise ValueError(
            f'no configs/{name}.py here: run this command from the repository root'
        ) from error


def train(configuration: ConfigDict, workdir: Path) -> Path:
    """Train, or resume, or notice that it is done. Returns the folder."""
    run.run(configuration, workdir)
    return workdir
