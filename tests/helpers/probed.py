"""Folders of probed runs on images, as training and probing write them."""

import json

import numpy as np

from tests.helpers import synthetic_runs

PLAIN = {
    'sdmi': {'objective': 'dv', 'marginal': 'bound', 'predictor': False},
    'simsiam': {'objective': 'cosine', 'predictor': True},
    'mocov3': {'objective': 'infonce', 'predictor': True},
    'jmi': {'objective': 'dv', 'marginal': 'bound'},
    'simclr': {'objective': 'nt_xent'},
}
PROTOCOL = 'linear probe, 60 epochs; all 50000 labels'


def write(
    folder,
    name,
    accuracy,
    *,
    data='cifar10',
    seed=7349,
    net='resnet18',
    epochs=1000,
    done=None,
    batch=512,
    method=(),
    mi=None,
    untrained=40.0,
    **fields,
):
    """A run of `name`. accuracy: one a seed, or {'f': ..., 'g': ...} for SDMI. method: changed
    arguments. mi: final cos-DV, one a seed; curves rise to it. done: epochs trained, all of them by
    default.
    """
    accuracy = accuracy if isinstance(accuracy, dict) else {'': accuracy}
    seeds = len(next(iter(accuracy.values())))
    branches = (
        {'f': 'theta', 'g': 'xi'}
        if 'g' in accuracy
        else {'': synthetic_runs.BRANCHES.get(name, ('theta',))[0]}
    )
    config = {
        'seed': seed,
        'seeds': seeds,
        'batch_size': batch,
        'epochs': epochs,
        'lr': 0.05,
        'weight_decay': 5e-4,
        'method': {'name': name, 'temperature': 0.1, **PLAIN.get(name, {}), **dict(method)},
        'data': {'name': data, 'dir': '', 'limit': 0, 'streamed': False},
        'views': {'name': 'simclr'},
        'optimizer': {'name': 'sgd', 'momentum': 0.9},
        'net': {
            'name': net,
            'projector': [2048, 2048, 256],
            'predictor': [256],
            'options': {'resnet18': {'stem': 'small'}, 'conv4': {'width': 16}},
        },
        'mi': {'every': 10, 'every_steps': 0, 'temperature': 1.0, 'examples': 0},
        **fields,
    }
    rng = np.random.default_rng(len(str(folder)))
    final = np.array(mi if mi is not None else rng.uniform(0.5, 0.8, seeds))
    done = epochs if done is None else done
    lines = [
        line(float(done * share), final - 0.3 * (1 - share), branches, name)
        for share in np.linspace(0, 1, 11)
    ]
    rows = [
        row(f'untrained encoder ({branch})', [untrained] * seeds) for branch in branches.values()
    ]
    rows += [row(branch, accuracy[letter]) for letter, branch in branches.items()]
    folder.mkdir(parents=True)
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'metrics.jsonl').write_text(
        ''.join(json.dumps(synthetic_runs.tidy(entry)) + '\n' for entry in lines)
    )
    (folder / 'probe.json').write_text(json.dumps({'settings': {'epochs': epochs}, 'rows': rows}))
    return folder


def line(epoch, information, branches, name):
    """A log point with an evaluation. information: cos-DV, one a seed."""
    values = {
        'cos_dv': list(information),
        'infonce': list(information - 0.01),
        'jsd': list(-1.386 + 0.4 * information),
    }
    if name == 'simsiam' and epoch == 0:
        values = {estimator: [None] * len(information) for estimator in values}
    return {
        'epoch': epoch,
        'mi': values,
        'collapse': {branch: {'std': [0.05] * len(information)} for branch in branches.values()},
    }


def row(encoder, seeds, probe='linear', labels='all', protocol=PROTOCOL):
    return {
        'encoder': encoder,
        'probe': probe,
        'labels': labels,
        'seeds': list(map(float, seeds)),
        'top5': [99.0] * len(seeds),
        'protocol': protocol,
    }
