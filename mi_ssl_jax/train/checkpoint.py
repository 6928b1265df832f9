"""Checkpoints by Orbax, each with a manifest of SHA-256 sums, so that damage is found and never restored.

checkpoints/00000042/state/  the arrays; progress.json  where training stood; manifest.json  the sums, written last:
a folder without it is an unfinished save.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

Tree = Any
MANIFEST = 'manifest.json'


class Store:
    """The checkpoints of one run, saved in the background, the last `keep` kept."""

    def __init__(self, folder: Path, *, keep: int, report: Callable[[str], None]):
        """report: told, in one line, of a damaged checkpoint and of a save that failed."""
        self._folder, self._keep, self._report = folder.absolute(), keep, report
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='checkpoint')
        self._pending: Future | None = None

    def save(self, number: int, tree: Tree, progress: Mapping[str, Any]) -> None:
        """Save a tree of arrays under a number. Copies to the host at once, so the caller may donate it; writes later."""
        self.wait()
        # An array that lives on a CPU device comes back as a view of its buffer, which the next step overwrites.
        arrays = {name: np.array(leaf) for name, leaf in _flat(jax.device_get(tree)).items()}
        self._pending = self._thread.submit(self._write, number, arrays, dict(progress))

    def wait(self) -> None:
        """Until the last save is on disk, or reported as failed."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def restore(self, like: Tree) -> tuple[int, Tree, dict[str, Any]] | None:
        """(number, tree, progress) of the newest undamaged checkpoint; None if there is none.

        like: a tree of arrays or shapes with the structure saved. Damaged checkpoints are renamed, not deleted.
        ValueError if the saved tree has another structure, or arrays of another shape or type.
        """
        self.wait()
        for path in sorted(self._folder.glob('[0-9]*'), reverse=True):
            if not path.name.isdigit():
                continue
            fault = _fault(path)
            if fault is None:
                progress = json.loads((path / 'progress.json').read_text())
                return int(path.name), _restore(path / 'state', like), progress
            aside = _aside(path, 'unfinished' if fault == 'unfinished' else 'damaged')
            self._report(f'checkpoint {path.name} is {fault}; set aside as {aside.name}, using the one before it')
        return None

    def close(self) -> None:
        """Wait for the last save and stop the thread."""
        self.wait()
        self._thread.shutdown()

    def _write(self, number: int, arrays: dict[str, np.ndarray], progress: dict[str, Any]) -> None:
        path = self._folder / f'{number:08d}'
        try:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            with ocp.StandardCheckpointer() as saver:
                saver.save(path / 'state', arrays)
            _durable(path / 'progress.json', json.dumps(progress))
            _durable(path / MANIFEST, json.dumps(_sums(path), indent=1))
        except Exception as error:  # a failed save must not end the training it is there to protect
            shutil.rmtree(path, ignore_errors=True)
            self._report(f'checkpoint {number} could not be saved ({error}); the previous one stays, training goes on')
            return
        finished = sorted(p for p in self._folder.glob('[0-9]*') if p.name.isdigit() and (p / MANIFEST).exists())
        for old in finished[:-self._keep]:
            shutil.rmtree(old, ignore_errors=True)


def _flat(tree: Tree) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _restore(path: Path, like: Tree) -> Tree:
    wanted = _flat(like)
    with ocp.StandardCheckpointer() as loader:
        saved = loader.metadata(path).item_metadata.tree
        other = sorted(set(wanted) ^ set(saved))
        other += sorted(name for name in set(wanted) & set(saved)
                        if (tuple(saved[name].shape), saved[name].dtype) != (wanted[name].shape, wanted[name].dtype))
        if other:
            raise ValueError(f'the checkpoint in {path.parent} is of another network or optimizer: {len(other)} arrays '
                             f'differ, first {other[0]}; use another workdir')
        arrays = loader.restore(path, {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in wanted.items()})
    leaves = [arrays[name] for name in wanted]
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(like), leaves)


def _sums(path: Path) -> dict[str, str]:
    """Relative name -> SHA-256 of every file of a checkpoint but the manifest."""
    files = sorted(p for p in path.rglob('*') if p.is_file() and p.name != MANIFEST)
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint: 'unfinished', or 'damaged (...)' with the first file that differs; else None."""
    if not (path / MANIFEST).exists():
        return 'unfinished'
    try:
        wanted = json.loads((path / MANIFEST).read_text())
        found = _sums(path)
    except (OSError, ValueError) as error:
        return f'damaged ({error})'
    for name in sorted(set(wanted) | set(found)):
        if wanted.get(name) != found.get(name):
            return f'damaged ({name} has changed)' if name in found else f'damaged ({name} is missing)'
    return None


def _aside(path: Path, why: str) -> Path:
    """Rename a checkpoint so that it is neither used nor lost."""
    for number in range(1000):
        target = path.with_name(f'{why}-{path.name}-{number}')
        if not target.exists():
            return path.rename(target)
    raise ValueError(f'too many checkpoints set aside in {path.parent}: remove some')


def _durable(path: Path, text: str) -> None:
    """Write a file and wait until it is on disk."""
    with open(path, 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
