"""Embeddings of a finished run's data, or of other examples, as .npy files."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mi_ssl_jax.data import npy
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.runs import encoders, run_folder


def write(
    workdir: Path, out: Path, *, branch: str | None, seed: int, data_dir: str | None = None
) -> list[Path]:
    """Encode both splits and write the arrays under `out`. Returns what was written."""
    config = run_folder.read_config(workdir)
    config.data.dir = data_dir or config.data.dir
    try:
        ready = experiments.setup(config)
    except ValueError as error:
        raise ValueError(
            f'{error}; or give --data_dir, the place of the data, or --examples, an array of others'
        ) from error
    apply, variables = encoders.restored(ready, workdir, branch=branch, seed=seed, best=False)
    encode = _encoding(apply, variables)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for split in ('train', 'test'):
        batches = inputs.batches(ready.source, split, ready.config.mi.batch_size)
        found = encode((batch.x, {'labels': np.ravel(batch.y)}) for batch in batches)
        names = inputs.example_names(ready.source, split, ready.config)
        found |= {} if names is None else {'names': names}
        written += [_save(out / f'{split}_{name}.npy', rows) for name, rows in found.items()]
    run_folder.write_json(out / 'class_names.json', ready.source.class_names)
    return written


def write_examples(
    workdir: Path, out: Path, examples: Path, *, branch: str | None, seed: int
) -> list[Path]:
    """Encode an array of examples, in the form of the run's data, and write features and z."""
    ready = encoders.setup(workdir)
    x = _array(examples, ready.source)
    apply, variables = encoders.restored(ready, workdir, branch=branch, seed=seed, best=False)
    size = ready.config.mi.batch_size
    batches = ((x[start : start + size], {}) for start in range(0, len(x), size))
    found = _encoding(apply, variables)(batches)
    out.mkdir(parents=True, exist_ok=True)
    return [_save(out / f'{name}.npy', rows) for name, rows in found.items()]


def _encoding(apply: Callable, variables: Any) -> Callable[[Iterable], dict[str, np.ndarray]]:
    """-> encode(batches of examples, each with the rows that stand beside them): columns by
    name.
    """

    def encode(batches: Iterable[tuple[Any, dict]]) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {}
        for x, beside in batches:
            output = apply(variables, x)
            for name, rows in {'features': output.features, 'z': output.z, **beside}.items():
                parts.setdefault(name, []).append(np.asarray(rows))
        return {name: np.concatenate(found) for name, found in parts.items()}

    return encode


def _array(path: Path, source: inputs.Source) -> np.ndarray:
    """The examples of a .npy file, of the run's own kind. ValueError in one line."""
    if isinstance(source.example, dict):
        raise ValueError('a graph is not an array of examples: leave --examples out')
    x = npy.load(path, mapped=True)
    own = source.example
    # Images of any size become views of one; points have their number of dimensions.
    same = x.shape[-1:] == own.shape[-1:] and x.ndim == own.ndim + 1 and len(x)
    if x.dtype != own.dtype or not same:
        raise ValueError(
            f'{path} holds {x.dtype} {x.shape}, but the run was trained on {own.dtype}'
            f' {(len(x) if x.ndim else 0, *own.shape)}: one example per row'
        )
    return x


def _save(path: Path, rows: np.ndarray) -> Path:
    np.save(path, rows)
    return path
