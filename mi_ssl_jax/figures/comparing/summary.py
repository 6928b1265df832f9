"""One run as the page shows it: what its files hold, and one line for each that cannot be read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax.figures import run_files, timing
from mi_ssl_jax.figures.comparing.embedding import Embedding

# Where a run's files lie and how often it saves: no result depends on them.
PLACES = ('data.dir', 'data.workers', 'wandb', 'check_replicas', 'log_every')
UNTRAINED = ('raw inputs', 'untrained encoder')


class Summary(NamedTuple):
    """A run and what belongs to it.

    name: tells it from the others of the page. settings: its configuration by field. accuracy:
    {(probe, labels): {encoder's letter: percent, one a seed}}; the letter is '' where the run has
    one encoder. device: what it was trained on, '' where no file says. pictures: by file name.
    verdict: what its collapse figures say, None where nothing judged them. notes: one line for each
    file that is damaged or lacking.
    """

    name: str
    folder: Path
    run: run_files.Run
    settings: dict[str, Any]
    accuracy: dict[tuple[str, str], dict[str, np.ndarray]]
    timing: timing.Timing | None
    device: str
    pictures: dict[str, Path]
    notes: tuple[str, ...]
    verdict: str | None = None
    embedding: Embedding | None = None

    @property
    def epoch(self) -> float:
        """Epochs done."""
        return self.run.lines[-1]['epoch'] if self.run.lines else 0


def read(folder: Path) -> Summary:
    """The run in a folder.

    Raises:
        ValueError: its config.json or metrics.jsonl is missing or damaged.
    """
    run = run_files.read(folder)
    notes: list[str] = []

    def part(reader: Callable[[Path], Any], empty: Any) -> Any:
        try:
            return reader(folder)
        except ValueError as error:
            notes.append(str(error))
            return empty

    found = part(_probe, {})
    if found and found['settings']['epochs'] != run.config['epochs']:
        notes.append(
            f'{folder} was probed after {found["settings"]["epochs"]:g} epochs, and is a run of'
            f' {run.config["epochs"]}'
        )
    pictures = {path.name: path for path in sorted((folder / 'figures').glob('*.png'))}
    return Summary(
        folder.name,
        folder,
        run,
        {name: value for name, value in run_files.settings(run.config) if _matters(name)},
        _accuracy(found.get('rows', [])),
        part(timing.read, None),
        part(_device, ''),
        pictures,
        tuple(notes),
    )


def names(folders: list[Path]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts), default=0) + 1):
        found = ['/'.join(own[-length:]) for own in parts]
        if len(set(found)) == len(found):
            return found
    return [str(folder) for folder in folders]


def _probe(folder: Path) -> dict[str, Any]:
    path = folder / 'probe.json'
    return run_files.probe_result(path) if path.exists() else {}


def _accuracy(rows: list[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    trained = [row for row in rows if not row['encoder'].startswith(UNTRAINED)]
    encoders = list(dict.fromkeys(row['encoder'] for row in trained))
    letters = run_files.LETTERS if 'xi' in encoders else {}
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for row in trained:
        letter = letters.get(row['encoder'], row['encoder'] if len(encoders) > 1 else '')
        own = found.setdefault((row['probe'], row['labels']), {})
        own[letter] = np.array(row['seeds'], float)
    return found


def _device(folder: Path) -> str:
    path = folder / 'environment.json'
    if not path.exists():
        return ''
    remedy = 'remove it, and the command that trained the run writes it anew'
    devices = run_files.json_value(path, dict, remedy).get('devices')
    if not isinstance(devices, list) or not all(isinstance(kind, str) for kind in devices):
        raise ValueError(f'{path} is damaged (its devices): {remedy}')
    counts = {kind: devices.count(kind) for kind in dict.fromkeys(devices)}
    return ', '.join(f'{count} x {kind}' if count > 1 else kind for kind, count in counts.items())


def _matters(name: str) -> bool:
    return name not in PLACES and not name.startswith('checkpoint.')
