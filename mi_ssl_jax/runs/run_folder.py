"""A run's folder: who holds it, whose configuration it is of, and the small files that describe the
run.
"""

import contextlib
import fcntl
import importlib.metadata
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
from ml_collections import ConfigDict

from mi_ssl_jax import parallel
from mi_ssl_jax.experiment import schema
from mi_ssl_jax.figures import run_files
from mi_ssl_jax.runs.log import plain

DATA = 'data.json'  # what the networks must know of the data, see experiment.inputs.describe
PACKAGES = (
    'jax',
    'jaxlib',
    'flax',
    'optax',
    'orbax-checkpoint',
    'tensorflow-datasets',
    'ml_collections',
    'chex',
    'numpy',
)


class InUse(ValueError):
    """Another process holds the folder."""


@contextlib.contextmanager
def claim(workdir: Path) -> Iterator[None]:
    """Make the folder and hold it: a second process in it is refused. One made here goes again if
    nothing came of it.
    """
    made = not workdir.exists()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = open(workdir / '.lock', 'w')
    except OSError as error:
        raise ValueError(
            f'cannot write to workdir {workdir}: {error.strerror}; choose another with --workdir'
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InUse(
                f'workdir {workdir} is in use by another process; choose another with --workdir'
            ) from error
        try:
            yield
        finally:
            if made and os.listdir(workdir) == ['.lock']:
                shutil.rmtree(workdir)


def check_same(
    config: ConfigDict, workdir: Path, *, force: bool, say: Callable[[str], None]
) -> None:
    """ValueError, with the fields that differ, when the folder holds a run of another
    configuration; with force, a line says so instead.
    """
    if not (workdir / 'config.json').exists():
        return
    kept = _kept(workdir)
    config = schema.decided(config, kept.net.dtype)
    here, there = _flat(resolved(config)), _flat(resolved(kept))
    names = sorted(
        name
        for name in set(here) | set(there)
        if here.get(name) != there.get(name) and not schema.free(name)
    )
    if not names:
        return
    listed = ', '.join(f'{name} ({there.get(name)} there, {here.get(name)} here)' for name in names)
    if not force:
        raise ValueError(
            f'workdir {workdir} belongs to another configuration: {listed}; choose another with'
            ' --workdir, or continue with this configuration by --force'
        )
    say(f'continuing in {workdir} with another configuration: {listed}')


def begun(config: ConfigDict, workdir: Path, *, say: Callable[[str], None]) -> dict[str, str]:
    """Name -> value of the fields in which the folder's run goes on as it began, told where
    `config` has others.
    """
    if not (workdir / 'config.json').exists():
        return {}
    kept = _kept(workdir)
    found = schema.begun(config, kept)
    for name, value in found.items():
        say(f"continuing in {workdir} with {name}='{value}', as the run began")
    return found | ({'net.dtype': kept.net.dtype} if config.net.dtype == 'auto' else {})


def keep_config(config: ConfigDict, workdir: Path) -> None:
    """Write config.json; one of another content that was there stays as config-0.json,
    config-1.json, ...
    """
    path, value = workdir / 'config.json', resolved(config)
    if path.exists() and json.loads(path.read_text()) != value:
        number = next(
            number
            for number in itertools.count()
            if not (workdir / f'config-{number}.json').exists()
        )
        shutil.copyfile(path, workdir / f'config-{number}.json')
    write_json(path, value)


def resolved(config: ConfigDict) -> dict:
    """The configuration as config.json holds it."""
    return plain(json.loads(config.to_json()))


def _flat(tree: dict, prefix: str = '') -> dict:
    found = {}
    for key, value in tree.items():
        found.update(
            _flat(value, f'{prefix}{key}.')
            if isinstance(value, dict)
            else {f'{prefix}{key}': value}
        )
    return found


def environment(layout: parallel.Layout) -> dict:
    """Versions, device, mode and git commit: what a number depends on beside its configuration."""
    folder = Path(__file__).parent
    git = subprocess.run(
        ['git', 'rev-parse', 'HEAD'], cwd=folder, capture_output=True, text=True, check=False
    )
    return {
        'python': platform.python_version(),
        'packages': {name: importlib.metadata.version(name) for name in PACKAGES},
        'devices': [device.device_kind for device in layout.devices],
        'platform': jax.default_backend(),
        'processes': jax.process_count(),
        'mode': layout.mode,
        'xla_flags': os.environ.get('XLA_FLAGS', ''),
        'commit': git.stdout.strip() if git.returncode == 0 else 'unknown',
        'argv': sys.argv,
    }


def write_json(path: Path, value) -> None:
    """Write a JSON file whole or not at all."""
    scratch = path.with_suffix('.tmp')
    with open(scratch, 'w') as file:
        file.write(json.dumps(plain(value), indent=1) + '\n')
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def read_config(workdir: Path) -> ConfigDict:
    """The configuration of a run. ValueError when the folder holds none, or one of another version
    of the project.
    """
    config = _kept(workdir)
    schema.check(config, str(workdir / 'config.json'))
    return config


def _kept(workdir: Path) -> ConfigDict:
    path = workdir / 'config.json'
    if not path.exists():
        raise ValueError(f'{workdir} is not the folder of a run: it has no config.json')
    stored = run_files.json_value(path, dict, run_files.CONFIG_REMEDY)
    try:
        return ConfigDict(schema.renewed(stored), type_safe=False)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is damaged ({error}): {run_files.CONFIG_REMEDY}') from error
