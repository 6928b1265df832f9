"""The training loop: passes, chunks, log points. It yields after every chunk; who calls it writes,
saves and stops.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.train import feed as feeds
from mi_ssl_jax.train import schedule
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train.spec import Spec

Tree = Any
Feed = feeds.Resident | feeds.Streamed
# Seconds from which on a chunk is read before the next one begins: a signal would wait for both.
SLOW = 5.0


class Diverged(Exception):
    """A loss or one of its terms is no longer finite; the message says which, where and what to
    do.
    """


class Progress(NamedTuple):
    """chunk: how many chunks are done. epoch: epochs done, with fractions. line: the log point.
    population: the state, which is donated when the loop goes on; None where it has gone on
    already. evaluated: whether the line holds an evaluation.
    """

    chunk: int
    epoch: float
    line: dict
    population: Tree | None
    evaluated: bool


class _Planned(NamedTuple):
    """A chunk that is due. epoch: the pass that it belongs to. ended: epochs done at its end. last:
    of its pass. end: of training.
    """

    number: int
    parts: schedule.Chunk
    epoch: int
    ended: float
    last: bool
    evaluated: bool
    end: bool


class _Running(NamedTuple):
    """A chunk that the devices were given. steps: of each phase, at its end. taken: in it. sums: of
    each phase's metrics over them, on the devices.
    """

    planned: _Planned
    steps: dict[str, int]
    taken: dict[str, int]
    sums: dict[str, Tree]


def train(
    spec: Spec,
    population: parallel.Population,
    feed: Feed,
    *,
    log_every: int,
    evaluate_every: int,
    evaluate: Callable[..., dict],
    evaluate_steps: int = 0,
    done: int = 0,
    check: Callable[[dict, str], None] | None = None,
    wanted: Callable[[float], bool] = lambda epoch: True,
) -> Iterator[Progress]:
    """Train from chunk `done` to the end; chunk 0 is the evaluation before the first step.

    feed: see train.feed. log_every: steps. evaluate_every: epochs. evaluate_steps: evaluate instead
    at the first chunk's end at or after every so many steps of all phases together; 0 = by epochs.
    The end of
    training is always evaluated. evaluate: see evals.monitor.make. check: called with each chunk's
    metrics and the method's remedy, by default check_finite.

    wanted(epoch): whether the caller needs the state where a chunk ends. Where it does not, the
    devices have the next chunk before this one's numbers are read, and never wait for the host. A
    stream's batches would pile up on them: its chunks are read one by one, as slow ones are.
    """
    method, runs = spec.method, schedule.compile_steps(spec)
    clock, lasted = time.monotonic(), 0.0

    def measured(**when: bool) -> dict:
        variables = population.map(lambda state: state.variables)
        return evaluate(variables, population.map(lambda state: state.lagged), **when)

    def read(chunk: _Running) -> dict:
        nonlocal clock, lasted
        line, before = _line(chunk), clock
        clock = time.monotonic()
        lasted = clock - before
        (check or check_finite)(line, method.remedy)
        return line

    if done == 0:
        yield Progress(1, 0, {'epoch': 0, **measured(start=True)}, population, True)
    steps = jax.device_get(population.map(lambda state: state.steps).first())
    begun, running = None, None
    for planned in _plan(spec, log_every, evaluate_every, evaluate_steps, max(done, 1)):
        if planned.epoch != begun:
            feed.begin(population, planned.epoch)
            begun = planned.epoch
        population, taken, sums = _dispatch(spec, runs, population, feed, planned.parts)
        steps = {name: int(count) + taken.get(name, 0) for name, count in steps.items()}
        if running is not None:
            before = running.planned
            yield Progress(before.number, before.ended, read(running), None, False)
        running = _Running(planned, steps, taken, sums)
        one_by_one = planned.evaluated or spec.check_replicas or feed.data == ()
        held = one_by_one or lasted > SLOW or wanted(planned.ended)
        if held:
            line, running = read(running), None
        if spec.check_replicas:
            parallel.check_replicas(population, spec.layout)
        if planned.evaluated:
            line.update(measured(end=planned.end))
        if planned.last:
            population = population.map(lambda state: states.keep_lagged(state, method))
        if held:
            yield Progress(planned.number, planned.ended, line, population, planned.evaluated)


def _plan(
    spec: Spec, log_every: int, evaluate_every: int, evaluate_steps: int, done: int
) -> Iterator[_Planned]:
    """Yield the chunks behind the first `done`; see train."""
    plan = list(schedule.plan(spec, log_every))
    lengths = [sum(steps for _, steps in chunk) for chunk in plan]
    for number in range(done + 1, 2 + spec.passes * len(plan)):
        epoch, index = divmod(number - 2, len(plan))
        last = index == len(plan) - 1
        ended = epoch + 1 if last else round(epoch + (index + 1) / len(plan), 6)
        end = last and epoch + 1 == spec.passes
        due = (
            _passes_a_multiple(evaluate_steps, epoch, lengths, index)
            if evaluate_steps
            else last and (epoch + 1) % evaluate_every == 0
        )
        yield _Planned(number, plan[index], epoch, ended, last, due or end, end)


def _passes_a_multiple(of: int, epoch: int, lengths: list[int], index: int) -> bool:
    """Whether the steps taken since training began reach a multiple of `of` within chunk `index` of
    an epoch.
    """
    before = epoch * sum(lengths) + sum(lengths[:index])
    return (before + lengths[index]) // of > before // of


def _dispatch(
    spec: Spec,
    runs: dict,
    population: parallel.Population,
    feed: Feed,
    chunk: schedule.Chunk,
) -> tuple[parallel.Population, dict[str, int], dict[str, Tree]]:
    """Give the devices a chunk's steps, without waiting for them. Returns the population, the steps
    of each phase and the sum of each of its metrics over them.
    """
    method = spec.method
    sums: dict[str, Tree] = {}
    taken: dict[str, int] = {}
    for name, steps in chunk:
        phase = states.phase_of(method, name)
        trained, frozen = population.map(lambda state: states.split(state, method, phase)).unzip()
        for batches, length in feed.pieces(name, steps):
            trained, metrics = runs[name](trained, frozen, feed.data, batches, length)
            sums[name] = metrics if name not in sums else jax.tree.map(jnp.add, sums[name], metrics)
            taken[name] = taken.get(name, 0) + length
        population = population.map(lambda state, own: states.merge(state, phase, own), trained)
    return population, taken, sums


def _line(chunk: _Running) -> dict:
    """Wait for a chunk. Returns its log point, with the mean of each metric over its steps:
    {metric: {phase: (seeds,)}}.
    """
    line: dict[str, Any] = {'epoch': chunk.planned.ended, 'step': chunk.steps}
    for name, metrics in jax.device_get(chunk.sums).items():
        for metric, value in metrics.items():
            line.setdefault(metric, {})[name] = value / chunk.taken[name]
    return line


def check_finite(line: dict, remedy: str) -> None:
    """Diverged, with the method's remedy, if a number of a log line is not finite."""
    for metric, phases in line.items():
        for phase, values in phases.items() if metric not in ('epoch', 'step') else ():
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise Diverged(
                    f"the {metric} of phase '{phase}' is {np.ravel(values)[bad[0]]} at epoch"
                    f' {line["epoch"]:g} (seed number {bad[0]} of {len(np.ravel(values))}):'
                    f' {remedy}'
                )
