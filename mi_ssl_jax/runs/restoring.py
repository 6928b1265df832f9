"""The state of a finished run, from its folder."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.runs.checkpoint import Store

Tree = Any
Say = Callable[[str], None]


def restore(
    ready: experiments.Setup, workdir: Path, *, best: bool = False, say: Say = tqdm.write
) -> tuple[Tree, dict]:
    """(population, progress) of a run's newest good checkpoint, or of its best. ValueError when
    there is none.
    """
    with contextlib.closing(Store(workdir / 'checkpoints', keep=1, report=say)) as store:
        found = store.restore(experiments.abstract(ready), best=best)
    if found is None:
        raise ValueError(
            f'{workdir} holds no {"best " * best}checkpoint: train it first with python -m'
            ' mi_ssl_jax.main'
        )
    return experiments.from_stacked(found[1], ready.layout), found[2]
