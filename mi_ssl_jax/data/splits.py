"""Splits of a data source: records of arrays, and deterministic choices of examples from them."""

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_PER_CLASS = re.compile(r'(\d+) a class')
LABEL_DRAWS = 5  # probes on few labels are repeated over the draws 0, ..., LABEL_DRAWS - 1


class Split(NamedTuple):
    """Examples of one split.

    x: images (n, H, W, C), uint8 unless they are the user's own; vectors (n, d) and series
    (n, steps, C), float32; or graphs as a dict of arrays, each with a leading axis n.
    y: (n,) int32 labels, each in [0, number of classes), or all -1 without labels. Of graphs (n,
    nodes), a label a node; the label of a node that belongs to another split is -1.
    """

    x: np.ndarray | dict[str, np.ndarray]
    y: np.ndarray


class Resident(NamedTuple):
    """A data set that is held in memory as a whole.

    train, test: the training examples and the held-out ones, always separate; of a graph the
    training and the held-out nodes, both with the whole graph.
    shape: of one example, (H, W, C), (d,) or (steps, C); of a graph (nodes, d).
    class_names: one name a class, position = label; () without labels.
    centres: (K, d) float32 centres of the mixture a point set was drawn from; None for images.
    """

    name: str
    train: Split
    test: Split
    shape: tuple[int, ...]
    class_names: tuple[str, ...]
    centres: np.ndarray | None


def few_labels(y: np.ndarray, *, per_class: int, draw: int) -> np.ndarray:
    """Indices of `per_class` examples of every class, the same ones for the same `draw`.

    y: (n,) integer labels. Returns (classes * per_class,) int64 indices, sorted.
    Raises ValueError when a class has fewer than `per_class` examples.
    """
    y = np.asarray(y)
    random = np.random.RandomState(
        draw
    )  # RandomState: its stream is the same in every numpy version
    chosen = []
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        if not 0 < per_class <= len(members):
            raise ValueError(
                f'cannot choose {per_class} examples of class {label}: it has {len(members)}'
            )
        chosen.append(random.permutation(members)[:per_class])
    return np.sort(np.concatenate(chosen))


def subset(y: np.ndarray, name: str) -> np.ndarray:
    """Indices of a fixed part of a training set, chosen class by class, sorted: (m,) int64.

    'all'; 'select', a tenth on which probes choose their hyperparameters, and 'fit', the other nine
    tenths; 'sample', about 10,000 examples for looking at training data; '1%' and '10%', labelled
    fractions.
    y: (n,) integer labels. Raises ValueError for another name.
    """
    y = np.asarray(y)
    sample = min(1.0, 10_000 / len(y))
    shares = {'all': 1.0, 'select': 0.1, 'fit': 0.1, 'sample': sample, '1%': 0.01, '10%': 0.1}
    if name not in shares:
        raise ValueError(f'unknown subset {name!r}: known are {", ".join(shares)}')
    random = np.random.RandomState(
        {'1%': 1, '10%': 2}.get(name, 0)
    )  # 'select' and 'fit' complete each other
    chosen = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = random.permutation(np.flatnonzero(y == label))
        chosen[members[: max(1, round(shares[name] * len(members)))]] = True
    return np.flatnonzero(~chosen if name == 'fit' else chosen)


def label_sets(
    y: np.ndarray | None, wanted: Sequence[str], *, field: str = 'probe.labels'
) -> dict[str, np.ndarray | None]:
    """The training labels that probes may use, by the names of the configuration.

    Args:
        y: (n,) integer labels; None to check the names alone.
        wanted: of 'all', '1%', '10%' and 'N a class'.
        field: where they stand, for messages.

    Returns:
        {'all': None, '10 a class': (draws, n) indices, '1%': (1, n)}.

    Raises:
        ValueError: an unknown name, or more examples a class than there are.
    """
    found: dict[str, np.ndarray | None] = {}
    for name in wanted:
        count = _PER_CLASS.fullmatch(str(name))
        if name != 'all' and name not in ('1%', '10%') and not count:
            near = difflib.get_close_matches(str(name), ('all', '1%', '10%', '10 a class'), 1)
            hint = f"; did you mean '{near[0]}'?" if near else ''
            raise ValueError(
                f"unknown {field} '{name}'; use 'all', '1%', '10%' or 'N a class'{hint}"
            )
        if name == 'all' or y is None:
            found[name] = None
        elif count:
            draws = range(LABEL_DRAWS)
            per_class = int(count[1])
            found[name] = np.stack([few_labels(y, per_class=per_class, draw=d) for d in draws])
        else:
            found[name] = subset(y, name)[None]
    return found


def labelled(y: np.ndarray, name: str, *, draw: int) -> np.ndarray:
    """Indices of the labelled examples of one draw: (m,) int64, sorted.

    Args:
        y: (n,) integer labels.
        name: as of `label_sets`.
        draw: which one of 'N a class'; the other sets are fixed.

    Returns:
        The indices; of draws below `LABEL_DRAWS` those of `label_sets`.

    Raises:
        ValueError: as `label_sets`.
    """
    label_sets(None, (name,), field='labels')
    count = _PER_CLASS.fullmatch(name)
    return few_labels(y, per_class=int(count[1]), draw=draw) if count else subset(y, name)
