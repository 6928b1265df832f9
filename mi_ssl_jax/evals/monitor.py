"""What is watched while a run trains: mutual information, collapse figures and, on points, where
the centres lie.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.core import linalg
from mi_ssl_jax.evals import centres, collapse, cosine_mi
from mi_ssl_jax.methods import api

Tree = Any
RESAMPLES = 400  # of the bootstrap: 4 s for 10,000 examples on 2 CPU cores


class HeldOut(NamedTuple):
    """The held-out examples, with the same views at every evaluation: curves show the encoders and
    nothing else.

    x: (n, ...) as the source holds them. labels: (n,) or (n, nodes), in [0, classes); what has a
    label below 0 (a graph's training nodes) is encoded with the rest and then left out. views:
    (key, example) -> tuple of views. plain: example -> un-augmented network input. centres: (K,
    ...) of the classes of points, or None.
    """

    x: Tree
    labels: np.ndarray
    classes: int
    views: Callable
    plain: Callable
    centres: np.ndarray | None


def make(
    method: api.Method,
    layout: parallel.Layout,
    inputs: HeldOut,
    *,
    temperature: float,
    batch_size: int,
) -> Callable[..., dict]:
    """-> measure(variables, lagged, start, end): everything watched, each number with a leading
    axis of seeds, on the host.

    variables: population of {branch: variables}; lagged: of one branch's variables an epoch ago, {}
    without lag.
    start: before the first step, where a lagged method's mutual information is -infinity (paper,
    section 4.2).
    end: after the last step, where it comes with its 95 % interval over examples, 'mi_interval'.
    temperature: of the cosine critic. batch_size: examples encoded at a time.
    """
    every = np.ravel(inputs.labels)
    rows = np.flatnonzero(every >= 0)
    tracked, labels = method.tracked, jnp.asarray(every[rows])
    encoders = {
        name: _encoder(method.branches[name], layout, inputs, batch_size)
        for name in method.branches
    }
    estimate = parallel.over_seeds(
        lambda za, zb: cosine_mi.estimates(za, zb, temperature=temperature)
    )
    bootstrap = parallel.over_seeds(
        lambda za, zb: cosine_mi.bootstrap(
            za, zb, key=jax.random.PRNGKey(0), resamples=RESAMPLES, temperature=temperature
        ),
    )
    figures = parallel.over_seeds(
        lambda z, y: collapse.figures(z, y, classes=inputs.classes), shared=1
    )
    gaps = parallel.over_seeds(centres.gaps)

    def held_out(z: jax.Array) -> jax.Array:
        return z if z.shape[1] == len(rows) else z[:, rows]

    def information(variables: Tree, lagged: Tree, start: bool, end: bool) -> dict:
        if tracked.lag and start:
            return {'mi': {name: np.full(layout.seeds, -np.inf) for name in cosine_mi.NAMES}}
        of_b = lagged if tracked.lag else _branch(variables, tracked.b)
        za = encoders[tracked.a](_branch(variables, tracked.a), inputs.x, 'first')
        za, zb = held_out(za), held_out(encoders[tracked.b](of_b, inputs.x, 'second'))
        if not end or len(rows) < cosine_mi.FEWEST:
            return {'mi': estimate(za, zb)}
        intervals = {name: interval._asdict() for name, interval in bootstrap(za, zb).items()}
        return {'mi': estimate(za, zb), 'mi_interval': intervals}

    def measure(variables: Tree, lagged: Tree, start: bool = False, end: bool = False) -> dict:
        line = {**information(variables, lagged, start, end), 'collapse': {}}
        for name in dict.fromkeys([tracked.a, tracked.b]):
            encode = functools.partial(encoders[name], _branch(variables, name))
            line['collapse'][name] = figures(held_out(encode(inputs.x, 'plain')), labels)
            if inputs.centres is not None:
                plain, *views = (
                    linalg.unit(encode(inputs.centres, which))
                    for which in ('plain', 'first', 'second')
                )
                line['collapse'][name]['nn_gap'] = gaps(plain)
                line.setdefault('centres', {})[name] = jnp.stack(views, axis=1)
        return jax.device_get(line)

    return measure


def _branch(variables: parallel.Population, name: str) -> parallel.Population:
    return variables.map(lambda own: own[name])


def _encoder(
    branch: api.Branch, layout: parallel.Layout, inputs: HeldOut, batch_size: int
) -> Callable:
    """-> encode(population of variables, x (n, ...), which) -> embeddings (seeds, rows, D), in
    batches.

    which: 'first' or 'second' for the two views of each example, 'plain' for none.
    """
    prepare = {
        'first': lambda key, example: inputs.views(key, example)[0],
        'second': lambda key, example: inputs.views(key, example)[1],
        'plain': lambda key, example: inputs.plain(example),
    }

    def compiled(which: str) -> Callable:
        def apply(variables: Tree, keys: jax.Array, x: Tree) -> jax.Array:
            return branch(variables, jax.vmap(prepare[which])(keys, x)).z

        return parallel.over_seeds(apply, shared=2)

    applies = {which: compiled(which) for which in prepare}

    def encode(variables: Tree, x: Tree, which: str) -> jax.Array:
        count = len(jax.tree.leaves(x)[0])
        keys = jax.random.split(jax.random.PRNGKey(0), count)
        batches = [
            jax.tree.map(lambda leaf: leaf[i : i + batch_size], (keys, x))
            for i in range(0, count, batch_size)
        ]
        parts = [applies[which](variables, *batch) for batch in batches]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)

    return encode
