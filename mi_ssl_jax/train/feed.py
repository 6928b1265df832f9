"""Batches of a pass: arrays on the device, or a stream of batches decoded by others."""

import collections
from collections.abc import Iterator
from typing import Any

import jax

from mi_ssl_jax import parallel
from mi_ssl_jax.core import streams
from mi_ssl_jax.train.spec import Spec

Tree = Any
IN_FLIGHT = 2  # streamed batches on the device at a time: one that is used, one that arrives


def whole_passes(spec: Spec) -> bool:
    """Whether the phases take turns pass by pass; else they share the batches of one pass."""
    return spec.period >= spec.steps_per_pass


class Resident:
    """The training set on the device; a pass is an order of indices, a new one for every seed and
    pass.
    """

    def __init__(self, spec: Spec, examples: Tree):
        """examples: {'x': (n, ...), 'y': (n,)} on the device."""
        self.data = examples
        self._spec = spec
        self._orders: dict[str, parallel.Population] = {}
        self._order = parallel.compile_order(
            len(examples['y']), spec.batch_size, spec.layout, stream=streams.ORDER
        )

    def begin(self, population: parallel.Population, epoch: int) -> None:
        """Shuffle for an epoch. Pass by pass, each phase shuffles anew."""
        keys = population.map(lambda state: state.key)
        phases = [phase.name for phase in self._spec.method.phases]
        own = whole_passes(self._spec)
        self._orders = {
            name: self._order(keys, epoch * len(phases) + index * own)
            for index, name in enumerate(phases)
        }

    def pieces(self, phase: str, length: int) -> Iterator[tuple[Tree, int]]:
        """(batches, steps): what the next `length` steps of a phase take."""
        yield self._orders[phase], length


class Streamed:
    """Batches from an iterator, one step each. Phases that alternate within an epoch see the same
    ones.
    """

    data = ()

    def __init__(self, spec: Spec, batches: Iterator):
        """batches: of records with x (batch, ...) and y (batch,), standing where training
        stands.
        """
        self._spec, self._batches = spec, batches
        self._kept: list[parallel.Population] = []
        self._first = spec.method.phases[0].name

    def begin(self, population: parallel.Population, epoch: int) -> None:
        """The stream shuffles by itself."""

    def pieces(self, phase: str, length: int) -> Iterator[tuple[Tree, int]]:
        """(batch, 1), `length` times; waits so that no more than IN_FLIGHT batches lie on the
        device.
        """
        if whole_passes(self._spec) or phase == self._first:
            self._kept = []
            arriving: collections.deque[parallel.Population] = collections.deque()
            for _ in range(length):
                batch = next(self._batches)
                placed = parallel.place_batch({'x': batch.x, 'y': batch.y}, self._spec.layout)
                arriving.append(placed)
                if len(arriving) > IN_FLIGHT:
                    jax.block_until_ready(arriving.popleft())
                if not whole_passes(self._spec):
                    self._kept.append(placed)
                yield placed, 1
        else:
            yield from ((batch, 1) for batch in self._kept[:length])
