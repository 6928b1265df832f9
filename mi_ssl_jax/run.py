"""One run in its folder: train or resume, write what was measured, save, and finish with probes, pictures and a report."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from mi_ssl_jax import experiment as experiments
from mi_ssl_jax import parallel, rundir, sources
from mi_ssl_jax.train import loop
from mi_ssl_jax.train.checkpoint import Store
from mi_ssl_jax.train.metrics import Writer
from mi_ssl_jax.train.state import State


class Interrupted(Exception):
    """A signal asked the run to stop; it did so at a chunk's end, with a checkpoint. signal: its number."""

    def __init__(self, number: int):
        super().__init__(f'stopped by {signal.Signals(number).name} with a checkpoint; the same command resumes')
        self.signal = number


def run(config: ConfigDict, workdir: Path, *, say: Callable[[str], None] = print) -> experiments.Setup:
    """Train `config` in `workdir` to its last epoch, from where the folder stands. Returns the setup, for probes.

    ValueError: a configuration that cannot work, or a folder of another configuration or in use. train.loop.Diverged: a
    loss that is not finite; the last good checkpoint stays. Interrupted: SIGINT or SIGTERM.
    """
    with rundir.claim(workdir):
        rundir.check_same(config, workdir)
        ready = experiments.setup(config)
        rundir.write_json(workdir / 'config.json', rundir.resolved(config))
        rundir.write_json(workdir / 'environment.json', rundir.environment(ready.layout))
        store = Store(workdir / 'checkpoints', keep=config.checkpoint.keep, report=say)
        with contextlib.closing(store):
            _train(ready, workdir, store, say)
    return ready


def restore(ready: experiments.Setup, workdir: Path, *, say: Callable[[str], None] = print):
    """(population, progress) of a run's newest good checkpoint. ValueError when there is none."""
    with contextlib.closing(Store(workdir / 'checkpoints', keep=1, report=say)) as store:
        found = store.restore(experiments.abstract(ready))
    if found is None:
        raise ValueError(f'{workdir} holds no checkpoint: train it first with python -m mi_ssl_jax.main')
    return experiments.from_stacked(found[1], ready.layout), found[2]


def _train(ready: experiments.Setup, workdir: Path, store: Store, say: Callable[[str], None]) -> None:
    config, layout = ready.config, ready.layout
    found = store.restore(experiments.abstract(ready))
    if found is None:
        population, progress = experiments.initial(ready), {'chunk': 0, 'epoch': 0, 'bytes': 0}
    else:
        population, progress = experiments.from_stacked(found[1], layout), found[2]
        if progress['epoch'] >= config.epochs:
            say(f"{workdir} is finished ({progress['epoch']:g} epochs); set more epochs to go on")
            return
        say(f"resuming {workdir} at epoch {progress['epoch']:g}")
    writer = Writer(workdir, size=progress['bytes'])
    steps = parallel.members(parallel.per_seed(lambda state: state.steps, population, layout), layout)[0]
    position = sources.taken(ready.experiment, steps)
    with contextlib.closing(writer), sources.feeding(ready.source, ready.experiment, config, position) as feed:
        chunks = loop.train(ready.experiment, population, feed, log_every=config.log_every,
                            evaluate_every=config.mi.every, evaluate=experiments.measure(ready),
                            evaluate_steps=config.mi.every_steps, done=progress['chunk'])
        with _signals() as asked, _bar(config, progress['epoch']) as bar:
            _record(ready, chunks, writer, store, asked, bar)


def _record(ready: experiments.Setup, chunks: Iterator[loop.Progress], writer: Writer, store: Store, asked: list[int],
            bar: tqdm) -> None:
    """Write, show and save while training goes on. asked: signals that came."""
    config, saved = ready.config, time.monotonic()
    for now in chunks:
        writer.write(now.line, step=sum(now.line.get('step', {}).values()))
        _show(bar, now)
        due = time.monotonic() - saved > 60 * config.checkpoint.minutes
        if due or asked or now.epoch == config.epochs:
            progress = {'chunk': now.chunk, 'epoch': now.epoch, 'bytes': writer.size}
            store.save(now.chunk, _finite(experiments.stacked(now.population, ready.layout), now), progress)
            saved = time.monotonic()
        if asked and now.epoch < config.epochs:
            store.wait()
            raise Interrupted(asked[0])


def _finite(state: State, now: loop.Progress) -> State:
    """The state, if all of it is finite: the last update of a chunk may break what its losses do not show yet."""
    for name, tree in state.variables.items():
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)):
            raise loop.Diverged(f"the parameters of '{name}' are not finite after epoch {now.epoch:g}: lower lr")
    return state


def _bar(config: ConfigDict, start: float) -> tqdm:
    return tqdm(total=config.epochs, initial=start, unit='epoch', disable=None, dynamic_ncols=True,
                desc=f'{config.method.name} {config.data.name}', bar_format='{desc} {percentage:3.0f}%|{bar:20}| '
                '{n:.1f}/{total} epochs, {remaining} left{postfix}')


def _show(bar: tqdm, now: loop.Progress) -> None:
    shown = {f'loss {phase}': f'{np.mean(value):.4f}' for phase, value in now.line.get('loss', {}).items()}
    if now.evaluated:
        shown['MI'] = f"{np.mean(now.line['mi']['cos_dv']):.4f} nats"
    bar.set_postfix(shown, refresh=False)
    bar.update(now.epoch - bar.n)


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them; a second one ends the process at once."""
    asked = []

    def handle(number, frame):
        if asked:
            os._exit(128 + number)
        asked.append(number)

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: who runs us there handles signals
        before = {}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
