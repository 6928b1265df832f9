"""Recording between two chunks of training: write and show the log point, report a collapse, save
the state.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from mi_ssl_jax.core import streams
from mi_ssl_jax.evals import collapse
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs, schema
from mi_ssl_jax.figures import label_free, run_files
from mi_ssl_jax.runs import exits, exporting, processes, run_folder, signals, wandb_log
from mi_ssl_jax.runs.checkpoint import Checkpoint, Store, on_host
from mi_ssl_jax.runs.log import Clock, Silent, Writer, plain
from mi_ssl_jax.train import loop, schedule
from mi_ssl_jax.train.state import State

# Where a run stands, beside its arrays: chunks and epochs done, the pace they are counted in (see
# schedule.pace), bytes of the files that grow, the best evaluation, the configuration, the version
# of the random streams.
START = {
    'chunk': 0,
    'epoch': 0,
    'pace': None,
    'bytes': 0,
    'timing': 0,
    'best': None,
    'config': None,
    'streams': streams.VERSION,
}


class Files:
    """The growing files of one run, or of several whose seeds are one population."""

    def __init__(
        self,
        folders: Mapping[str, Path],
        configs: Mapping[str, ConfigDict],
        sizes: Mapping[str, Mapping[str, int]],
        diverged: Mapping[str, str],
        store: Store,
        say: Callable[[str], None],
    ):
        """folders, configs: by name, in the order of their seeds, of which each has as many. sizes:
        'bytes' and 'timing' up to which each one's files are kept; none for a new run. diverged:
        {name: why} of runs that write no more.

        ValueError: a file that is shorter than its size.
        """
        self._seeds = next((config.seeds for config in configs.values()), 1)
        self.diverged, self.clock = dict(diverged), Clock()
        self._listener = self.clock.listen
        jax.monitoring.register_event_duration_secs_listener(self._listener)
        # A save that is about to fail on a full disk gives its space back: lines that do not fit
        # wait for it.
        self._writers = {
            name: Writer(
                folder,
                size=sizes.get(name, START)['bytes'],
                timing_size=sizes.get(name, START)['timing'],
                report=say,
                make_room=store.wait,
                clock=self.clock,
                settings=dict(run_files.settings(run_folder.resolved(configs[name]))),
            )
            for name, folder in folders.items()
        }

    @property
    def sizes(self) -> dict[str, dict[str, int]]:
        """Bytes of each run's files."""
        return {name: writer.sizes for name, writer in self._writers.items()}

    def check(self, metrics: Mapping[str, Any], remedy: str) -> None:
        """Note the runs whose metrics are not finite."""
        for number, name in enumerate(self._writers):
            try:
                loop.check_finite(share(metrics, number, self._seeds), remedy)
            except loop.Diverged as error:
                self.diverged.setdefault(name, str(error))

    def write(self, line: Mapping[str, Any]) -> None:
        """Write each run's share of a log point."""
        for number, (name, writer) in enumerate(self._writers.items()):
            if name not in self.diverged:
                writer.write(share(line, number, self._seeds), step=steps_of(line))

    def close(self) -> None:
        """Close them."""
        jax.monitoring.unregister_event_duration_listener(self._listener)
        for writer in self._writers.values():
            writer.close()


def check_streams(progress: Mapping[str, Any], folder: Path) -> None:
    """ValueError where a checkpoint's training drew its random numbers from other streams."""
    if progress.get('streams', 1) != streams.VERSION:
        raise ValueError(
            f'{folder} was begun by a version that drew other random numbers and cannot be'
            ' continued: probe or embed it as it is, or train in another workdir'
        )


def share(tree: Any, number: int, seeds: int) -> Any:
    """A run's share of arrays whose leading axis is the seeds of all runs."""
    own = slice(number * seeds, (number + 1) * seeds)
    return jax.tree.map(lambda leaf: leaf[own] if np.ndim(leaf) else leaf, tree)


def steps_of(line: Mapping[str, Any]) -> int:
    """Steps of all phases up to a log point."""
    return sum(line.get('step', {}).values())


def describe(ready: experiments.Setup, config: ConfigDict, workdir: Path) -> None:
    """Write what a run's folder says of itself: configuration, environment, data."""
    run_folder.keep_config(experiments.decided(config), workdir)
    run_folder.write_json(workdir / 'environment.json', run_folder.environment(ready.layout))
    run_folder.write_json(workdir / run_folder.DATA, inputs.describe(ready.source))


class Recorder:
    """Writes, shows and saves one run while it trains."""

    def __init__(
        self,
        ready: experiments.Setup,
        workdir: Path,
        store: Store,
        progress: Mapping[str, Any],
        *,
        extra: Mapping[str, Any],
        say: Callable[[str], None],
    ):
        """progress: where training starts from. extra: stands in every line of metrics.jsonl. say:
        told what a person should know. ValueError when metrics.jsonl is shorter than the checkpoint
        knows it.
        """
        self._ready, self._store, self._extra, self._say = ready, store, extra, say
        self._name = workdir.name
        self._best, self._saved = progress['best'], time.monotonic()
        # the best, until the next checkpoint takes it to the disk
        self._fresh: Checkpoint | None = None
        self._fixed = {
            'pace': schedule.pace(ready.spec, ready.config.log_every),
            'config': ready.config.to_json(),
            'streams': streams.VERSION,
        }
        first = processes.first()
        name, config = workdir.name, experiments.decided(ready.config)
        folders = {name: workdir} if first else {}
        with processes.together():
            self._files = Files(folders, {name: config}, {name: progress}, {}, store, say)
            self.clock = self._files.clock
            self._tracker = wandb_log.Tracker(ready.config, workdir) if first else Silent()
            self._history, self._told = (
                collapse_figures(workdir / 'metrics.jsonl') if first else [],
                {},
            )
        self._bar = _bar(ready.config, progress['epoch'])

    def wants(self, epoch: float, asked: list[int]) -> bool:
        """Whether the state at `epoch` may be needed; see loop.train. asked: signals that came.

        Of several processes always: they agree on it when they have the chunk's numbers.
        """
        seconds = time.monotonic() - self._saved
        due = save_due(epoch, self._ready.config, seconds)
        return due or bool(asked) or processes.several()

    def take(self, now: loop.Progress, asked: list[int]) -> None:
        """Write, show and, when it is due and its state is there, save a chunk. asked: signals that
        came.

        signals.Interrupted: after a signal. cli.Stopped: a collapse that config.collapse.stop ends
        the run at, or a last
        checkpoint that could not be saved. loop.Diverged: parameters that are not finite. OSError:
        a full disk.
        """
        config = self._ready.config
        line = {**now.line, **self._extra}
        self._files.write(line)
        self._tracker.write(line, step=steps_of(line))
        _show(self._bar, now, self._name)
        if now.population is None:
            return
        collapsed = self._evaluated(now) if now.evaluated else None
        due = save_due(now.epoch, config, time.monotonic() - self._saved)
        # Several processes save and stop at the same chunk, whichever of them a signal or a clock
        # told to.
        number, collapsing, due = processes.largest(
            [asked[0] if asked else 0, collapsed is not None, due]
        )
        stop = number or collapsing or now.epoch == config.epochs
        if stop or due:
            with self.clock.spending('saving'):
                self._store.save(now.chunk, self._state(now), self._progress(now), self._fresh)
            self._fresh, self._saved = None, time.monotonic()
        if stop:
            self._stop(now, asked, collapsed)

    def close(self) -> None:
        """Close the files, and end what was tracked elsewhere."""
        self._bar.close()
        self._files.close()
        self._tracker.close()

    def _evaluated(self, now: loop.Progress) -> str | None:
        """Tell of a collapse, once a kind; keep the best. Returns why the run should stop, if it
        should.
        """
        config, width = self._ready.config, self._ready.width
        self._history.append(plain(now.line['collapse']))
        found = collapse.findings(self._history, width)
        kinds = collapse.kinds(found)
        for branch, sentence in found.items():
            if self._told.get(branch) != kinds[branch]:
                self._say(f'{self._name}, epoch {now.epoch:g}: {branch}: {sentence}')
        self._told = kinds
        trained = dict.fromkeys(phase.trains for phase in self._ready.method.phases)
        value = _figure(now.line, config.checkpoint.best, list(trained))
        if np.isfinite(value) and (
            self._best is None
            or self._best['figure'] != config.checkpoint.best
            or value > self._best['value']
        ):
            self._best = {
                'figure': config.checkpoint.best,
                'value': value,
                'number': now.chunk,
                'epoch': now.epoch,
            }
            with self.clock.spending('saving'):
                state = on_host(self._state(now))
            self._fresh = Checkpoint(now.chunk, state, self._progress(now))
        most = config.collapse.stop
        return (
            '; '.join(found.values())
            if 0 < most == collapse.collapsed_for(self._history, width, most=most)
            else None
        )

    def _state(self, now: loop.Progress) -> State:
        """The state, if all of it is finite: the last update of a chunk may break what its losses
        do not show yet.
        """
        state = experiments.stacked(now.population)
        for name, tree in state.variables.items():
            _check_finite(tree, f"the parameters of '{name}'", now.epoch)
        _check_finite(
            (state.optimiser, state.aux, state.probe),
            "the optimiser's or the method's own state",
            now.epoch,
        )
        return state

    def _progress(self, now: loop.Progress) -> dict[str, Any]:
        return {
            'chunk': now.chunk,
            'epoch': now.epoch,
            'best': self._best,
            **self._files.sizes.get(self._name, {}),
            **self._fixed,
        }

    def _stop(self, now: loop.Progress, asked: list[int], collapsed: str | None) -> None:
        """End the run, or return if it is at its end and nothing else asks for it."""
        with self.clock.spending('saving'):
            self._store.wait()
        (number,) = processes.largest(
            [asked[0] if asked else 0]
        )  # again: one may have come while it saved
        kept = self._store.newest is not None and self._store.newest['chunk'] == now.chunk
        standing = (
            'with a checkpoint; run the same command to resume'
            if kept
            else f'without a new one: {self._store.standing()}'
        )
        kept, standing, collapsed = processes.told([kept, standing, collapsed])
        if number:
            raise signals.Interrupted(number, standing)
        if now.epoch == self._ready.config.epochs and not kept:
            raise exits.Stopped(
                f'error: the end of the training could not be saved: {self._store.standing()}; run'
                ' the same command to continue from there',
                exits.UNWRITABLE,
            )
        if now.epoch < self._ready.config.epochs:
            raise exits.Stopped(
                f'stopped at epoch {now.epoch:g} {standing}: {collapsed}', exits.COLLAPSED
            )


def check(config: ConfigDict) -> None:
    """ValueError for settings of saving, stopping and tracking that cannot work."""
    schema.check_values(config)
    wandb_log.check(config)
    exporting.check(config, config.export)
    if config.checkpoint.best == 'online_top1' and not config.probe.online:
        raise ValueError(
            "checkpoint.best='online_top1' needs the online probe: set probe.online=True"
        )
    best = config.checkpoint.best
    if best in label_free.FIGURES and best not in config.mi.label_free:
        chosen = (*config.mi.label_free, best)
        raise ValueError(f"checkpoint.best='{best}' needs that figure: set mi.label_free={chosen}")


def save_due(epoch: float, config: ConfigDict, seconds: float) -> bool:
    """Whether the configuration wants a checkpoint at `epoch`. seconds: since the last one."""
    by_epochs = config.checkpoint.epochs and epoch and epoch % config.checkpoint.epochs == 0
    return seconds > 60 * config.checkpoint.minutes or bool(by_epochs)


def collapse_figures(path: Path) -> list[dict]:
    """The collapse figures of each evaluation in a metrics.jsonl. ValueError: it is damaged."""
    return [line['collapse'] for line in run_files.log(path) if 'collapse' in line]


def _figure(line: Mapping[str, Any], name: str, branches: Sequence[str]) -> float:
    """Return the figure by which the best checkpoint is chosen, the higher the better, averaged
    over seeds (and phases, or `branches`); NaN where a line lacks it.
    """
    if name == 'mi':
        return float(np.mean(line['mi']['cos_dv']))
    if name == 'online_top1':
        return float(np.mean(list(line.get('online_top1', {}).values()) or np.nan))
    if name in label_free.FIGURES:
        found = line.get('label_free', {})
        own = [found[branch][name] for branch in branches if branch in found]
        return float(np.mean(label_free.promise(label_free.FIGURES[name], own or np.nan)))
    return np.nan


def _check_finite(tree: Any, what: str, epoch: float) -> None:
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)):
        raise loop.Diverged(f'{what} are not finite after epoch {epoch:g}: lower lr')


def _bar(config: ConfigDict, start: float) -> tqdm:
    return tqdm(
        total=config.epochs,
        initial=start,
        unit='epoch',
        dynamic_ncols=True,
        disable=None if processes.first() else True,
        desc=f'{config.method.name} {config.data.name}',
        bar_format=(
            '{desc} {percentage:3.0f}%|{bar:20}| {n:.1f}/{total} epochs, {remaining} left{postfix}'
        ),
    )


def _show(bar: tqdm, now: loop.Progress, name: str) -> None:
    """Move the bar; where there is no terminal, one line an evaluation."""
    shown = {
        f'loss {phase}': f'{np.mean(value):.4f}'
        for phase, value in now.line.get('loss', {}).items()
    }
    if now.evaluated:
        shown['MI'] = f'{np.mean(now.line["mi"]["cos_dv"]):.4f} nats'
    if bar.disable and now.evaluated and processes.first():
        figures = ', '.join(f'{name} {value}' for name, value in shown.items())
        print(f'{name}, epoch {now.epoch:g} of {bar.total}: {figures}', flush=True)
    bar.set_postfix(shown, refresh=False)
    bar.update(now.epoch - bar.n)
