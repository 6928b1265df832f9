"""Wall time of a run's training loop, from timing.jsonl, and where it went."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.figures import run_files

SPENT = {
    'training': 'training steps',
    'evaluation': 'evaluation',
    'compilation': 'compilation',
    'saving': 'checkpoints',
}
_REMEDY = 'remove it; no other file depends on it'


class Timing(NamedTuple):
    """Seconds over all sessions of a run: from its start, and from each time it was resumed.

    epochs, seconds_at: (T,) each log point and when it was written. spent: seconds by name of
    `SPENT`; empty where an earlier version wrote a part of the file.
    """

    seconds: float
    sessions: int
    epochs: np.ndarray
    seconds_at: np.ndarray
    spent: dict[str, float]

    @property
    def goodput(self) -> float:
        """Share of the wall time that was spent in training steps; NaN where it is not known."""
        return self.spent['training'] / self.seconds if self.spent and self.seconds else np.nan


def read(workdir: str | Path) -> Timing | None:
    """Read a run's timing.jsonl. None where there is none, or no line in it.

    Raises:
        ValueError: it is damaged.
    """
    path = Path(workdir) / 'timing.jsonl'
    if not path.exists():
        return None
    lines = []
    for where, point in run_files.points(path, _REMEDY):
        own = [point[name] for name in ('epoch', 'seconds', *SPENT) if name in point]
        if 'seconds' not in point or not all(_is_seconds(value) for value in own):
            raise ValueError(f'{where} is damaged (its seconds): {_REMEDY}')
        lines.append(point)
    if not lines:
        return None
    # Each session counts from 0.
    seconds = np.array([line['seconds'] for line in lines], float)
    begins = np.flatnonzero(np.diff(seconds) < 0) + 1
    ends = [*(begins - 1), len(lines) - 1]
    before = np.concatenate([[0.0], np.cumsum(seconds[ends[:-1]])])
    session = np.searchsorted(begins, np.arange(len(lines)), side='right')
    known = all(name in lines[end] for end in ends for name in SPENT)
    return Timing(
        float(seconds[ends].sum()),
        len(ends),
        np.array([line['epoch'] for line in lines], float),
        seconds + before[session],
        {name: float(sum(lines[end][name] for end in ends)) for name in SPENT} if known else {},
    )


def parts(found: Timing) -> dict[str, float]:
    """Seconds by what they were spent in, with the rest; empty where that is not known."""
    if not found.spent or not found.seconds:
        return {}
    named = {label: found.spent[name] for name, label in SPENT.items()}
    return {**named, 'the rest': max(found.seconds - sum(named.values()), 0.0)}


def clock(seconds: float) -> str:
    """'1:02:03', hours, minutes and seconds."""
    whole = round(seconds)
    return f'{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}'


def _is_seconds(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and bool(np.isfinite(value)) and value >= 0
