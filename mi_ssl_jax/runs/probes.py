"""Probes of a run's frozen backbone features: linear with all labels and with few, weighted kNN.

For every branch trained by gradient (SDMI: f and g), beside the untrained encoder and the raw
inputs.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mi_ssl_jax import data
from mi_ssl_jax.evals import features, knn, linear
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.runs import encoders, run_folder

Tree = Any
# raw inputs of more numbers than this are not probed: their linear probe costs more than a training
RAW_FEATURES = 1024


class Frozen(NamedTuple):
    """Frozen features of both splits and their labels: (N, F), (N,), (M, F), (M,)."""

    train: np.ndarray
    train_y: np.ndarray
    test: np.ndarray
    test_y: np.ndarray


def probe(
    ready: experiments.Setup, population: Tree, *, before: list[dict] | None = None
) -> dict[str, Any]:
    """{'rows': [{encoder, probe, labels, seeds, top5, protocol}]}; accuracies in percent on the
    held-out split.

    seeds: one top-1 a seed. before: the rows of `untrained(ready)`, where they are known already.

    ValueError: data without classes to tell apart.
    """
    if not ready.source.classes:
        raise ValueError(f'{inputs.without_classes(ready.source)}: there is nothing to probe')
    if before is None:
        before = untrained(ready)
    return {'rows': [*before, *_encoders('', ready, population)]}


def untrained(ready: experiments.Setup) -> list[dict]:
    """The rows that training does not change: the untrained encoder and, where they are few enough
    to be features, the raw inputs.
    """
    raw = raw_inputs(ready.source)
    rows = [] if raw is None else _rows('raw inputs', [raw], ready)
    return rows + _encoders('untrained encoder', ready, experiments.initial(ready))


def _encoders(name: str, ready: experiments.Setup, population: Tree) -> list[dict]:
    """The rows of every branch that is trained by gradient."""
    rows = []
    for branch in dict.fromkeys(phase.trains for phase in ready.method.phases):
        encoded = [
            backbone_features(ready, member.variables[branch], branch)
            for member in population.members()
        ]
        rows += _rows(f'{name} ({branch})' if name else branch, encoded, ready)
    return rows


def raw_inputs(source: inputs.Source) -> Frozen | None:
    """The inputs themselves, of nodes their own features; None of streamed and of large ones."""
    if source.stream is not None:
        return None
    found = []
    for split in (source.train, source.test):
        x = (split.x['features'] if isinstance(split.x, dict) else split.x).reshape(
            split.y.size, -1
        )
        if x.shape[1] > RAW_FEATURES:
            return None
        found += _known(x.astype(np.float32), split.y)
    return Frozen(*found)


def _known(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows with a label: of a graph's nodes each split has its own."""
    y = np.ravel(y)
    return (x, y) if np.all(y >= 0) else (x[y >= 0], y[y >= 0])


def backbone_features(ready: experiments.Setup, variables: Tree, branch: str) -> Frozen:
    """Frozen backbone features of the un-augmented training and held-out examples."""
    encode, size = encoders.encoder(ready, branch), ready.config.mi.batch_size
    found = []
    for split in ('train', 'test'):
        batches = [
            (
                features.encode(lambda x: encode(variables, x).features, batch.x, batch_size=size),
                batch.y,
            )
            for batch in inputs.batches(ready.source, split, size)
        ]
        found += _known(*(np.concatenate(column) for column in zip(*batches, strict=True)))
    return Frozen(*found)


def _rows(encoder: str, encoded: Sequence[Frozen], ready: experiments.Setup) -> list[dict]:
    """A linear probe for each set of labels, and kNN with all of them. encoded: one a seed."""
    options, classes = ready.config.probe, ready.source.classes
    probes = {
        ('linear', name): functools.partial(linear.evaluate, subsets=subsets)
        for name, subsets in data.label_sets(encoded[0].train_y, options.labels).items()
    }
    probes['kNN', 'all'] = functools.partial(
        knn.evaluate, k=options.knn_neighbours, temperature=options.knn_temperature
    )
    rows = []
    for (kind, labels), evaluate in probes.items():
        found = [
            evaluate(own.train, own.train_y, own.test, own.test_y, classes=classes)
            for own in encoded
        ]
        rows.append(
            {
                'encoder': encoder,
                'probe': kind,
                'labels': labels,
                'seeds': [one.top1 for one in found],
                'top5': [one.top5 for one in found],
                'protocol': found[0].protocol,
            }
        )
    return rows


def text(result: dict[str, Any]) -> str:
    """The rows as aligned columns: mean over seeds, and the spread of the seeds."""
    lines = [f'{"encoder":28}{"probe":8}{"labels":12}{"top-1 %":>8}  seeds']
    for row in result['rows']:
        seeds = ' '.join(f'{value:.1f}' for value in row['seeds'])
        lines.append(
            f'{row["encoder"]:28}{row["probe"]:8}{row["labels"]:12}{np.mean(row["seeds"]):8.1f} '
            f' {seeds}'
        )
    return '\n'.join(lines)


def write(
    ready: experiments.Setup,
    population: Tree,
    workdir: Path,
    name: str = 'probe.json',
    *,
    before: list[dict] | None = None,
) -> dict[str, Any]:
    """Probe, and keep the result as a file of the run's folder. before: see `probe`."""
    result = {'settings': settings(ready), **probe(ready, population, before=before)}
    run_folder.write_json(workdir / name, result)
    return result


def settings(ready: experiments.Setup) -> dict[str, Any]:
    """Return the settings that a probe's result depends on. They are stored with it, so that an
    outdated result is noticed.
    """
    return json.loads(
        json.dumps({'epochs': ready.config.epochs, **ready.config.probe.to_dict()})
    )  # as a file holds it
