"""TFDS data sets in ArrayRecord, written and found without TensorFlow.

Sets are written shard by shard, in the order their file gives: TFDS's shuffling needs TensorFlow
above 1 GB.
"""

import contextlib
import fcntl
import functools
import importlib
import io
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

from mi_ssl_jax.data import faults

_ORIGIN = 'source.json'  # beside the records
Shard = Callable[[], Iterator[tuple[int, dict[str, Any]]]]  # yields (key, example)


class Spec(NamedTuple):
    """The description that TFDS needs to write a data set.

    features: function of the tensorflow_datasets module (it is imported late) ->
    tfds.features.FeaturesDict.
    shards: split name -> one generator function a record file.
    finish: called when all records are written; when it raises, none of them is kept.
    origin: by what the source is known again, see `origin`; None where there is none.
    """

    name: str
    version: str
    description: str
    homepage: str
    citation: str
    features: Callable[[Any], Any]
    shards: Mapping[str, Sequence[Shard]]
    finish: Callable[[], None]
    origin: Mapping[str, str] | None = None


@functools.cache
def tfds():
    """The tensorflow_datasets module (0.7 s to import, hence only when records are read or
    written).
    """
    with quiet():
        return importlib.import_module('tensorflow_datasets')


@contextlib.contextmanager
def quiet():
    """Keeps TFDS's progress bars and log lines off the terminal; its errors still raise."""
    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(level)


def root(data_dir: str | os.PathLike | None) -> Path:
    """The folder that holds all data sets: `data_dir`, else TFDS_DATA_DIR, else
    ~/tensorflow_datasets.
    """
    return Path(data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets').expanduser()


def write(spec: Spec, data_dir: str | os.PathLike | None) -> Path:
    """Writes `spec` into the data folder unless it is there, and returns its folder
    ROOT/NAME/VERSION.

    The records are made in a folder beside the final one and renamed when complete: no reader sees
    a part.
    Two processes that start together: the second waits for the first and uses what that one wrote.
    Raises ValueError when the folder cannot be written.
    """
    home = root(data_dir) / spec.name
    target = home / spec.version
    if (target / 'dataset_info.json').exists():
        return target
    with _locked(home):
        if not (target / 'dataset_info.json').exists():
            _write_and_rename(spec, home, target)
    return target


@contextlib.contextmanager
def _locked(home: Path):
    """Holds the lock of one data set's folder; waits for another process that holds it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = open(home / '.lock', 'w')
    except OSError as error:
        raise ValueError(
            f'cannot write data into {home} ({error.strerror}): choose a writable folder by '
            '--config.data.dir (prepare: --data_dir) or TFDS_DATA_DIR'
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_and_rename(spec: Spec, home: Path, target: Path) -> None:
    prefix = (  # a lock may not reach other hosts of a shared file system
        f'incomplete.{socket.gethostname()}.'
    )
    for stale in home.glob(prefix + '*'):
        shutil.rmtree(stale, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=home))
    try:
        with (
            quiet(),
            contextlib.redirect_stdout(io.StringIO()),
        ):  # TFDS announces "downloading" by print
            builder = _builder(spec)(data_dir=scratch, file_format='array_record')
            builder.download_and_prepare()
        spec.finish()
        if spec.origin is not None:
            (Path(builder.data_dir) / _ORIGIN).write_text(json.dumps(spec.origin))
        os.rename(builder.data_dir, target)
    except OSError:
        if not (
            target / 'dataset_info.json'
        ).exists():  # else another host was first: its copy is as good
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _builder(spec: Spec):
    """The TFDS builder class of `spec`, kept out of TFDS's registry, where a name can stand only
    once.
    """
    module = tfds()

    class Info(module.core.DatasetInfo):
        def initialize_from_bucket(self):
            """Asks no server for known sizes; TFDS's own method leaves an empty temporary folder,
            too.
            """

    with module.core.registered.skip_registration():

        class Builder(module.core.ShardBasedBuilder):
            name = spec.name
            VERSION = module.core.Version(spec.version)

            def _info(self):
                return Info(
                    builder=self,
                    features=spec.features(module),
                    disable_shuffling=True,
                    description=spec.description,
                    homepage=spec.homepage,
                    citation=spec.citation,
                )

            def _shard_iterators_per_split(self, dl_manager):
                return spec.shards

    return Builder


def origin(folder: Path) -> dict[str, str] | None:
    """'source' and 'digest' of what a prepared set was made from; None if it does not say."""
    try:
        stored = json.loads((folder / _ORIGIN).read_text())
        return {key: str(stored[key]) for key in ('source', 'digest')}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def may_differ(folder: Path, given: str | None) -> bool:
    """Whether a source that is given may be another than the one a prepared set was made from."""
    stored = origin(folder)
    if stored is None or given is None:
        return False
    place = Path(given).expanduser()
    return place.exists() or os.path.abspath(place) != stored['source']


def already(name: str, folder: Path) -> str:
    """Return the note that a set is prepared already, and from which source."""
    stored = origin(folder)
    source = f'from {faults.shown(stored["source"])}' if stored else 'it does not say from what'
    return (
        f'{name} is prepared already: {folder}, {source} (remove that folder to prepare it again)'
    )


def check_origin(name: str, folder: Path, given: Mapping[str, str]) -> None:
    """Raises ValueError when a prepared set was made from another source than the given one."""
    stored = origin(folder)
    if stored is None or stored['digest'] == given['digest']:
        return
    same = stored['source'] == given['source']
    other = 'what this source was then' if same else f'another source, {stored["source"]}'
    raise ValueError(
        f'{name} in {folder} was prepared from {other}: remove that folder to prepare it again, or'
        ' give another --data_dir'
    )


def info(folder: Path, remedy: str) -> dict[str, Any]:
    """The contents of a prepared set's dataset_info.json. remedy: what to do if it is damaged."""
    file = folder / 'dataset_info.json'
    with faults.reading(file, f': it is damaged; {remedy}'):
        stored = json.loads(file.read_text())
        if not isinstance(stored, dict):
            raise ValueError('it holds no description')
    return stored


def opened(folder: Path, remedy: str):
    """The TFDS builder of a prepared set. remedy: what to do if its description is damaged."""
    info(folder, remedy)
    with faults.reading(folder, f': its description is damaged; {remedy}'), quiet():
        builder = tfds().builder_from_directory(folder, file_format='array_record')
        builder.info.features, builder.info.splits  # noqa: B018  both are read late
    return builder


def source(builder: Any, split: str, remedy: str, **options) -> Sequence[dict[str, Any]]:
    """The examples of one split. Each of its files has to hold as many as its description says."""
    stored = builder.info.splits[split]
    reader = importlib.import_module('array_record.python.array_record_module').ArrayRecordReader
    for path, count in zip(stored.filepaths, stored.shard_lengths, strict=True):
        with faults.reading(path, f': it is damaged; {remedy}'):
            file = reader(str(path), options='readahead_buffer_size:0')
            held = file.num_records()
            file.close()
            if held != count:
                raise ValueError(f'it holds {held:,} records, not {count:,}')
    with faults.reading(builder.info.data_dir, f'; {remedy}'), quiet():
        return builder.as_data_source(split, **options)


def read(folder: Path, split: str) -> Sequence[dict[str, Any]]:
    """Read all decoded examples of one split of a prepared data set, in the order of the records.

    Raises ValueError, naming the folder or file, for a damaged set.
    """
    remedy = f'remove the folder {folder} and prepare it again'
    builder = opened(folder, remedy)
    with faults.reading(f'{folder}, {split}', f'; {remedy}'):
        if split not in builder.info.splits:
            raise ValueError(f'it has no split {split}')
    examples = source(builder, split, remedy)
    with faults.reading(f'{folder}, {split}', f': it is damaged; {remedy}'), quiet():
        return examples.__getitems__(range(len(examples)))
