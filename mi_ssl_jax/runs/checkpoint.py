"""Checkpoints by Orbax, each with a manifest of SHA-256 sums, so that damage is found and never
restored.

checkpoints/00000042/state/  the arrays; progress.json  where training stood; manifest.json  the
sums, written last:
a folder without it is an unfinished save. checkpoints/best-00000040/  the same of the best
evaluation so far; it stays as long as a checkpoint names it, so that going back to an older
checkpoint finds the best of that time.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

Tree = Any
MANIFEST = 'manifest.json'
# Saves of one process that overlap mistake each other's signals in Orbax: they fail at once, or
# after 300 seconds.
_ONE_SAVE = threading.Lock()


class Checkpoint(NamedTuple):
    """number: grows from checkpoint to checkpoint. arrays: name -> array, on the host. progress:
    JSON values; its entry 'best' is the number of the best checkpoint so far under 'number', or
    None.
    """

    number: int
    arrays: Mapping[str, np.ndarray]
    progress: Mapping[str, Any]


class Store:
    """The checkpoints of one run, saved in the background, the last `keep` and the best kept."""

    def __init__(self, folder: Path, *, keep: int, report: Callable[[str], None]):
        """report: told, in one line, of a damaged checkpoint and of a save that failed."""
        self._folder, self._keep, self._report = folder.absolute(), keep, report
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='checkpoint')
        self._pending: Future | None = None
        # progress of the newest good checkpoint, once one was seen
        self.newest: Mapping[str, Any] | None = None

    def save(
        self, number: int, tree: Tree, progress: Mapping[str, Any], best: Checkpoint | None = None
    ) -> None:
        """Save a tree of arrays under a number. Copies to the host at once, so the caller may
        donate it; writes later.

        best: what progress['best'] names, when it is not on disk yet.
        """
        self.wait()
        self._pending = self._thread.submit(
            self._write, Checkpoint(number, on_host(tree), dict(progress)), best
        )

    def wait(self) -> None:
        """Until the last save is on disk, or reported as failed."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def restore(self, like: Tree, *, best: bool = False) -> tuple[int, Tree, dict[str, Any]] | None:
        """(number, tree, progress) of the newest undamaged checkpoint, or of the best that it
        names; None without any.

        like: a tree of arrays or shapes with the structure saved. Damaged checkpoints are renamed,
        not deleted. ValueError if the saved tree has another structure, or arrays of another shape
        or type, or the best is damaged.
        """
        self.wait()
        path = self._newest_good()
        if path is None:
            return None
        self.newest = json.loads((path / 'progress.json').read_text())
        if not best:
            return int(path.name), _restore(path / 'state', like), self.newest
        if not self.newest.get('best'):
            return None
        path = self._folder / _best_name(self.newest['best']['number'])
        fault = _fault(path)
        if fault is not None:
            raise ValueError(f'the best checkpoint, {path}, is {fault}')
        return (
            self.newest['best']['number'],
            _restore(path / 'state', like),
            json.loads((path / 'progress.json').read_text()),
        )

    def _newest_good(self) -> Path | None:
        """Return the folder of the newest good checkpoint; newer ones that are damaged or
        unfinished are set aside and reported.
        """
        for path in sorted(self._folder.glob('[0-9]*'), reverse=True):
            if not path.name.isdigit():
                continue
            fault = _fault(path)
            if fault is None:
                return path
            aside = _aside(path, 'unfinished' if fault == 'unfinished' else 'damaged')
            left = any(other.name.isdigit() for other in self._folder.iterdir())
            self._report(
                f'checkpoint {path.name} is {fault}; set aside as {aside.name}, '
                + ('using the one before it' if left else 'there is none before it')
            )
        return None

    def standing(self) -> str:
        """Describe the checkpoint from which training would continue."""
        return (
            f'the last checkpoint is of epoch {self.newest["epoch"]:g}'
            if self.newest
            else 'no checkpoint was due yet'
        )

    def close(self) -> None:
        """Wait for the last save and stop the thread."""
        self.wait()
        self._thread.shutdown()

    def _write(self, checkpoint: Checkpoint, best: Checkpoint | None) -> None:
        try:
            if best is not None:
                _write(self._folder / _best_name(best.number), best)
            _write(self._folder / f'{checkpoint.number:08d}', checkpoint)
        except Exception as error:  # a failed save must not end the training it is there to protect
            size = sum(
                leaf.nbytes for own in (checkpoint, best) if own for leaf in own.arrays.values()
            )
            free = shutil.disk_usage(_existing(self._folder)).free
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            self._report(
                f'checkpoint {checkpoint.number} could not be saved ({reason}): it needs'
                f' {size / 1e6:.1f} MB, and {self._folder} has {free / 1e6:.1f} MB free; the'
                ' previous one stays, training goes on'
            )
            return
        self.newest = checkpoint.progress
        self._prune()

    def _prune(self) -> None:
        """Remove what is older than the last `keep`, and best checkpoints that none of those
        names.
        """
        finished = sorted(
            p for p in self._folder.glob('[0-9]*') if p.name.isdigit() and (p / MANIFEST).exists()
        )
        for old in finished[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)
        try:
            named = [
                json.loads((path / 'progress.json').read_text())['best']
                for path in finished[-self._keep :]
            ]
        except (
            OSError,
            ValueError,
            KeyError,
        ):  # a damaged one: then none is known to be superfluous
            return
        wanted = {_best_name(best['number']) for best in named if best}
        for path in self._folder.glob('best-*'):
            if path.name not in wanted:
                shutil.rmtree(path, ignore_errors=True)


class Elsewhere:
    """The store of a process whose checkpoints another one writes and reads: they hold the same
    state.
    """

    newest = None

    def save(
        self, number: int, tree: Tree, progress: Mapping[str, Any], best: Checkpoint | None = None
    ) -> None:
        """Nothing."""

    def restore(self, like: Tree, *, best: bool = False) -> None:
        """Nothing."""

    def wait(self) -> None:
        """Nothing."""

    def standing(self) -> str:
        """Describe where the checkpoints are."""
        return 'process 0 has the checkpoints'

    def close(self) -> None:
        """Nothing."""


def _best_name(number: int) -> str:
    return f'best-{number:08d}'


def on_host(tree: Tree) -> dict[str, np.ndarray]:
    """Name -> array, copied to the host.

    Copied also from a CPU device, whose arrays come back as views of a buffer that the next step
    overwrites.
    """
    return {name: np.array(leaf) for name, leaf in _flat(jax.device_get(tree)).items()}


def _write(path: Path, checkpoint: Checkpoint) -> None:
    """A checkpoint's folder, whole or, when that fails, not at all."""
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        with _ONE_SAVE, _orbax() as saver:
            saver.save(path / 'state', dict(checkpoint.arrays))
        _durable(path / 'progress.json', json.dumps(checkpoint.progress))
        _durable(path / MANIFEST, json.dumps(_sums(path), indent=1))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _orbax() -> 'ocp.StandardCheckpointer':
    """Return an Orbax checkpointer of this process alone: a shared one would wait for all processes
    at every save.
    """
    # a quarter of a second to import, which the first step need not wait for
    import orbax.checkpoint as ocp

    here = jax.process_index()
    return ocp.StandardCheckpointer(
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=here, active_processes={here}, barrier_sync_key_prefix=f'process{here}'
        )
    )


def _existing(path: Path) -> Path:
    """The path itself or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _flat(tree: Tree) -> dict[str, Any]:
    return {
        jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _restore(path: Path, like: Tree) -> Tree:
    wanted = _flat(like)
    with _orbax() as loader:
        saved = loader.metadata(path).item_metadata.tree
        other = sorted(set(wanted) ^ set(saved))
        other += sorted(
            name
            for name in set(wanted) & set(saved)
            if (tuple(saved[name].shape), saved[name].dtype)
            != (wanted[name].shape, wanted[name].dtype)
        )
        if other:
            raise ValueError(
                f'the checkpoint in {path.parent} is of another network or optimizer: {len(other)}'
                f' arrays differ, first {other[0]}; use another workdir'
            )
        arrays = loader.restore(
            path, {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in wanted.items()}
        )
    leaves = [arrays[name] for name in wanted]
    return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(like), leaves)


def _sums(path: Path) -> dict[str, str]:
    """Relative name -> SHA-256 of every file of a checkpoint but the manifest."""
    files = sorted(p for p in path.rglob('*') if p.is_file() and p.name != MANIFEST)
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _fault(path: Path) -> str | None:
    """Return a checkpoint's fault: 'unfinished', or 'damaged (...)' with the first file that
    differs; None for a good one.
    """
    if not (path / MANIFEST).exists():
        return 'unfinished'
    try:
        wanted = dict(json.loads((path / MANIFEST).read_text()))
        found = _sums(path)
    except (OSError, ValueError, TypeError) as error:
        return f'damaged ({error})'
    for name in sorted(set(wanted) | set(found)):
        if wanted.get(name) != found.get(name):
            return (
                f'damaged ({name} has changed)' if name in found else f'damaged ({name} is missing)'
            )
    return None


def _aside(path: Path, why: str) -> Path:
    """Rename a checkpoint so that it is neither used nor lost."""
    for number in range(1000):
        target = path.with_name(f'{why}-{path.name}-{number}')
        if not target.exists():
            path.rename(target)
            break
    else:
        raise ValueError(f'too many checkpoints set aside in {path.parent}: remove some')
    for older in path.parent.glob(
        'unfinished-*'
    ):  # half-written arrays; the last are enough to look at
        if older != target and not (older / 'progress.json').exists():
            shutil.rmtree(older, ignore_errors=True)
    return target


def _durable(path: Path, text: str) -> None:
    """Write a file and wait until it is on disk."""
    with open(path, 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
