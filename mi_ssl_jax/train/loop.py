"""The training loop: passes, chunks, log points. It yields after every chunk; who calls it writes,
saves and stops.
"""

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


class Diverged(Exception):
    """A loss or one of its terms is no longer finite; the message says which, where and what to
    do.
    """


class Progress(NamedTuple):
    """chunk: how many chunks are done. epoch: epochs done, with fractions. line: the log point.
    population: the state,
    which is donated when the loop goes on. evaluated: whether the line holds an evaluation.
    """

    chunk: int
    epoch: float
    line: dict
    population: Tree
    evaluated: bool


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
) -> Iterator[Progress]:
    """Train from chunk `done` to the end; chunk 0 is the evaluation before the first step.

    feed: see train.feed. log_every: steps. evaluate_every: epochs. evaluate_steps: evaluate instead
    at the first chunk's end at or after every so many steps of all phases together; 0 = by epochs.
    The end of
    training is always evaluated. evaluate: see evals.monitor.make. check: called with each chunk's
    metrics and the method's remedy, by default check_finite.
    """
    method, layout = spec.method, spec.layout
    runs = schedule.compile_steps(spec)
    epoch_plan = list(schedule.plan(spec, log_every))
    lengths = [sum(steps for _, steps in chunk) for chunk in epoch_plan]

    def measured(**when: bool) -> dict:
        variables = population.map(lambda state: state.variables)
        return evaluate(variables, population.map(lambda state: state.lagged), **when)

    if done == 0:
        yield Progress(1, 0, {'epoch': 0, **measured(start=True)}, population, True)
        done = 1
    for epoch in range((done - 1) // len(epoch_plan), spec.passes):
        feed.begin(population, epoch)
        for index, chunk in enumerate(epoch_plan):
            number = 2 + epoch * len(epoch_plan) + index
            if number <= done:
                continue
            population, line = _run_chunk(spec, runs, population, feed, chunk)
            last = index == len(epoch_plan) - 1
            line = {
                'epoch': epoch + 1 if last else round(epoch + (index + 1) / len(epoch_plan), 6),
                **line,
            }
            (check or check_finite)(line, spec.method.remedy)
            if spec.check_replicas:
                parallel.check_replicas(population, layout)
            due = (
                _passes_a_multiple(evaluate_steps, epoch, lengths, index)
                if evaluate_steps
                else last and (epoch + 1) % evaluate_every == 0
            )
            end = last and epoch + 1 == spec.passes
            if due or end:
                line.update(measured(end=end))
            if last:
                population = population.map(lambda state: states.keep_lagged(state, method))
            yield Progress(number, line['epoch'], line, population, due or end)


def _passes_a_multiple(of: int, epoch: int, lengths: list[int], index: int) -> bool:
    """Whether the steps taken since training began reach a multiple of `of` within chunk `index` of
    an epoch.
    """
    before = epoch * sum(lengths) + sum(lengths[:index])
    return (before + lengths[index]) // of > before // of


def _run_chunk(
    spec: Spec,
    runs: dict,
    population: parallel.Population,
    feed: Feed,
    chunk: schedule.Chunk,
) -> tuple[parallel.Population, dict]:
    """Run a chunk's steps. Returns the population and the mean of each metric over them: {metric:
    {phase: (seeds,)}}.
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
    sums, steps = jax.device_get((sums, population.map(lambda state: state.steps).first()))
    line = {'step': {name: int(count) for name, count in steps.items()}}
    for name, metrics in sums.items():
        for metric, value in metrics.items():
            line.setdefault(metric, {})[name] = value / taken[name]
    return population, line


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
