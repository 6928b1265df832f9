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
        name: _encoder(method.branches[name], inputs, batch_size)
        for name in dict.fromkeys([tracked.a, tracked.b])
    }

    def held_out(z: jax.Array) -> jax.Array:
        return z if len(z) == len(rows) else z[rows]

    def measured(pair: Tree, plain: Tree, labels: jax.Array) -> dict[str, Any]:
        """What is said of one seed's embeddings; in one program, since compiling takes longest."""
        collapsed = {
            name: collapse.figures(held_out(z), labels, classes=inputs.classes)
            for name, z in plain.items()
        }
        mi = cosine_mi.estimates(*map(held_out, pair), temperature=temperature) if pair else {}
        return {'mi': mi, 'collapse': collapsed}

    def resampled(za: jax.Array, zb: jax.Array) -> dict[str, Any]:
        found = cosine_mi.bootstrap(
            held_out(za),
            held_out(zb),
            key=jax.random.PRNGKey(0),
            resamples=RESAMPLES,
            temperature=temperature,
        )
        return {name: interval._asdict() for name, interval in found.items()}

    numbers = parallel.over_seeds(measured, shared=1)
    bootstrap = parallel.over_seeds(resampled)
    centre_gaps = parallel.over_seeds(
        lambda z: (
            {name: linalg.unit(own) for name, own in z.items()},
            centres.gaps(linalg.unit(z['plain'])),
        )
    )

    def embeddings(variables: parallel.Population) -> dict[str, dict[str, jax.Array]]:
        """branch -> the views it is watched on."""
        wanted: dict[str, list[str]] = {name: ['plain'] for name in encoders}
        wanted[tracked.a].append('first')
        if not tracked.lag:
            wanted[tracked.b].append('second')
        return {
            name: encoders[name](_branch(variables, name), inputs.x, tuple(which))
            for name, which in wanted.items()
        }

    def pair_of(
        found: dict[str, dict[str, jax.Array]], lagged: parallel.Population, start: bool
    ) -> tuple[jax.Array, ...]:
        """(za, zb) between which mutual information is measured; () where it is -infinity."""
        if not tracked.lag:
            return found[tracked.a]['first'], found[tracked.b]['second']
        if start:
            return ()
        second = encoders[tracked.b](lagged, inputs.x, ('second',))['second']
        return found[tracked.a]['first'], second

    def measure(
        variables: parallel.Population,
        lagged: parallel.Population,
        start: bool = False,
        end: bool = False,
    ) -> dict:
        found = embeddings(variables)
        pair = pair_of(found, lagged, start)
        line = numbers(pair, {name: own['plain'] for name, own in found.items()}, labels)
        if not pair:
            line['mi'] = {name: np.full(layout.seeds, -np.inf) for name in cosine_mi.NAMES}
        elif end and len(rows) >= cosine_mi.FEWEST:
            line['mi_interval'] = bootstrap(*pair)
        if inputs.centres is not None:
            for name, encode in encoders.items():
                which = ('plain', 'first', 'second')
                unit, gaps = centre_gaps(encode(_branch(variables, name), inputs.centres, which))
                line['collapse'][name]['nn_gap'] = gaps
                views = jnp.stack([unit['first'], unit['second']], axis=1)
                line.setdefault('centres', {})[name] = views
        return jax.device_get(line)

    return measure


def _branch(variables: parallel.Population, name: str) -> parallel.Population:
    return variables.map(lambda own: own[name])


def _encoder(branch: api.Branch, inputs: HeldOut, batch_size: int) -> Callable:
    """-> encode(population of variables, x (n, ...), which): {which: (seeds, rows, D)}, in batches.

    which: of 'first' and 'second', the two views of each example, and 'plain'.
    """
    prepare = {
        'first': lambda key, example: inputs.views(key, example)[0],
        'second': lambda key, example: inputs.views(key, example)[1],
        'plain': lambda key, example: inputs.plain(example),
    }

    @functools.cache
    def compiled(which: tuple[str, ...]) -> Callable:
        def apply(variables: Tree, keys: jax.Array, x: Tree) -> dict[str, jax.Array]:
            return {name: branch(variables, jax.vmap(prepare[name])(keys, x)).z for name in which}

        return parallel.over_seeds(apply, shared=2)

    def encode(
        variables: parallel.Population, x: Tree, which: tuple[str, ...]
    ) -> dict[str, jax.Array]:
        count = len(jax.tree.leaves(x)[0])
        keys = jax.random.split(jax.random.PRNGKey(0), count)
        batches = [
            jax.tree.map(lambda leaf: leaf[i : i + batch_size], (keys, x))
            for i in range(0, count, batch_size)
        ]
        parts = [compiled(which)(variables, *batch) for batch in batches]
        if len(parts) == 1:
            return parts[0]
        return jax.tree.map(lambda *own: jnp.concatenate(own, axis=1), *parts)

    return encode
