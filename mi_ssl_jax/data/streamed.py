"""Data sets too large for memory: decoded and cut to a fixed square in the background by Grain."""

import dataclasses
import functools
import importlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from mi_ssl_jax.data import on_disk as prepared_lib
from mi_ssl_jax.data import threads
from mi_ssl_jax.data.on_disk import Prepared
from mi_ssl_jax.data.splits import Split


class Stream(NamedTuple):
    """A prepared data set that is read while it is used. canvas: side of its square images in
    pixels.
    """

    prepared: Prepared
    canvas: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one example, (canvas, canvas, C)."""
        return (self.canvas, self.canvas, self.prepared.shape[-1])


@dataclasses.dataclass(frozen=True)
class _Records:
    """The training examples for Grain, still encoded; each process opens the record files for
    itself.
    """

    prepared: Prepared

    def __len__(self) -> int:
        return self.prepared.sizes['train']

    def __getitem__(self, index: int) -> tuple[int, bytes, int]:
        return (index, *prepared_lib.encoded(self.prepared, 'train', [index])[0])


def _cut(stream: Stream, example: tuple[int, bytes, int], rng: np.random.Generator) -> Split:
    """The square lies anywhere along the longer side, so that over the epochs all of the image is
    seen.
    """
    index, data, label = example
    image = prepared_lib.example(
        stream.prepared, 'train', index, data, side=stream.canvas, offset=rng.random()
    )
    return Split(image, np.int32(label))


class Batches:
    """Endless training batches, or one part of each: Split of x (rows, canvas, canvas, C) of the
    set's type and y (rows,) int32.

    An epoch visits every example at most once (an incomplete last batch is left out). Order and
    cuts follow from `seed` alone: worker processes take whole batches in turn, so their number
    changes only the speed. The parts of a batch, side by side, are the batch. The position is the
    number of batches taken.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        batch_size: int,
        seed: int,
        worker_count: int,
        part: tuple[int, int] = (0, 1),
    ):
        """worker_count: processes that decode; 0 decodes in threads of this one. part: (i, n), the
        i-th of n equal parts of each batch. Raises ValueError.
        """
        n = stream.prepared.sizes['train']
        if not 0 < batch_size <= n:
            raise ValueError(
                f'batch_size {batch_size} is impossible: {stream.prepared.name} has {n} images '
                'to train on'
            )
        if batch_size % part[1]:
            raise ValueError(f'batch_size {batch_size} does not divide into {part[1]} parts')
        self.steps_per_epoch = n // batch_size
        self._key = {
            'data': f'{stream.prepared.folder.parent.name}/{stream.prepared.folder.name}',
            'n': n,
            'canvas': stream.canvas,
            'batch_size': batch_size,
            'seed': seed,
        }
        self._open = functools.partial(_iterate, stream, batch_size, seed, worker_count, part)
        self._taken, self._iterator = 0, None

    def __iter__(self) -> 'Batches':
        return self

    def __next__(self) -> Split:
        if self._iterator is None:
            self._iterator = self._open(self._taken)
        batch = next(self._iterator)
        self._taken += 1
        return Split(
            *map(np.array, batch)
        )  # copies: the worker's arrays lie in memory that ends with it

    def get_state(self) -> dict[str, Any]:
        """The position, with what the order depends on; plain enough for JSON."""
        return {**self._key, 'taken': self._taken}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a position. Raises ValueError when it belongs to another order of
        batches.
        """
        other = [key for key, value in self._key.items() if state.get(key) != value]
        if other:
            raise ValueError(
                'the saved data position belongs to another '
                + ', '.join(f'{key} ({state.get(key)}, now {self._key[key]})' for key in other)
            )
        self.close()
        self._taken = state['taken']

    def close(self) -> None:
        """Ends the background work; the next batch starts it again."""
        if self._iterator is not None:
            self._iterator.close()
        self._iterator = None


def _iterate(
    stream: Stream, batch_size: int, seed: int, worker_count: int, part: tuple[int, int], start: int
):
    grain = importlib.import_module('grain')  # a second to import
    examples = grain.MapDataset.source(_Records(stream.prepared)).seed(seed).shuffle()
    squares = examples.random_map(functools.partial(_cut, stream))
    whole, (index, parts) = len(examples) // batch_size, part
    rows = squares.batch(batch_size // parts, drop_remainder=True)[: whole * parts]
    batches = rows[index::parts].repeat()[start:]
    thread_count = 1 if worker_count else min(threads.COUNT, 8)
    reading = grain.ReadOptions(num_threads=thread_count, prefetch_buffer_size=thread_count + 1)
    dataset = batches.to_iter_dataset(reading)
    if worker_count:
        if not flags.FLAGS.is_parsed():
            # Grain hands absl's flags to its workers, outside absl.app too
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=worker_count, per_worker_buffer_size=2)
        )
    return iter(dataset)


def once(
    stream: Stream, split: str, *, indices: Sequence[int] | None, batch_size: int
) -> Iterator[Split]:
    """The central squares of 'train' or 'test' in order, in batches (the last may be smaller), to
    evaluate.

    indices: only these examples; None for all.
    """
    chosen = np.arange(stream.prepared.sizes[split]) if indices is None else np.asarray(indices)

    def decode(part: np.ndarray) -> Split:
        examples = prepared_lib.encoded(stream.prepared, split, part.tolist())
        pixels = [
            prepared_lib.example(stream.prepared, split, i, data, side=stream.canvas, offset=0.5)
            for i, (data, _) in zip(part, examples)
        ]
        return Split(np.stack(pixels), np.array([label for _, label in examples], np.int32))

    parts = [chosen[k : k + batch_size] for k in range(0, len(chosen), batch_size)]
    for _, batch in threads.in_order(decode, parts, ahead=threads.COUNT):
        yield batch
