"""One run in its folder: train it or resume it, go back when it diverges, give back what was
trained.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs, schema
from mi_ssl_jax.figures import run_files
from mi_ssl_jax.runs import exits, log, processes, recording, run_folder, signals, weights
from mi_ssl_jax.runs.checkpoint import Elsewhere, Store
from mi_ssl_jax.runs.restoring import restore as restore
from mi_ssl_jax.train import loop, schedule

Tree = Any
Say = Callable[[str], None]


class Start(NamedTuple):
    """The point from which training continues. progress: see recording.START. lr_factor: of the
    configured learning rate, after roll-backs.
    """

    population: Tree
    progress: Mapping[str, Any]
    lr_factor: float


def run(
    config: ConfigDict, workdir: Path, *, force: bool = False, say: Say = tqdm.write
) -> experiments.Setup:
    """Train `config` in `workdir` to its last epoch, from where the folder stands. Returns the
    setup, for probes.

    force: go on from a checkpoint of another configuration, where its arrays fit. ValueError: a
    configuration that cannot
    work, or a folder of another configuration or in use. train.loop.Diverged: a loss that is not
    finite; the last good
    checkpoint stays. signals.Interrupted: SIGINT or SIGTERM. cli.Stopped: a collapse to stop at, a
    full disk.

    Of several processes the first alone reads and writes the folder; the others learn from it where
    to go on.
    """
    first = processes.first()
    say = say if first else lambda line: None
    with contextlib.ExitStack() as held:
        with signals.watched(lambda: 'before training began', at_once=True):
            begun = {}
            with processes.together():
                recording.check(config)
                if first:
                    held.enter_context(run_folder.claim(workdir))
                    begun = {} if force else run_folder.begun(config, workdir, say=say)
                    own = schema.changed(config, begun)
                    run_folder.check_same(own, workdir, force=force, say=say)
            config = schema.changed(config, processes.told(begun))
            with processes.together():
                ready = experiments.setup(config)
        if not ready.source.classes:
            say(
                f'{inputs.without_classes(ready.source)}: probes and figures of classes are left'
                ' out'
            )
        store = (
            Store(workdir / 'checkpoints', keep=config.checkpoint.keep, report=say)
            if first
            else Elsewhere()
        )
        held.enter_context(contextlib.closing(store))
        standing = signals.watched(
            lambda: f'{store.standing()}; run the same command to continue from there'
        )
        asked, start = held.enter_context(standing), _start(ready, workdir, store, say)
        while start.progress['epoch'] < config.epochs:
            try:
                _go_on(ready, workdir, store, start, asked, say)
                return ready
            except loop.Diverged as error:
                _roll_back(error, config, workdir, store, say)
                start = _start(ready, workdir, store, say)
    if first:
        log.check_size(workdir / 'metrics.jsonl', start.progress['bytes'])
        if not (workdir / 'config.json').exists():
            run_folder.keep_config(config, workdir)
    say(f'{workdir} is finished ({start.progress["epoch"]:g} epochs); set more epochs to continue')
    return ready


def _start(ready: experiments.Setup, workdir: Path, store: Store, say: Say) -> Start:
    """The newest good checkpoint or the initial state, with the learning rate that is due there.

    Process 0 sends it to the others: all go on from the same step, with the same bits.
    """
    layout, like = ready.layout, experiments.abstract(ready)
    with processes.together():
        number, state, saved = store.restore(like) or (
            0,
            experiments.stacked(weights.initial(ready, say=say)),
            {},
        )
    state = processes.from_first(state, like)
    number, saved, done = processes.told(
        [number, saved, _rollbacks(workdir) if processes.first() else []]
    )
    progress = {**recording.START, **saved}
    if saved and progress['epoch'] < ready.config.epochs:
        recording.check_streams(saved, workdir)
    if progress['pace'] not in (None, schedule.pace(ready.spec, ready.config.log_every)):
        raise ValueError(
            f'{workdir} counts its epochs in other steps: batch_size, data, period and log_every'
            ' must stay as they were, with --force too; train in another workdir'
        )
    # Roll-backs to a checkpoint that was lost since are made again when training comes there.
    rollbacks = [entry for entry in done if entry['chunk'] <= number]
    factor = rollbacks[-1]['lr_factor'] if rollbacks else 1.0
    if len(rollbacks) < len(done) and processes.first():
        run_folder.write_json(workdir / 'rollbacks.json', rollbacks)
    hyper = {
        name: np.float32([own[name] * (factor if name == 'lr' else 1) for own in ready.spec.hyper])
        for name in state.hyper
    }
    return Start(experiments.from_stacked(state._replace(hyper=hyper), layout), progress, factor)


def _go_on(
    ready: experiments.Setup, workdir: Path, store: Store, start: Start, asked: list[int], say: Say
) -> None:
    config = ready.config
    if start.progress['chunk']:
        say(f'resuming {workdir} at epoch {start.progress["epoch"]:g}')
    if processes.first():
        recording.describe(ready, config, workdir)
    position = inputs.taken(ready.spec, start.population.map(lambda state: state.steps).first())
    extra = {} if start.lr_factor == 1 else {'lr_factor': start.lr_factor}
    recorder = recording.Recorder(ready, workdir, store, start.progress, extra=extra, say=say)
    with (
        contextlib.closing(recorder),
        inputs.feeding(ready.source, ready.spec, config, position) as feed,
    ):
        chunks = loop.train(
            ready.spec,
            start.population,
            feed,
            log_every=config.log_every,
            evaluate_every=config.mi.every,
            evaluate=recorder.clock.evaluating(experiments.measure(ready)),
            evaluate_steps=config.mi.every_steps,
            done=start.progress['chunk'],
            wanted=lambda epoch: recorder.wants(epoch, asked),
        )
        try:
            for now in recorder.clock.training(chunks):
                recorder.take(now, asked)
        except OSError as error:
            if error.errno not in exits.NO_ROOM:
                raise
            store.wait()
            raise exits.Stopped(
                f'error: {exits.no_room(error)}; {store.standing()}; free some space, then'
                ' run the same command to continue from there',
                exits.UNWRITABLE,
            ) from error


def _roll_back(
    error: loop.Diverged, config: ConfigDict, workdir: Path, store: Store, say: Say
) -> None:
    """Note in rollbacks.json that training goes on from the last checkpoint with a lower learning
    rate, before it does; raises `error` when it may not.
    """
    done = _rollbacks(workdir) if processes.first() else []
    if processes.told(len(done)) >= config.rollback.times:
        raise error
    if not processes.first():
        return
    store.wait()
    back = {name: (store.newest or recording.START)[name] for name in ('chunk', 'epoch')}
    factor = (done[-1]['lr_factor'] if done else 1.0) * config.rollback.factor
    run_folder.write_json(
        workdir / 'rollbacks.json', [*done, {**back, 'lr_factor': factor, 'reason': str(error)}]
    )
    say(
        f'{error}; back to epoch {back["epoch"]:g} with {factor:g} times the learning rate '
        f'(roll-back {len(done) + 1} of {config.rollback.times})'
    )


def _rollbacks(workdir: Path) -> list[dict]:
    path = workdir / 'rollbacks.json'
    if not path.exists():
        return []
    remedy = 'remove it, and training goes on without the roll-backs that it lists'
    return run_files.json_value(path, list, remedy)
