"""The training examples that are labelled, and their batches: in memory, or read meanwhile."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax import data
from mi_ssl_jax.data import on_disk, streamed
from mi_ssl_jax.evals import finetuning
from mi_ssl_jax.experiment import inputs

AT_ONCE = 1000  # records whose labels are read at a time


class Labelled(NamedTuple):
    """The labelled training examples of one draw.

    indices: (m,), sorted. examples: they themselves; None where all of a stream are labelled.
    """

    indices: np.ndarray
    examples: data.Split | None

    @property
    def digest(self) -> str:
        """SHA-256 of the indices as int64."""
        return hashlib.sha256(self.indices.astype('<i8').tobytes()).hexdigest()


def is_file(labels: str) -> bool:
    """Whether labels are a file that lists examples instead of a name such as '10 a class'."""
    return labels.endswith('.txt')


def check(labels: str, source: inputs.Source) -> None:
    """ValueError, in one line, for labels that cannot be, before anything is trained."""
    if not source.classes:
        raise ValueError(f'{inputs.without_classes(source)}: there is nothing to fine-tune for')
    if not is_file(labels):
        data.label_sets(None, (labels,), field='--labels')


def choose(labels: str, source: inputs.Source, config: ConfigDict, *, draw: int) -> Labelled:
    """The labelled examples of a draw.

    Args:
        labels: 'all', '1%', '10%', 'N a class', or a .txt file with a number or the name of an
            example a line.
        source: the data.
        config: of the data set.
        draw: which of the draws of 'N a class'.

    Returns:
        The examples.

    Raises:
        ValueError: a file that cannot be read or lists other examples, or too many examples.
    """
    if is_file(labels):
        indices = listed(Path(labels), source, config)
    elif labels == 'all':
        indices = np.arange(source.size)
    else:
        indices = data.labelled(_labels(source), labels, draw=draw)
    if source.train is not None:
        return Labelled(indices, inputs.pick(source.train, indices))
    if len(indices) == source.size:
        return Labelled(indices, None)
    needed, free = len(indices) * int(np.prod(source.example.shape)), data.available_memory()
    if needed > free:
        raise ValueError(
            f'{len(indices):,} labelled images of {source.name} take {needed / 1e6:,.0f} MB, and'
            f' {free / 1e6:,.0f} MB are free: lower data.canvas, or take fewer labels'
        )
    parts = list(streamed.once(source.stream, 'train', indices=indices, batch_size=256))
    x, y = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Labelled(indices, data.Split(x, y))


def listed(path: Path, source: inputs.Source, config: ConfigDict) -> np.ndarray:
    """Indices of the examples that a file lists, a number or a name a line, sorted."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} cannot be read as a list of examples: {error}') from error
    if not lines:
        raise ValueError(f'{path} lists no examples')
    if all(line.isdecimal() for line in lines):
        found = np.array([int(line) for line in lines])
        outside = found[found >= source.size]
        if len(outside):
            raise ValueError(
                f'{path} lists example {outside[0]}, but {source.name} has {source.size:,}'
            )
    else:
        names = inputs.example_names(source, 'train', config)
        if names is None:
            raise ValueError(f'{source.name} does not name its examples: list them by number')
        place = {own: index for index, own in enumerate(names.tolist())}
        bare = {own.rpartition('/')[2]: index for own, index in place.items()}
        place |= bare if len(bare) == len(names) else {}  # published lists have no folders
        unknown = next((line for line in lines if line not in place), None)
        if unknown is not None:
            raise ValueError(f"{path} lists '{unknown}', which {source.name} has not")
        found = np.array([place[line] for line in lines])
    if len(np.unique(found)) < len(found):
        raise ValueError(f'{path} lists examples twice')
    return np.sort(found)


def batches(
    own: Labelled,
    source: inputs.Source,
    config: ConfigDict,
    protocol: finetuning.Protocol,
    *,
    seed: int,
    taken: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches without end, from the one after `taken` on."""
    if own.examples is None:
        reader = streamed.Batches(
            source.stream,
            batch_size=protocol.batch_size,
            seed=seed,
            worker_count=config.data.workers,
        )
        reader.set_state({**reader.get_state(), 'taken': taken})
        try:
            yield from reader
        finally:
            reader.close()
        return
    for epoch in itertools.count(taken // protocol.steps):
        order = finetuning.order(len(own.indices), protocol, seed=seed, epoch=epoch)
        first = taken % protocol.steps if epoch == taken // protocol.steps else 0
        for batch in order[first:]:
            yield inputs.pick(own.examples, batch)


def _labels(source: inputs.Source) -> np.ndarray:
    """Labels of all training examples; those of a stream are read, without decoding an image."""
    if source.train is not None:
        return source.train.y
    prepared, labels = source.stream.prepared, []
    for start in range(0, source.size, AT_ONCE):
        part = range(start, min(start + AT_ONCE, source.size))
        labels += [label for _, label in on_disk.encoded(prepared, 'train', part)]
    return np.array(labels)
