"""Workdirs as training writes them, from smooth random trajectories and curves."""

import json

import numpy as np

# Final arrangement of the centres, and mutual information at the end.
ENDS = {
    'sdmi': ('ring', 0.766),
    'simsiam': ('arc', 0.729),
    'mocov3': ('arc', 0.674),
    'byol': ('arc', 0.653),
    'jmi': ('bipyramid', 0.811),
    'simclr': ('ring', 0.718),
    'barlow': ('bipyramid', 0.8),
    'vicreg': ('bipyramid', 0.807),
}
BRANCHES = {
    'sdmi': ('theta', 'xi'),
    'byol': ('online', 'target'),
    'mocov3': ('online', 'target'),
    'simsiam': ('online',),
}
PHASES = {'sdmi': ('e', 'm'), 'byol': ('e',), 'mocov3': ('e',), 'simsiam': ('e',)}


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def arrangement(kind, rng):
    turn = 2 * np.pi * np.arange(5) / 5
    if kind == 'bipyramid':
        third = 2 * np.pi * np.arange(3) / 3
        equator = np.stack([np.cos(third), np.sin(third), 0 * third], 1)
        points = np.concatenate([equator, [[0, 0, 1], [0, 0, -1]]])
    else:
        angle = turn if kind == 'ring' else np.cumsum(rng.uniform(0.35, 1.25, 5))
        points = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    return unit(points + 0.08 * rng.normal(size=points.shape))


def gaps(points):
    angle = np.degrees(np.arccos(np.clip(points @ points.T, -1, 1))) + 360 * np.eye(5)
    nearest = angle.min(axis=1)
    return {'mean': nearest.mean(), 'min': nearest.min(), 'max': nearest.max(), 'sd': nearest.std()}


def tidy(value):
    if isinstance(value, dict):
        return {key: tidy(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [tidy(entry) for entry in value]
    if value is None or isinstance(value, int):
        return value
    return round(float(value), 6) if np.isfinite(value) else None


def trajectory(kind, epochs, rng):
    """(epochs + 1, 5, 3): from near one point to the arrangement, wavering on the way, randomly
    oriented."""
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    start, end = (
        unit(rng.normal(size=3) + 0.45 * rng.normal(size=(5, 3))),
        arrangement(kind, rng) @ rotation,
    )
    time = np.arange(epochs + 1)[:, None, None] / max(epochs, 1)
    share = 1 - np.exp(-4.5 * time)
    wave = 0.25 * np.sin(np.pi * time) * np.sin(5 * time + rng.uniform(0, 6, (1, 5, 3)))
    return unit((1 - share) * start + share / max(share[-1].max(), 1e-9) * end + wave * (1 - time))


def per_branch(paths, noise):
    """collapse and centres entries of one epoch from each seed's centres (5, 3)."""
    found = [gaps(points) for points in paths]
    collapse = {
        'std': [0.577 - 0.1 * np.exp(-g['mean'] / 20) for g in found],
        'effective_rank': [1 + 2 * min(1, g['mean'] / 80) for g in found],
        'nn_gap': {name: [g[name] for g in found] for name in ('mean', 'min', 'max', 'sd')},
    }
    centres = [[unit(points + offset).tolist() for offset in noise] for points in paths]
    return collapse, centres


def write(workdir, name, *, seeds=3, epochs=12, data='gaussian', key=0):
    """A finished run of method `name`; returns the workdir."""
    rng = np.random.default_rng([key, sorted(ENDS).index(name)])
    kind, level = ENDS[name]
    branches = BRANCHES.get(name, ('theta',))
    paths = {branch: [trajectory(kind, epochs, rng) for _ in range(seeds)] for branch in branches}
    if 'xi' in branches:  # SDMI's g agrees with its f
        paths['xi'] = [unit(path + 0.06 * rng.normal(size=(1, 5, 3))) for path in paths['theta']]
    noise = 0.12 * rng.normal(size=(2, 5, 3))
    speed, level = rng.uniform(0.05, 0.15), level + 0.03 * rng.normal(size=seeds)
    lines = []
    for epoch in range(epochs + 1):
        curve = level - 0.5 * np.exp(-speed * (epoch + 1) * 100 / max(epochs, 1) / 2)
        start = name == 'simsiam' and epoch == 0
        line = {
            'epoch': epoch,
            'mi': {
                'cos_dv': list(curve),
                'infonce': list(curve - 0.004),
                'jsd': list(-1.386 + 0.4 * curve),
            },
            'collapse': {},
        }
        if start:
            line['mi'] = {estimator: [None] * seeds for estimator in line['mi']}
        if epoch:
            line['step'] = dict.fromkeys(PHASES.get(name, ('joint',)), epoch)
            for phase in PHASES.get(name, ('joint',)):
                line.setdefault('loss', {})[phase] = list(-curve)
                line.setdefault('joint', {})[phase] = list(0.5 + curve / 2)
                if name not in ('byol', 'simsiam'):
                    line.setdefault('marginal', {})[phase] = list(0.5 - curve / 2)
        for branch in branches:
            line['collapse'][branch], spots = per_branch(
                [path[epoch] for path in paths[branch]], noise
            )
            if data == 'gaussian':
                line.setdefault('centres', {})[branch] = spots
        lines.append(tidy(line))
    workdir.mkdir(parents=True, exist_ok=True)
    config = {
        'seed': 0,
        'seeds': seeds,
        'batch_size': 2500,
        'epochs': epochs,
        'lr': 0.5,
        'weight_decay': 0.0,
        'method': {'name': name, 'temperature': 1.0},
        'data': {'name': data, 'dir': ''},
        'optimizer': {'name': 'sgd', 'momentum': 0.0},
        'views': {'name': 'noise'},
        'net': {
            'name': 'mlp',
            'projector': [] if data == 'gaussian' else [128, 64],
            'predictor': [64],
        },
        'mi': {'every': 1, 'temperature': 1.0},
    }
    (workdir / 'config.json').write_text(json.dumps(config))
    (workdir / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return workdir


def all_methods(folder, **options):
    """{method: workdir} of the eight methods."""
    return {name: write(folder / name, name, **options) for name in ENDS}
