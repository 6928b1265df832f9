"""Configurations that share a compiled step, trained as one population; each writes a run's
folder.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.runs import exits, recording, run_folder, signals
from mi_ssl_jax.runs.checkpoint import Store
from mi_ssl_jax.runs.log import Writer
from mi_ssl_jax.sweep import results
from mi_ssl_jax.sweep.plan import Member
from mi_ssl_jax.train import loop, schedule
from mi_ssl_jax.train.state import State

Say = Callable[[str], None]
AGAIN = 'the same command goes on from there'
START = {'chunk': 0, 'epoch': 0, 'sizes': {}, 'diverged': {}}


class Standing(NamedTuple):
    """Where a population stands.

    state: on the host, the seeds of the first member, of the second, ...; None before the start.
    progress: chunk, epoch; sizes: of each member's growing files; diverged: {member: why}.
    """

    state: State | None
    progress: Mapping[str, Any]


def train(
    ready: experiments.Setup, members: Sequence[Member], folder: Path, *, say: Say
) -> dict[str, str]:
    """Train all members to the last epoch, from where `folder` stands; save each one's state in its
    folder.

    Returns {member: why} of those that diverged: they write no more, and the others go on. No best
    checkpoint
    is kept. ready: of the population, see spec.together.

    ValueError: a member's folder of another configuration or in use. signals.Interrupted: SIGINT or
    SIGTERM.
    """
    with contextlib.ExitStack() as stack:
        for member in members:
            stack.enter_context(run_folder.claim(member.folder))
            run_folder.check_same(member.config, member.folder, force=False, say=say)
            run_folder.keep_config(member.config, member.folder)
            run_folder.write_json(
                member.folder / 'environment.json', run_folder.environment(ready.layout)
            )
            run_folder.write_json(member.folder / run_folder.DATA, inputs.describe(ready.source))
        store = Store(folder / 'checkpoints', keep=ready.config.checkpoint.keep, report=say)
        stack.enter_context(contextlib.closing(store))
        asked = stack.enter_context(signals.watched(lambda: f'{store.standing()}; {AGAIN}'))
        found = store.restore(experiments.abstract(ready))
        standing = Standing(found[1], found[2]) if found else Standing(None, START)
        if standing.progress['epoch'] < ready.config.epochs:
            standing = _go_on(ready, members, standing, store, asked, say)
        return _hand_out(ready, members, standing, say)


class _Files:
    """The growing files of all members, and which of them are closed for good."""

    def __init__(
        self,
        members: Sequence[Member],
        progress: Mapping[str, Any],
        seeds: int,
        store: Store,
        say: Say,
    ):
        """seeds: of each member."""
        self._writers, self._seeds = {}, seeds
        for member in members:
            size = progress['sizes'].get(member.folder.name, {'bytes': 0, 'timing': 0})
            self._writers[member.folder.name] = Writer(
                member.folder,
                size=size['bytes'],
                timing_size=size['timing'],
                report=say,
                make_room=store.wait,
            )
        self.diverged = dict(progress['diverged'])

    def check(self, metrics: Mapping[str, Any], remedy: str) -> None:
        """Note the members whose metrics are not finite."""
        for number, name in enumerate(self._writers):
            try:
                loop.check_finite(_own(metrics, number, self._seeds), remedy)
            except loop.Diverged as error:
                self.diverged.setdefault(name, str(error))

    def write(self, line: Mapping[str, Any]) -> None:
        """Each member's share of a log point."""
        for number, (name, writer) in enumerate(self._writers.items()):
            if name not in self.diverged:
                writer.write(
                    _own(line, number, self._seeds), step=sum(line.get('step', {}).values())
                )

    def progress(self, now: loop.Progress) -> dict[str, Any]:
        """What a checkpoint remembers."""
        return {
            'chunk': now.chunk,
            'epoch': now.epoch,
            'diverged': dict(self.diverged),
            'sizes': {name: writer.sizes for name, writer in self._writers.items()},
        }

    def close(self) -> None:
        """Close them."""
        for writer in self._writers.values():
            writer.close()


def _go_on(
    ready: experiments.Setup,
    members: Sequence[Member],
    standing: Standing,
    store: Store,
    asked: list[int],
    say: Say,
) -> Standing:
    """Train to the last epoch, or until no member is left."""
    config, layout, progress = ready.config, ready.layout, standing.progress
    population = (
        experiments.initial(ready)
        if standing.state is None
        else experiments.from_stacked(standing.state, layout)
    )
    steps = population.map(lambda state: state.steps).first()
    position, saved = inputs.taken(ready.spec, steps), time.monotonic()
    bar = tqdm(
        total=config.epochs,
        initial=progress['epoch'],
        unit='epoch',
        disable=None,
        dynamic_ncols=True,
        desc=f'{config.method.name} {config.data.name}, {len(members)} configurations',
    )
    with (
        contextlib.closing(_Files(members, progress, config.seeds, store, say)) as files,
        bar,
        inputs.feeding(ready.source, ready.spec, config, position) as feed,
    ):
        chunks = loop.train(
            ready.spec,
            population,
            feed,
            log_every=config.log_every,
            evaluate_every=config.mi.every,
            evaluate=experiments.measure(ready),
            evaluate_steps=config.mi.every_steps,
            done=progress['chunk'],
            check=files.check,
        )
        for now in chunks:
            files.write(now.line)
            bar.update(now.epoch - bar.n)
            last = now.epoch == config.epochs or len(files.diverged) == len(members)
            if last or asked or recording.save_due(now, config, time.monotonic() - saved):
                standing = Standing(experiments.stacked(now.population), files.progress(now))
                store.save(now.chunk, standing.state, standing.progress)
                saved = time.monotonic()
            if asked:
                store.wait()
                raise signals.Interrupted(asked[0], f'{store.standing()}; {AGAIN}')
            if last:
                break
    return standing


def _hand_out(
    ready: experiments.Setup, members: Sequence[Member], standing: Standing, say: Say
) -> dict[str, str]:
    """Save each unfinished member's state in its folder, as its run would. Returns those that
    diverged.
    """
    progress, diverged = standing.progress, dict(standing.progress['diverged'])
    pace = schedule.pace(ready.spec, ready.config.log_every)
    for number, member in enumerate(members):
        name, own = member.folder.name, _own(standing.state, number, member.config.seeds)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(own.variables)):
            diverged.setdefault(
                name, f'not finite parameters after epoch {progress["epoch"]:g}: lower lr'
            )
        if name in diverged or results.status(member) != 'unfinished':
            continue
        keep = member.config.checkpoint.keep
        with contextlib.closing(
            Store(member.folder / 'checkpoints', keep=keep, report=say)
        ) as store:
            store.save(
                progress['chunk'],
                own,
                {
                    **recording.START,
                    'chunk': progress['chunk'],
                    'epoch': progress['epoch'],
                    'pace': pace,
                    **progress['sizes'][name],
                    'config': member.config.to_json(),
                },
            )
            store.wait()
            if store.newest is None:
                raise exits.Stopped(
                    f'error: {member.folder} could not be saved; the same command tries again',
                    exits.UNWRITABLE,
                )
    return diverged


def _own(tree: Any, number: int, seeds: int) -> Any:
    """A member's share of arrays whose leading axis is the seeds of all members."""
    share = slice(number * seeds, (number + 1) * seeds)
    return jax.tree.map(lambda leaf: leaf[share] if np.ndim(leaf) else leaf, tree)
