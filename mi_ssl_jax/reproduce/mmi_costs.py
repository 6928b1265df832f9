"""Memory and time of a training step of MMI, Barlow Twins, VICReg and SimCLR by batch size."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from mi_ssl_jax.bench import costs, machine, programs, timing
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.figures import run_files
from mi_ssl_jax.runs import run_folder

METHODS = ('mmi', 'barlow', 'vicreg', 'simclr')
BATCHES = (128, 256, 512, 1024)
STEPS, ROUNDS = 5, 5


def measure(workdir: Path, configuration: Callable[[str], ConfigDict]) -> None:
    """One file a batch size, all methods in alternation; a file that is there is kept.
    configuration: of a method.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    for batch in BATCHES:
        path = workdir / f'batch-{batch}.json'
        if not path.exists():
            run_folder.write_json(path, {'batch': batch, **at(batch, configuration)})
            print(f'wrote {path}')


def at(batch: int, configuration: Callable[[str], ConfigDict]) -> dict:
    """{'machine', 'dimension', 'methods'}: see figures.mmi_costs."""
    made, memory, load = {}, {}, os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        for name in METHODS:
            config = configuration(name)
            config.batch_size = batch
            ready = experiments.setup(config)
            feed = stack.enter_context(inputs.feeding(ready.source, ready.spec, config, 0))
            trainer = programs.Trainer(ready.spec, experiments.initial(ready), feed)
            (phase,) = (phase.name for phase in ready.method.phases)
            made[name] = trainer.program(phase)
            memory[name] = costs.memory(trainer, phase, STEPS)
        times = timing.alternate(made, steps=STEPS, rounds=ROUNDS)
    return {
        'machine': machine.describe(load),
        'dimension': ready.width,
        'methods': {name: {**memory[name]._asdict(), **times[name]._asdict()} for name in METHODS},
    }


def found(workdir: Path) -> list[dict]:
    """Return the measurements so far, smallest batch first."""
    files = (workdir / f'batch-{batch}.json' for batch in BATCHES)
    remedy = 'remove it, and the same command measures it again'
    return [run_files.json_value(path, dict, remedy) for path in files if path.exists()]
