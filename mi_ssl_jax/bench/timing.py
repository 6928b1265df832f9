"""Times of several programs, taken in alternation, so that other work of the machine falls on all
alike.
"""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple


class Program(NamedTuple):
    """run(steps): takes steps, returns when their results are there. warm: steps before any
    timing.
    """

    run: Callable[[int], None]
    warm: int


class Times(NamedTuple):
    """Seconds a step, one entry a round. cpu: of all threads of this process."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


class Clock:
    """Wall and CPU time since it was made."""

    def __init__(self):
        self._start = time.perf_counter(), time.process_time()

    def read(self, steps: int = 1) -> Times:
        """Return the time of one step out of `steps`, as a single round."""
        wall, cpu = self._start
        return Times(
            ((time.perf_counter() - wall) / steps,), ((time.process_time() - cpu) / steps,)
        )


def alternate(
    programs: Mapping[Hashable, Program], *, steps: int, rounds: int
) -> dict[Hashable, Times]:
    """Warm every program up, then `rounds` times give each in turn `steps` steps."""
    for program in programs.values():
        program.run(program.warm)
    rounds_of = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            clock = Clock()
            program.run(steps)
            rounds_of[name].append(clock.read(steps))
    return {
        name: Times(tuple(own.wall[0] for own in found), tuple(own.cpu[0] for own in found))
        for name, found in rounds_of.items()
    }


def total(times: Sequence[Times]) -> Times:
    """One program after the other."""
    return Times(*(tuple(map(sum, zip(*own, strict=True))) for own in zip(*times, strict=True)))


def scaled(times: Times, factor: float) -> Times:
    """`factor` of the program's steps."""
    return Times(*(tuple(factor * second for second in own) for own in times))


def median(seconds: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(seconds)
