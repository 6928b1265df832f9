"""Section 3.1's proposition: does the bound rise in every E-step and M-step? On fixed views,
against the step size.

The proposition promises a non-decreasing bound up to O(eps) for small enough steps. Here each
step's change is measured, with its first-order prediction step * |gradient|^2, in float64 so that
steps of 1e-7 can be told from rounding.
"""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import data
from mi_ssl_jax.core.bounds import paper
from mi_ssl_jax.figures.paper import proposition as figures
from mi_ssl_jax.methods import sdmi
from mi_ssl_jax.nets import mlp
from mi_ssl_jax.runs import run_folder

Tree = Any

BOUNDS = ('dv', 'infonce', 'jsd')
STEP_SIZES = (1e-4, 1e-3, 1e-2, 5e-2, 5e-1)
PROBES = (1e-7, 1e-6, 1e-5)  # one step of each from states along the way: the ratio to first order
POINTS = 400
TEMPERATURE = 1.0


def reproduce(*, workdir: Path, seeds: int, epochs: int) -> None:
    """Measure, draw, tabulate, report."""
    with jax.enable_x64(True):
        rows = [row for bound in BOUNDS for row in measure(bound, seeds=seeds, epochs=epochs)]
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / 'proposition.json'
    found = {'points': POINTS, 'seeds': seeds, 'epochs': epochs, 'rows': rows}
    run_folder.write_json(path, found)
    for written in figures.report(path):
        print(f'wrote {written}')
    print(figures.text(path))


def measure(bound: str, *, seeds: int, epochs: int) -> list[dict]:
    """Rows {bound, phase, step_size, changes, first_order}: one entry a step, over all seeds and
    epochs.
    """
    rows = []
    for step_size in STEP_SIZES:
        walks = [walk(bound, seed, step_size, epochs) for seed in range(seeds)]
        for phase in ('e', 'm'):
            rows.append(
                {
                    'bound': bound,
                    'phase': phase,
                    'step_size': step_size,
                    'kind': 'walk',
                    'changes': [x for one in walks for x in one[phase][0]],
                    'first_order': [x for one in walks for x in one[phase][1]],
                }
            )
    rows += probes(bound, seeds=seeds, epochs=epochs)
    return rows


def walk(
    bound: str, seed: int, step_size: float, epochs: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Alternate E and M from one seed's start: {phase: (changes of the bound, their first-order
    predictions)}.
    """
    params, views = start(seed)
    found = {'e': ([], []), 'm': ([], [])}
    for _ in range(epochs):
        for phase, own, other in (('e', 0, 1), ('m', 1, 0)):
            params[own], change, first = update(bound)(params[own], params[other], views, step_size)
            found[phase][0].append(change)
            found[phase][1].append(first)
    return jax.tree.map(float, found)


def probes(bound: str, *, seeds: int, epochs: int) -> list[dict]:
    """One tiny step from each of ten states along a walk at 0.05, and its ratio to first order."""
    found = {(phase, size): ([], []) for phase in ('e', 'm') for size in PROBES}
    for seed in range(seeds):
        params, views = start(seed)
        for epoch in range(epochs):
            for phase, own, other in (('e', 0, 1), ('m', 1, 0)):
                for size in PROBES if epoch % max(epochs // 10, 1) == 0 else ():
                    _, change, first = update(bound)(params[own], params[other], views, size)
                    found[phase, size][0].append(change)
                    found[phase, size][1].append(first)
                params[own], _, _ = update(bound)(params[own], params[other], views, 5e-2)
    return [
        {
            'bound': bound,
            'phase': phase,
            'step_size': size,
            'kind': 'probe',
            'changes': list(map(float, changes)),
            'first_order': list(map(float, firsts)),
        }
        for (phase, size), (changes, firsts) in found.items()
    ]


@functools.cache
def update(bound: str):
    """-> step(trained, frozen, views, step_size): one gradient step on the bound; (new parameters,
    change, first order).
    """
    net = mlp.MLP(dtype=jnp.float64)

    def value(trained: Tree, frozen: Tree, views: tuple) -> jax.Array:
        mine, others = (
            [net.apply(tree, view, train=True, mutable=['batch_stats'])[0] for view in views]
            for tree in (trained, frozen)
        )
        terms = sdmi.sdmi_terms(
            mine,
            others,
            objective=bound,
            marginal='bound',
            marginal_weight=1.0,
            temperature=TEMPERATURE,
            block_size=None,
        )
        return paper.value(terms)

    def step(
        trained: Tree, frozen: Tree, views: tuple, step_size: float
    ) -> tuple[Tree, jax.Array, jax.Array]:
        before, gradient = jax.value_and_grad(
            lambda p: value({**trained, 'params': p}, frozen, views)
        )(trained['params'])
        moved = {
            **trained,
            'params': jax.tree.map(lambda p, g: p + step_size * g, trained['params'], gradient),
        }
        squares = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
        return moved, value(moved, frozen, views) - before, step_size * squares

    return jax.jit(step)


def start(seed: int) -> tuple[list[Tree], tuple[jax.Array, jax.Array]]:
    """Two independently initialised encoders and the fixed views of POINTS points, in float64."""
    x = data.load('gaussian', None).train.x
    x = jnp.asarray(x[np.arange(POINTS) * len(x) // POINTS], jnp.float64)
    keys = jax.random.split(jax.random.PRNGKey(seed), 4)
    views = tuple(x + 0.1 * jax.random.normal(key, x.shape, jnp.float64) for key in keys[:2])
    net = mlp.MLP(dtype=jnp.float64)
    wide = [
        jax.tree.map(lambda leaf: leaf.astype(jnp.float64), net.init(key, views[0], train=True))
        for key in keys[2:]
    ]
    return wide, views
