"""Probes of a run's frozen backbone features: python -m mi_ssl_jax.probe --workdir=runs/jmi_digits

Linear probe with all labels and with few, weighted kNN; for every branch trained by gradient (SDMI: f and g), beside the
untrained encoder and the raw inputs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mi_ssl_jax import cli, parallel, run
from mi_ssl_jax import experiment as experiments
from mi_ssl_jax.augment import views
from mi_ssl_jax.data import source as sources
from mi_ssl_jax.evals import features, knn, linear

Tree = Any


def probe(ready: experiments.Setup, population: Tree) -> dict[str, Any]:
    """{'rows': [{encoder, label set, top-1 a seed, ...}], 'protocol': {...}}; accuracies in percent on the held-out split.

    Every number's protocol stands in its row; `seeds` holds one value a seed, and one alone for the raw inputs.
    """
    rows = _rows('raw inputs', [_flat_inputs(ready.source)], ready)
    for name, tree in (('untrained encoder', experiments.initial(ready)), ('', population)):
        for branch in dict.fromkeys(phase.trains for phase in ready.method.phases):
            encoded = [backbone_features(ready, member.variables[branch], branch)
                       for member in parallel.members(tree, ready.layout)]
            rows += _rows(f'{name} ({branch})' if name else branch, encoded, ready)
    return {'rows': rows}


def backbone_features(ready: experiments.Setup, variables: Tree, branch: str) -> tuple[np.ndarray, np.ndarray]:
    """Frozen backbone features of the un-augmented training and held-out examples, (n, F) each."""
    plain = jax.vmap(views.evaluation(ready.config.views.name))
    net = ready.method.branches[branch].net
    apply = jax.jit(lambda x: net.apply(variables, plain(x), train=False).features)
    return tuple(features.encode(apply, split.x, batch_size=ready.config.mi.batch_size)
                 for split in (ready.source.train, ready.source.test))


def _flat_inputs(source) -> tuple[np.ndarray, np.ndarray]:
    return tuple(split.x.reshape(len(split.x), -1).astype(np.float32) for split in (source.train, source.test))


def _rows(encoder: str, encoded: Sequence[tuple[np.ndarray, np.ndarray]], ready: experiments.Setup) -> list[dict]:
    """Linear with all labels, linear with few, kNN. encoded: (training, held-out) features, one pair a seed."""
    source, options = ready.source, ready.config.probe
    own = {'train_y': source.train.y, 'test_y': source.test.y, 'classes': len(source.class_names)}
    draws = np.stack([sources.few_labels(source.train.y, per_class=options.few_labels, draw=draw)
                      for draw in range(sources.LABEL_DRAWS)])
    probes = [
        ('linear', 'all', lambda pair: linear.evaluate(train=pair[0], test=pair[1], **own)),
        ('linear', f'{options.few_labels} a class',
         lambda pair: linear.evaluate(train=pair[0], test=pair[1], subsets=draws, **own)),
        ('kNN', 'all', lambda pair: knn.evaluate(train=pair[0], test=pair[1], k=options.knn_neighbours,
                                                 temperature=options.knn_temperature, **own)),
    ]
    rows = []
    for kind, labels, run_one in probes:
        found = [run_one(pair) for pair in encoded]
        rows.append({'encoder': encoder, 'probe': kind, 'labels': labels, 'seeds': [one.top1 for one in found],
                     'top5': [one.top5 for one in found], 'protocol': found[0].protocol})
    return rows


def text(result: dict[str, Any]) -> str:
    """The rows as aligned columns: mean over seeds, and the spread of the seeds."""
    lines = [f'{"encoder":28}{"probe":8}{"labels":12}{"top-1 %":>8}  seeds']
    for row in result['rows']:
        seeds = ' '.join(f'{value:.1f}' for value in row['seeds'])
        lines.append(f'{row["encoder"]:28}{row["probe"]:8}{row["labels"]:12}{np.mean(row["seeds"]):8.1f}  {seeds}')
    return '\n'.join(lines)


def write(ready: experiments.Setup, population: Tree, workdir: Path) -> dict[str, Any]:
    """Probe, and keep the result as probe.json."""
    result = {'settings': settings(ready), **probe(ready, population)}
    run.write_json(workdir / 'probe.json', result)
    return result


def settings(ready: experiments.Setup) -> dict[str, Any]:
    """What a probe's result depends on beside the run: kept with it, so that an outdated one is noticed."""
    return {'epochs': ready.config.epochs, **ready.config.probe.to_dict()}


def main() -> None:
    """Probe a finished run again, from its checkpoint."""
    parser = cli.Parser(prog='python -m mi_ssl_jax.probe', description=__doc__.splitlines()[0])
    parser.add_argument('--workdir', required=True, type=Path, help='the folder of a run')
    workdir = parser.parse_args().workdir
    ready = experiments.setup(run.read_config(workdir))
    population, _ = run.restore(ready, workdir)
    print(text(write(ready, population, workdir)))


if __name__ == '__main__':
    sys.exit(cli.guard(main))
