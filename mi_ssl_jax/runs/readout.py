"""The read-out of an encoder from anywhere: its weights in a run's folder, untrained, with what two
views share in it, by several bounds, its collapse figures, its rank and its probes.

The folder is that of a run before its first step, so that probe, embed, estimate_mi and export take
it as they take any other.
"""

import contextlib
import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax import augment, parallel
from mi_ssl_jax.core import streams
from mi_ssl_jax.evals import estimate, read_out
from mi_ssl_jax.evals.read_out import ReadOut
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.figures import run_files
from mi_ssl_jax.runs import encoders, probes, recording, run_folder, weights
from mi_ssl_jax.runs.checkpoint import Store
from mi_ssl_jax.runs.log import Writer
from mi_ssl_jax.train import schedule

Say = Callable[[str], None]
RESULT = 'readout.json'
# One encoder for both views, without heads: nothing is trained by its loss.
METHOD = {
    'name': 'jmi',
    'temperature': 1.0,
    'objective': 'dv',
    'marginal': 'bound',
    'marginal_weight': 1.0,
    'block_size': 0,
    'critic': 'cosine',
}
BRANCH = 'theta'  # of that method


def configuration(path: Path) -> ConfigDict:
    """The configuration of a run. ValueError where the path is that of other weights."""
    if not (path / 'checkpoints').is_dir():
        raise ValueError(f'{path} is no run: give --config=configs/NAME.py, of data to encode')
    return run_folder.read_config(path)


def configured(config: ConfigDict, found: weights.Weights) -> ConfigDict:
    """The configuration with the network, the weights and the normalisation of `found`, and no
    heads.
    """
    config = copy.deepcopy(config)
    with config.unlocked():
        config.net.name = found.network
        config.net.options[found.network] = ConfigDict(dict(found.options))
        config.net.weights = found.where
        config.net.projector = config.net.predictor = ()
        config.method = ConfigDict(METHOD)
        config.seeds, config.accumulate, config.export = 1, 1, 'none'
        config.probe.online, config.checkpoint.best = False, 'none'
        options = config.views.options
        if found.norm is not None and options.get('data') not in (None, augment.OWN):
            own = augment.normalisation(config.views.name, **options)
            if own is not None and own.norm != found.norm:
                options.mean, options.std = found.norm
    return config


def run(
    config: ConfigDict,
    path: str | Path,
    workdir: Path,
    *,
    branch: str | None = None,
    best: bool = False,
    bounds: Sequence[str] = read_out.BOUNDS,
    fits: int = 5,
    steps: int = estimate.STEPS,
    say: Say = print,
) -> ReadOut:
    """Read out the encoder at `path` on a configuration's data, and keep it as a run's folder.

    Args:
        config: of the data, the views, the probes and the held-out examples that are watched.
        path: see weights.load.
        workdir: the folder to make: readout.json, probe.json, report.md and what a run has before
            its first step.
        branch: of a run, which encoder.
        best: of a run, its best evaluation instead of the end.
        bounds: by which mutual information is estimated.
        fits: of each bound.
        steps: of each fit, at most.
        say: told what was left aside, and where this stands.

    Returns:
        The figures.

    Raises:
        ValueError: no such weights, or a configuration whose data the network does not take.
    """
    read_out.check(bounds, fits=fits, steps=steps)
    found = weights.load(path, branch=branch, best=best)
    config = configured(config, found)
    ready = experiments.setup(config)
    if ready.source.rows != 1:
        raise ValueError(
            f'{config.data.name} holds graphs: a read-out takes images, series, points'
        )
    variables = weights.fitted(found, ready)
    for line in weights.remarks(found, ready):
        say(line)
    with run_folder.claim(workdir):
        run_folder.check_same(config, workdir, force=False, say=say)
        recording.describe(ready, config, workdir)
        population = experiments.initial(ready, variables)
        say(f'encoding with {found.network} from {found.where}')
        own = population.first().variables[BRANCH]
        result = _read(ready, own, bounds=bounds, fits=fits, steps=steps)
        run_folder.write_json(workdir / RESULT, described(result, found))
        _keep(ready, population, result, workdir, say)
        if config.probe.at_end and ready.source.classes:
            say('probing')
            probes.write(ready, population, workdir, before=[])
        from mi_ssl_jax.figures import report  # imports matplotlib, which is slow

        report.write(workdir, result.notes)
    return result


def _read(ready: experiments.Setup, variables: Any, **options: Any) -> ReadOut:
    """The read-out of the held-out examples that the configuration watches."""
    watched, key = inputs.watched(ready.source, ready.config), streams.evaluation(streams.VIEWS)

    def encode(view: int | None) -> np.ndarray:
        return encoders.embeddings(ready, BRANCH, variables, watched.x, key=key, view=view)

    return read_out.read_out(
        encode(0),
        encode(1),
        encode(None),
        labels=watched.y if ready.source.classes else None,
        key=jax.random.PRNGKey(ready.config.seed),
        temperature=ready.config.mi.temperature,
        **options,
    )


def _keep(
    ready: experiments.Setup,
    population: parallel.Population,
    result: ReadOut,
    workdir: Path,
    say: Say,
) -> None:
    """Write the log point and the checkpoint that a run has before its first step."""
    store = Store(workdir / 'checkpoints', keep=ready.config.checkpoint.keep, report=say)
    writer = Writer(workdir, size=0, timing_size=0, report=say, make_room=store.wait)
    one = lambda tree: jax.tree.map(lambda value: np.full(1, value), tree)  # a number a seed
    ends = {name: dict(zip(('low', 'high'), own)) for name, own in result.intervals.items()}
    line = {
        'epoch': 0,
        'mi': one(dict(result.cosine)),
        'collapse': {BRANCH: one(dict(result.collapse))},
        'mi_interval': one(ends),
    }
    with contextlib.closing(store), contextlib.closing(writer):
        writer.write(line, step=0)
        progress = {
            **recording.START,
            'chunk': 1,
            'pace': schedule.pace(ready.spec, ready.config.log_every),
            'config': ready.config.to_json(),
            **writer.sizes,
        }
        store.save(1, experiments.stacked(population), progress)


def described(result: ReadOut, found: weights.Weights) -> dict[str, Any]:
    """A read-out as readout.json holds it."""
    learned = {name: one._asdict() for name, one in result.learned.items()}
    own = {'weights': found.where, 'network': found.network, 'options': dict(found.options)}
    return {**own, **result._asdict(), 'learned': learned}


def text(result: ReadOut) -> str:
    """The figures that no critic was trained for, one a line."""
    lines = ['with a cosine critic, nats (95 % over examples):']
    for name, label in run_files.ESTIMATORS.items():
        low, high = result.intervals[name]
        lines.append(f'{label:12}{result.cosine[name]:8.3f}  [{low:.3f}, {high:.3f}]')
    rank, varying = result.collapse['effective_rank'], result.varying
    lines += [
        f'effective rank {rank:.1f} of {result.dimension} ({varying} columns vary)',
        f'spread {result.spread:.2f} of an even one',
    ]
    if 'nn_gap' in result.collapse:
        lines.append(f'class means {result.collapse["nn_gap"]["mean"]:.1f} degrees apart')
    return '\n'.join([*lines, *result.notes])


def probed(workdir: Path) -> str:
    """The probes of a read-out, '' where there were no classes to tell apart."""
    path = workdir / 'probe.json'
    return probes.text(run_files.probe_result(path)) if path.exists() else ''
