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

from mi_ssl_jax.core import streams
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.runs import exits, recording, run_folder, signals, weights
from mi_ssl_jax.runs.checkpoint import Store
from mi_ssl_jax.sweep import results
from mi_ssl_jax.sweep.plan import Member
from mi_ssl_jax.train import loop, schedule
from mi_ssl_jax.train.state import State

Say = Callable[[str], None]
AGAIN = 'run the same command to continue from there'
START = {'chunk': 0, 'epoch': 0, 'sizes': {}, 'diverged': {}, 'streams': streams.VERSION}


class Standing(NamedTuple):
    """The progress of a population.

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
            recording.describe(ready, member.config, member.folder)
        store = Store(folder / 'checkpoints', keep=ready.config.checkpoint.keep, report=say)
        stack.enter_context(contextlib.closing(store))
        asked = stack.enter_context(signals.watched(lambda: f'{store.standing()}; {AGAIN}'))
        found = store.restore(experiments.abstract(ready))
        standing = Standing(found[1], found[2]) if found else Standing(None, START)
        if standing.progress['epoch'] < ready.config.epochs:
            recording.check_streams(standing.progress, folder)
            standing = _go_on(ready, members, standing, store, asked, say)
        return _hand_out(ready, members, standing, say)


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
        weights.initial(ready, say=say)
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
    folders = {member.folder.name: member.folder for member in members}
    configs = {member.folder.name: member.config for member in members}
    files = recording.Files(folders, configs, progress['sizes'], progress['diverged'], store, say)
    with (
        contextlib.closing(files),
        bar,
        inputs.feeding(ready.source, ready.spec, config, position) as feed,
    ):
        chunks = loop.train(
            ready.spec,
            population,
            feed,
            log_every=config.log_every,
            evaluate_every=config.mi.every,
            evaluate=files.clock.evaluating(experiments.measure(ready)),
            evaluate_steps=config.mi.every_steps,
            done=progress['chunk'],
            check=files.check,
            wanted=lambda epoch: (
                bool(asked)
                or len(files.diverged) == len(members)
                or recording.save_due(epoch, config, time.monotonic() - saved)
            ),
        )
        for now in files.clock.training(chunks):
            files.write(now.line)
            bar.update(now.epoch - bar.n)
            if now.population is None:
                continue
            last = now.epoch == config.epochs or len(files.diverged) == len(members)
            if last or asked or recording.save_due(now.epoch, config, time.monotonic() - saved):
                progress = {'chunk': now.chunk, 'epoch': now.epoch, 'sizes': files.sizes}
                progress |= {'diverged': dict(files.diverged), 'streams': streams.VERSION}
                standing = Standing(experiments.stacked(now.population), progress)
                with files.clock.spending('saving'):
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
        name, own = member.folder.name, recording.share(standing.state, number, member.config.seeds)
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
                    f'error: {member.folder} could not be saved; run the same command to try again',
                    exits.UNWRITABLE,
                )
    return diverged
