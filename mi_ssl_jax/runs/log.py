"""Writers of a run's logs: metrics.jsonl, timing.jsonl, TensorBoard events."""

import contextlib
import itertools
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

T = TypeVar('T')
COMPILED = '/jax/core/compile/backend_compile_duration'  # JAX's name of the event
DIGITS = 7  # float32's own precision: more would be noise in the file


def plain(value: Any) -> Any:
    """Arrays and numbers as JSON holds them: lists and floats of 7 digits, infinity and NaN as
    null.
    """
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray) and value.ndim or isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, int | np.integer | str | None):
        return value if not isinstance(value, np.integer) else int(value)
    return float(f'{float(value):.{DIGITS}g}') if np.isfinite(value) else None


def check_size(path: Path, size: int) -> None:
    """ValueError when a file is shorter than the `size` bytes that a checkpoint knows of."""
    there = path.stat().st_size if path.exists() else 0
    if there < size:
        raise ValueError(
            f'{path} has {there} bytes, but had {size} when the checkpoint was saved: restore the'
            ' file, or train in another workdir'
        )


class Lines:
    """A file that grows by whole lines only, each on disk before the next."""

    def __init__(self, path: Path, *, size: int, make_room: Callable[[], None]):
        """size: bytes to keep; what lies behind them is dropped. make_room: called when a line does
        not fit, before a second try. ValueError when the file is shorter than `size`.
        """
        check_size(path, size)
        self.size, self._path, self._make_room = size, path, make_room
        self._file = open(path, 'ab', buffering=0)
        self._file.truncate(size)

    def add(self, text: str) -> None:
        """Append a line. OSError, with the file's name, when it cannot be written; then nothing of
        it stays.
        """
        data = f'{text}\n'.encode()
        try:
            self._append(data)
        except OSError:
            self._make_room()
            self._append(data)

    def _append(self, data: bytes) -> None:
        try:
            _write_all(self._file, data)
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self.size)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self.size += len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Clock:
    """Seconds since it was made. spent: of them, in training steps, in evaluations, in XLA's
    compilations, which are in neither, and waiting for checkpoints.
    """

    def __init__(self):
        self._start = time.monotonic()
        self.spent = {'training': 0.0, 'evaluation': 0.0, 'compilation': 0.0, 'saving': 0.0}

    @contextlib.contextmanager
    def spending(self, name: str) -> Iterator[None]:
        """Count the block's time, without what is counted within it."""
        started, before = time.monotonic(), sum(self.spent.values())
        try:
            yield
        finally:
            within = sum(self.spent.values()) - before
            self.spent[name] += time.monotonic() - started - within

    def evaluating(self, evaluate: Callable[..., T]) -> Callable[..., T]:
        """The function; its time counts as evaluation."""

        def timed(*arguments: Any, **options: Any) -> T:
            with self.spending('evaluation'):
                return evaluate(*arguments, **options)

        return timed

    def training(self, chunks: Iterator[T]) -> Iterator[T]:
        """The chunks of training; the time until each is there counts as training."""
        while True:
            with self.spending('training'):
                now = next(chunks, None)
            if now is None:
                return
            yield now

    def listen(self, event: str, seconds: float, **about: Any) -> None:
        """Count a compilation that JAX tells of; see jax.monitoring."""
        if event == COMPILED:
            self.spent['compilation'] += seconds

    def reading(self) -> dict[str, float]:
        """All seconds so far, as a line of timing.jsonl holds them."""
        now = {'seconds': time.monotonic() - self._start, **self.spent}
        return {name: round(value, 3) for name, value in now.items()}


class Writer:
    """Appends log points. metrics.jsonl holds no wall-clock, so a resumed run's file equals an
    uninterrupted one's.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        size: int,
        timing_size: int,
        report: Callable[[str], None],
        make_room: Callable[[], None],
        clock: Clock | None = None,
        settings: Mapping[str, Any] | None = None,
    ):
        """size, timing_size: bytes of metrics.jsonl and timing.jsonl that belong to the checkpoint
        resumed from; what came
        after is dropped. report: told when TensorBoard's events can no longer be written, which
        ends nothing else.
        make_room: called when a line does not fit, before a second try. clock: of all that write
        beside this one. settings: the configuration by field, for TensorBoard's table of
        hyperparameters.
        """
        timing = workdir / 'timing.jsonl'
        self._metrics = Lines(workdir / 'metrics.jsonl', size=size, make_room=make_room)
        kept = min(timing_size, timing.stat().st_size if timing.exists() else 0)
        self._timing = Lines(timing, size=kept, make_room=make_room)
        self._report, self._clock, self._epoch = report, clock or Clock(), None
        self._events = None
        try:
            self._events = _open_events(workdir / 'tb', settings or {})
        except OSError as error:
            self._without_events(error)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of metrics.jsonl ('bytes') and of timing.jsonl ('timing') so far."""
        return {'bytes': self._metrics.size, 'timing': self._timing.size}

    def write(self, line: Mapping[str, Any], *, step: int) -> None:
        """One log point; complete on disk when this returns. step: TensorBoard's horizontal axis.

        OSError, with the file's name, when metrics.jsonl or timing.jsonl cannot be written.
        """
        line = plain(line)
        self._metrics.add(json.dumps(line, allow_nan=False))
        self._epoch = line['epoch']
        self._timing.add(json.dumps({'epoch': self._epoch, **self._clock.reading()}))
        if self._events is None:
            return
        values = [scalar_pb(tag, value).value[0] for tag, value in scalars(line)]
        event = event_pb2.Event(wall_time=time.time(), step=step)
        event.summary.value.extend(values)
        try:
            RecordWriter(self._events).write(event.SerializeToString())
        except OSError as error:
            self._without_events(error)

    def _without_events(self, error: OSError) -> None:
        self._report(
            f'TensorBoard events cannot be written ({error.strerror}): continuing without'
            ' them; metrics.jsonl has everything'
        )
        if self._events is not None:
            self._events.close()
            self._events = None

    def close(self) -> None:
        """Close all files; timing.jsonl ends with the time after the last log point, as of its
        checkpoint.
        """
        if self._epoch is not None:
            with contextlib.suppress(OSError):  # a full disk, which has been told of
                self._timing.add(json.dumps({'epoch': self._epoch, **self._clock.reading()}))
        for file in (self._metrics, self._timing, self._events):
            if file is not None:
                file.close()


class _Whole:
    """A file whose write() writes everything or raises OSError."""

    def __init__(self, path: Path):
        self._file = open(path, 'ab', buffering=0)

    def write(self, data: bytes) -> None:
        _write_all(self._file, data)

    def close(self) -> None:
        self._file.close()


def _open_events(folder: Path, settings: Mapping[str, Any]) -> _Whole:
    """A new event file, with the header that TensorBoard looks for and the run's settings."""
    folder.mkdir(exist_ok=True)
    stem = f'events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}'
    number = next(
        number for number in itertools.count() if not (folder / f'{stem}.{number}').exists()
    )
    file = _Whole(folder / f'{stem}.{number}')
    events = [event_pb2.Event(wall_time=time.time(), file_version='brain.Event:2')]
    if settings:
        known = {name: _hyperparameter(value) for name, value in settings.items()}
        events.append(event_pb2.Event(wall_time=time.time(), summary=hparams_pb(known)))
    for event in events:
        RecordWriter(file).write(event.SerializeToString())
    return file


def _hyperparameter(value: Any) -> bool | int | float | str:
    """A setting as TensorBoard's hparams take it."""
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)


def _write_all(file: Any, data: bytes) -> None:
    """A raw file may take a part of what it is given, on a disk that fills up."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


class Silent:
    """A writer that writes nothing: of the processes that train together all but the first have
    one.
    """

    sizes = {'bytes': 0, 'timing': 0}

    def write(self, line: Mapping[str, Any], *, step: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def scalars(line: Mapping[str, Any], prefix: str = ''):
    """(tag, mean over seeds) of every per-seed list of numbers in a line."""
    for key, value in line.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f'{prefix}{key}/')
        elif (
            isinstance(value, list)
            and value
            and all(isinstance(entry, float | int) for entry in value)
        ):
            yield f'{prefix}{key}', float(np.mean(value))
