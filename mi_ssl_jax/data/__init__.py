"""Data sets by name: `load('gaussian', data_dir)` holds one in memory, `stream` reads it while it
is used.
"""

import importlib
import inspect

import numpy as np

from mi_ssl_jax.data import in_memory, on_disk, statistics, streamed
from mi_ssl_jax.data.in_memory import available_memory
from mi_ssl_jax.data.splits import (
    Resident,
    Split,
    few_labels,
    label_sets,
    labelled,
    subset,
)

__all__ = [
    'Resident',
    'Split',
    'available_memory',
    'example_names',
    'few_labels',
    'find',
    'label_sets',
    'labelled',
    'load',
    'names',
    'statistics',
    'stream',
    'subset',
]

GENERATED = (
    'gaussian',
    'digits',
    'sbm',
    'karate',
)  # modules of this package: they prepare themselves at first use
_MODULES = (*GENERATED, 'graph_npz')
_PREPARED = {  # name -> the version that is read, what its prepare command still needs
    'cifar10': ('3.', ''),
    'cifar100': ('3.', ''),
    'tiny_imagenet': ('1.', ' --source=tiny-imagenet-200.zip'),
    'imagenet2012': ('5.', ' --source=ILSVRC2012_FOLDER'),
    'imagenet100': ('1.', ' --source=ILSVRC2012_FOLDER'),
    'image_folder': ('1.', ' --source=FOLDER'),
    'arrays': ('1.', ' --source=FILE.npz'),
    'parquet': ('1.', ' --source=FOLDER'),
    'webdataset': ('1.', ' --source=FOLDER'),
}


def names() -> list[str]:
    """The data sets this package knows. Other sets of images that TFDS prepared, and sets that
    `prepare --as=NAME` named, can be named too.
    """
    return sorted([*_MODULES, *_PREPARED])


def load(name: str, data_dir: str | None, *, short_side: int | None = None, **options) -> Resident:
    """The data set `name` from the TFDS folder `data_dir` (None: TFDS_DATA_DIR, else
    ~/tensorflow_datasets).

    short_side: of the square that images of different sizes become, in pixels; None for all other
    sets.
    options: of generated data, the keyword arguments of their module's `load`.
    Raises ValueError for an unknown name or option, for data that are not prepared, damaged, or
    larger than the memory.
    """
    own = (
        importlib.import_module(f'mi_ssl_jax.data.generated.{name}').load
        if name in _MODULES
        else None
    )
    known = inspect.getfullargspec(own).kwonlyargs if own else []
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f'{name} does not take {", ".join(unknown)}; its data.options:'
            f' {", ".join(known) or "none"}'
        )
    if own:
        return own(data_dir, **options)
    return in_memory.load(find(name, data_dir), short_side=short_side)


def stream(name: str, data_dir: str | None, *, canvas: int) -> streamed.Stream:
    """The data set `name`, read batch by batch, each image a square of `canvas` pixels. Errors as
    `load`.
    """
    prepared = None if name in _MODULES else find(name, data_dir)
    if prepared is None or not prepared.is_images:
        raise ValueError(f'{name} is held in memory: set data.streamed=False')
    return streamed.Stream(prepared, canvas)


def example_names(name: str, data_dir: str | None, split: str) -> np.ndarray | None:
    """The names (n,) of the examples of 'train' or 'test' of an image data set, such as those of
    their files; None of generated data, and of sets that keep none. Errors as `load`.
    """
    return None if name in _MODULES else on_disk.names(find(name, data_dir), split)


def prepare_command(name: str, data_dir: str | None) -> str:
    """The command that prepares a known data set in `data_dir`."""
    folder = f' --data_dir={data_dir}' if data_dir else ''
    return (
        'python -m mi_ssl_jax.data.prepare'
        f' {name}{folder}{_PREPARED[name][1] if name in _PREPARED else ""}'
    )


def find(name: str, data_dir: str | None) -> on_disk.Prepared:
    """Find the folder and the description of the image data set `name`, without reading it. Errors
    as `load`.
    """
    if not name:
        raise ValueError(f"data.name='' names no data set: use one of {', '.join(names())}")
    if name in _PREPARED:
        command = prepare_command(name, data_dir)
        return on_disk.find(name, data_dir, version=_PREPARED[name][0], command=command)
    try:  # a set of TFDS's own
        command = f'tfds build {name} --file_format=array_record'
        return on_disk.find(name, data_dir, version='', command=command)
    except ValueError as error:
        if (on_disk.records.root(data_dir) / name).is_dir():
            raise
        raise ValueError(
            f'unknown data set {name!r}: known are {", ".join(names())}, and each TFDS image set '
            'that is prepared in ArrayRecord; one of your own is prepared by python -m'
            f' mi_ssl_jax.data.prepare arrays --as={name} --source=FILE.npz'
        ) from error
