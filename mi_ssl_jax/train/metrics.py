"""What a run writes: metrics.jsonl, timing.jsonl, TensorBoard events."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.summary import Writer as TensorBoard

DIGITS = 7  # float32's own precision: more would be noise in the file


def plain(value: Any) -> Any:
    """Arrays and numbers as JSON holds them: lists and floats of 7 digits, infinity and NaN as null."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray) and value.ndim or isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, int | np.integer | str | None):
        return value if not isinstance(value, np.integer) else int(value)
    return float(f'{float(value):.{DIGITS}g}') if np.isfinite(value) else None


class Writer:
    """Appends log points. metrics.jsonl holds no wall-clock, so a resumed run's file equals an uninterrupted one's."""

    def __init__(self, workdir: Path, *, size: int):
        """size: bytes of metrics.jsonl that belong to the checkpoint resumed from; what came after is dropped."""
        self._metrics = open(workdir / 'metrics.jsonl', 'ab')
        self._metrics.truncate(size)
        self._timing = open(workdir / 'timing.jsonl', 'a')
        self._events = TensorBoard(str(workdir / 'tb'))
        self._start = time.monotonic()

    @property
    def size(self) -> int:
        """Bytes of metrics.jsonl so far."""
        return self._metrics.tell()

    def write(self, line: Mapping[str, Any], *, step: int) -> None:
        """One log point; complete on disk when this returns. step: TensorBoard's horizontal axis."""
        line = plain(line)
        self._metrics.write(json.dumps(line, allow_nan=False).encode() + b'\n')
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        clock = {'epoch': line['epoch'], 'seconds': round(time.monotonic() - self._start, 3)}
        self._timing.write(json.dumps(clock) + '\n')
        self._timing.flush()
        for tag, value in _scalars(line):
            self._events.add_scalar(tag, value, step)

    def close(self) -> None:
        """Flush and close all files."""
        self._metrics.close()
        self._timing.close()
        self._events.close()


def _scalars(line: Mapping[str, Any], prefix: str = ''):
    """(tag, mean over seeds) of every per-seed list of numbers in a line."""
    for key, value in line.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f'{prefix}{key}/')
        elif isinstance(value, list) and value and all(isinstance(entry, float | int) for entry in value):
            yield f'{prefix}{key}', float(np.mean(value))
