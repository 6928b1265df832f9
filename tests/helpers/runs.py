"""Small runs in a folder, for the tests of what a run does there."""

import importlib
import signal

from mi_ssl_jax.experiment import build
from mi_ssl_jax.runs import run, run_folder
from mi_ssl_jax.train import loop


def small(name='sdmi', on='gaussian', **changes):
    """A configuration that trains in a second or two."""
    config = importlib.import_module(f'configs.{name}_{on}').get_config()
    config.update(
        {'epochs': 4, 'seeds': 2, 'batch_size': 50, 'data': {'limit': 250}, 'log_every': 2}
    )
    config.lr = min(config.lr, 0.1)
    config.update(changes)
    return config


def files(workdir):
    """What must not depend on interruptions: the metrics to the byte, the final state to the
    bit."""
    ready = build.setup(run_folder.read_config(workdir))
    population, _ = run.restore(ready, workdir)
    return (workdir / 'metrics.jsonl').read_bytes(), build.stacked(population)


def stop_after(chunks, monkeypatch):
    """Make the process receive SIGTERM once `chunks` chunks are done."""
    train = loop.train

    def interrupted(*args, **kwargs):
        for now in train(*args, **kwargs):
            if now.chunk == chunks:
                signal.raise_signal(signal.SIGTERM)
            yield now

    monkeypatch.setattr(loop, 'train', interrupted)
