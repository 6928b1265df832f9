"""The data of an experiment: held in memory or streamed, with what the networks need to know of
it.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax import augment, data, parallel
from mi_ssl_jax.core.statistics import Statistics
from mi_ssl_jax.data import streamed
from mi_ssl_jax.figures.statistics import evenly
from mi_ssl_jax.train import feed
from mi_ssl_jax.train.spec import Spec

Tree = Any


class Source(NamedTuple):
    """size: training examples. example: one of them, as the views take it. train: all of them, None
    when streamed.

    test: the held-out examples; of streamed data only those that are watched. stream: None for data
    in memory.
    """

    name: str
    size: int
    example: Tree
    train: data.Split | None
    test: data.Split
    class_names: tuple[str, ...]
    centres: np.ndarray | None
    stream: streamed.Stream | None
    statistics: Statistics | None = None  # of the training examples, where the views need them

    @property
    def classes(self) -> int:
        """Number of classes to tell apart: 0 for data without labels, or all of one class."""
        return len(self.class_names) if len(self.class_names) > 1 else 0

    @property
    def at_hand(self) -> bool:
        """Whether the examples are there, rather than their description alone."""
        return len(self.test.y) > 0

    @property
    def rows(self) -> int:
        """Rows of output per example, one for each label: for a graph, its nodes."""
        return 1 if self.train is None else int(np.prod(self.train.y.shape[1:], dtype=int))


def load(config: ConfigDict) -> Source:
    """The configuration's data. ValueError, in one line, when they are missing, too few or too many
    for the memory.
    """
    where = config.data.dir or None
    if not config.data.streamed:
        held = data.load(
            config.data.name,
            where,
            short_side=config.data.short_side or None,
            **config.data.options,
        )
        train = _limited(held.train, config.data.limit, held.name, 'data.limit')
        known = data.statistics.of(train.x) if standardises(config) else None
        return Source(
            held.name,
            len(train.y),
            pick(train.x, 0),
            train,
            held.test,
            held.class_names,
            held.centres,
            None,
            known,
        )
    if config.data.canvas < 8:
        raise ValueError(
            f'data.canvas={config.data.canvas}: streamed images need a square of at least 8 px'
        )
    if config.seeds != 1 or config.data.limit:
        raise ValueError(
            'streamed data support one seed and all examples: set seeds=1 and data.limit=0'
        )
    stream = data.stream(config.data.name, where, canvas=config.data.canvas)
    sizes = stream.prepared.sizes
    chosen = _evenly(sizes['test'], config.mi.examples, stream.prepared.name, 'mi.examples')
    needed = (len(chosen) + config.batch_size) * int(np.prod(stream.shape))
    free = data.available_memory()
    if needed > free:
        raise ValueError(
            f'{len(chosen):,} held-out images and a batch of {config.batch_size} at'
            f' data.canvas={config.data.canvas} take {needed / 1e6:,.0f} MB, and'
            f' {free / 1e6:,.0f} MB are free: lower data.canvas, mi.examples or batch_size'
        )
    parts = list(streamed.once(stream, 'test', indices=chosen, batch_size=256))
    test = data.Split(
        np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
    )
    example = np.zeros(stream.shape, stream.prepared.dtype)
    known = _stream_statistics(stream) if standardises(config) else None
    return Source(
        stream.prepared.name,
        sizes['train'],
        example,
        None,
        test,
        stream.prepared.class_names,
        None,
        stream,
        known,
    )


def standardises(config: ConfigDict) -> bool:
    """Whether the configuration's views need the statistics of the data."""
    return augment.needs_statistics(config.views.name, config.views.options.get('data'))


def _stream_statistics(stream: streamed.Stream) -> Statistics:
    """Statistics of evenly picked training examples, decoded for them."""
    count = stream.prepared.sizes['train']
    chosen = _evenly(count, min(count, data.statistics.EXAMPLES), stream.prepared.name, 'examples')
    parts = streamed.once(stream, 'train', indices=chosen, batch_size=256)
    return data.statistics.of(np.concatenate([part.x for part in parts]))


def views_options(config: ConfigDict, source: Source) -> dict[str, Any]:
    """The options of the configuration's views, with the statistics of the data where they are
    needed.
    """
    options = dict(config.views.options)
    return options if source.statistics is None else {**options, 'statistics': source.statistics}


def plain(config: ConfigDict, source: Source) -> augment.Evaluation:
    """Example -> network input without augmentation."""
    return augment.evaluation(config.views.name, **views_options(config, source))


def normalisation(config: ConfigDict, source: Source) -> augment.Normalisation | None:
    """The normalisation of the configuration's images; None of other data."""
    return augment.normalisation(config.views.name, **views_options(config, source))


def describe(source: Source) -> dict[str, Any]:
    """Return the facts about the data that the networks depend on, in JSON's types; see
    `described`.
    """
    known = source.statistics
    own = {} if known is None else {'statistics': {k: list(v) for k, v in known._asdict().items()}}
    return {
        **own,
        'name': source.name,
        'size': source.size,
        'class_names': list(source.class_names),
        'labels': None if source.train is None else list(source.train.y.shape[1:]),
        'example': jax.tree.map(
            lambda leaf: {'dtype': str(leaf.dtype), 'shape': list(leaf.shape)}, source.example
        ),
    }


def described(found: dict[str, Any]) -> Source:
    """Data of which only the description is at hand: networks can be built, nothing read."""

    def empty(leaf: dict[str, Any]) -> np.ndarray:
        return np.zeros(leaf['shape'], leaf['dtype'])

    example = jax.tree.map(
        empty, found['example'], is_leaf=lambda leaf: set(leaf) == {'dtype', 'shape'}
    )
    labels = np.zeros((0, *(found['labels'] or ())), np.int32)
    none = data.Split(jax.tree.map(lambda leaf: leaf[None][:0], example), labels)
    train = None if found['labels'] is None else none
    classes = tuple(found['class_names'])
    known = found.get('statistics')
    if known is not None:
        known = Statistics(**{name: tuple(map(float, own)) for name, own in known.items()})
    return Source(found['name'], found['size'], example, train, none, classes, None, None, known)


def example_names(source: Source, split: str, config: ConfigDict) -> np.ndarray | None:
    """The names (n,) that the data set itself gives the examples of 'train' or 'test', in order;
    None where it gives none.
    """
    names = data.example_names(source.name, config.data.dir or None, split)
    if names is None or split == 'test' or source.stream is not None:
        return names
    return names[_evenly(len(names), config.data.limit, source.name, 'data.limit')]


def without_classes(source: Source) -> str:
    """Return the note for data whose `classes` are 0."""
    return f'{source.name} has {"one class" if source.class_names else "no labels"}'


def watched(source: Source, config: ConfigDict) -> data.Split:
    """The held-out examples on which mutual information and collapse are measured: mi.examples of
    them.
    """
    return (
        source.test
        if source.stream
        else _limited(source.test, config.mi.examples, source.name, 'mi.examples')
    )


def batches(source: Source, split: str, size: int) -> Iterator[data.Split]:
    """Yield every example of 'train' or 'test' once, in order."""
    if source.stream is not None:
        yield from streamed.once(source.stream, split, indices=None, batch_size=size)
        return
    own = getattr(source, split)
    for start in range(0, len(own.y), size):
        yield pick(own, slice(start, start + size))


def pick(tree: Tree, chosen: int | slice | np.ndarray) -> Tree:
    """The chosen examples of arrays that all have them along their first axis."""
    return jax.tree.map(lambda leaf: leaf[chosen], tree)


@contextlib.contextmanager
def feeding(
    source: Source,
    spec: Spec,
    config: ConfigDict,
    taken: int,
) -> Iterator[feed.Resident | feed.Streamed]:
    """The training loop's feed. taken: batches that training has had, for a stream's position."""
    if source.stream is None:
        examples = jax.tree.map(jnp.asarray, {'x': source.train.x, 'y': source.train.y})
        yield feed.Resident(spec, parallel.place(examples, spec.layout))
        return
    reader = streamed.Batches(
        source.stream,
        batch_size=config.batch_size,
        seed=config.seed,
        worker_count=config.data.workers,
        part=(parallel.process_index(), parallel.process_count()),
    )
    reader.set_state({**reader.get_state(), 'taken': taken})
    try:
        yield feed.Streamed(spec, reader)
    finally:
        reader.close()


def taken(spec: Spec, steps: dict[str, jax.Array]) -> int:
    """Batches that the phases have had together: apart when they take turns pass by pass, else
    shared.
    """
    counts = [int(np.ravel(count)[0]) for count in steps.values()]
    return sum(counts) if feed.whole_passes(spec) else counts[0]


def _limited(split: data.Split, limit: int, name: str, field: str) -> data.Split:
    chosen = _evenly(len(split.y), limit, name, field)
    return split if len(chosen) == len(split.y) else pick(split, chosen)


def _evenly(size: int, limit: int, name: str, field: str) -> np.ndarray:
    """`limit` of `size` examples, evenly picked in the data set's order; all of them for 0."""
    if not 0 <= limit <= size:
        raise ValueError(f'{field}={limit}, but {name} has {size} such examples')
    return evenly(size, limit or size)
