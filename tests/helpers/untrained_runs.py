"""Folders of runs with weights drawn by numpy: nothing is read, trained or compiled."""

import contextlib

import jax
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.experiment import build, inputs
from mi_ssl_jax.runs import recording
from mi_ssl_jax.runs.checkpoint import Store


def write(folder, config, *, shape=(32, 32, 3), dtype='uint8', epoch=0):
    """A run of `config` on data of examples of this shape, with a checkpoint of `epoch`."""
    described = {
        'name': config.data.name,
        'size': 10 * config.batch_size,
        'class_names': ['a', 'b'],
        'labels': [],
        'example': {'dtype': dtype, 'shape': list(shape)},
    }
    source = inputs.described(described)
    ready = build.build(config, source, parallel.choose_devices(1))
    folder.mkdir(parents=True, exist_ok=True)
    recording.describe(ready, config, folder)
    (folder / 'metrics.jsonl').write_text('{"epoch": 0}\n')
    rng = np.random.default_rng(0)
    state = jax.tree_util.tree_map_with_path(
        lambda path, leaf: drawn(rng, path, leaf), build.abstract(ready)
    )
    with contextlib.closing(Store(folder / 'checkpoints', keep=1, report=print)) as store:
        store.save(1, state, {**recording.START, 'chunk': 1, 'epoch': epoch})
    return ready


def drawn(rng, path, leaf):
    """Kernels of He's size, positive scales and variances, small rest."""
    if leaf.dtype != np.float32:
        return np.zeros(leaf.shape, leaf.dtype)
    name = str(getattr(path[-1], 'key', ''))
    if name == 'kernel':
        values = rng.normal(0, np.sqrt(2 / np.prod(leaf.shape[1:-1])), leaf.shape)
    elif name in ('scale', 'var'):
        values = rng.uniform(0.5, 1.5, leaf.shape)
    else:
        values = rng.normal(0, 0.2, leaf.shape)
    return values.astype(np.float32)
