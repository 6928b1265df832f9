"""Data sets by name: `load('gaussian', data_dir)` returns a `source.Resident`."""

import importlib

from mi_ssl_jax.data.source import Resident, Split, few_labels

_MODULES = {'gaussian': 'gaussian', 'digits': 'digits'}  # name -> module of this package with load(data_dir)


def names() -> list[str]:
    """The data sets this package knows."""
    return sorted(_MODULES)


def load(name: str, data_dir: str | None) -> Resident:
    """The data set `name` from the TFDS folder `data_dir` (None: TFDS_DATA_DIR, else ~/tensorflow_datasets).

    Raises ValueError for an unknown name, and when the data are neither prepared nor can be prepared there.
    """
    if name not in _MODULES:
        raise ValueError(f'unknown data set {name!r}: known are {", ".join(names())}')
    return importlib.import_module(f'mi_ssl_jax.data.{_MODULES[name]}').load(data_dir)
