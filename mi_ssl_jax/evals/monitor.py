"""Measurements during training: mutual information, collapse figures and, on points, the positions
of the centres.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.core import linalg, streams
from mi_ssl_jax.evals import centres, collapse, cosine_mi
from mi_ssl_jax.methods import api

Tree = Any
Parts = list[jax.Array]  # embeddings (seeds, rows, D) in batches; the last may be filled up
Which = Literal['views', 'plain']
Use = tuple[str, parallel.Population, int]  # the branch, its variables, the view that it encodes
RESAMPLES = 400  # of the bootstrap: 4 s for 10,000 examples on 2 CPU cores


class HeldOut(NamedTuple):
    """The held-out examples, with the same views at every evaluation: curves show the encoders and
    nothing else.

    x: (n, ...) as the source holds them. labels: (n,) or (n, nodes), in [0, classes); what has a
    label below 0 (a graph's training nodes) is encoded with the rest and then left out, unless
    nothing has another. classes: fewer than two leave the figures of classes out. views:
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
    tracked = method.tracked
    encode = _encoder(method, inputs, batch_size)
    watched = list(dict.fromkeys([tracked.a, tracked.b]))
    numbers, bootstrap = _numbers(inputs, temperature)
    number = 0 if inputs.centres is None else len(inputs.centres)
    centre_figures = parallel.over_seeds(functools.partial(_centre_figures, number))

    def measure(
        variables: parallel.Population,
        lagged: parallel.Population,
        start: bool = False,
        end: bool = False,
    ) -> dict:
        own = {name: variables.map(lambda trees, name=name: trees[name]) for name in watched}
        of_b = lagged if tracked.lag else own[tracked.b]
        two = [(tracked.a, own[tracked.a], 0), (tracked.b, of_b, 1)]
        pair = [] if tracked.lag and start else encode('views', inputs.x, two)
        plain = encode('plain', inputs.x, [(name, own[name], 0) for name in watched])
        line = numbers(pair, dict(zip(watched, plain, strict=True)))
        if not pair:
            line['mi'] = {name: np.full(layout.seeds, -np.inf) for name in cosine_mi.NAMES}
        elif end and len(_measured(np.ravel(inputs.labels))) >= cosine_mi.FEWEST:
            line['mi_interval'] = bootstrap(pair)
        if inputs.centres is not None:
            line['centres'] = {}
            for name in watched:
                parts = encode('plain', inputs.centres, [(name, own[name], 0)])
                parts += encode('views', inputs.centres, [(name, own[name], i) for i in (0, 1)])
                gaps, line['centres'][name] = centre_figures(parts)
                line['collapse'][name]['nn_gap'] = gaps
        return jax.device_get(line)

    return measure


def _numbers(inputs: HeldOut, temperature: float) -> tuple[Callable, Callable]:
    """-> numbers(pair, {branch: plain}), bootstrap(pair): what is said of all seeds' embeddings.

    Each is one program, since on a GPU compiling takes longer than everything it computes.
    """
    labels = np.ravel(inputs.labels)
    rows = _measured(labels)

    def held_out(parts: Parts) -> jax.Array:
        z = jnp.concatenate(parts)
        return z[: len(rows)] if len(rows) == len(labels) else z[rows]

    def measured(pair: Tree, plain: Tree) -> dict[str, Any]:
        collapsed = {
            name: collapse.figures(
                held_out(parts), jnp.asarray(labels[rows]), classes=inputs.classes
            )
            for name, parts in plain.items()
        }
        mi = cosine_mi.estimates(*map(held_out, pair), temperature=temperature) if pair else {}
        return {'mi': mi, 'collapse': collapsed}

    def resampled(pair: Tree) -> dict[str, Any]:
        key, embeddings = streams.evaluation(streams.RESAMPLES), map(held_out, pair)
        intervals = cosine_mi.bootstrap(
            *embeddings, key=key, resamples=RESAMPLES, temperature=temperature
        )
        return {name: interval._asdict() for name, interval in intervals.items()}

    return parallel.over_seeds(measured), parallel.over_seeds(resampled)


def _measured(labels: np.ndarray) -> np.ndarray:
    """The rows with a label, or all where none has one."""
    return np.flatnonzero((labels >= 0) | np.all(labels < 0))


def _centre_figures(number: int, parts: list[Parts]) -> tuple[dict[str, jax.Array], jax.Array]:
    """Gaps between the centres, un-augmented, and both their views (2, K, D), on the sphere."""
    plain, *views = (linalg.unit(jnp.concatenate(own)[:number]) for own in parts)
    return centres.gaps(plain), jnp.stack(views)


def _encoder(
    method: api.Method, inputs: HeldOut, batch_size: int
) -> Callable[[Which, Tree, list[Use]], list[Parts]]:
    """-> encode('views' or 'plain', x (n, ...), uses): the embeddings of each use.

    One program makes the views and another applies a network to them: both take seconds to compile,
    and are compiled once for all that use them, a network once for all branches that equal it.
    """
    prepare = {
        'views': jax.jit(jax.vmap(lambda key, example: inputs.views(key, example)[:2])),
        'plain': jax.jit(jax.vmap(lambda key, example: (inputs.plain(example),))),
    }
    compiled: list[tuple[api.Branch, Callable]] = []

    def network(branch: api.Branch) -> Callable:
        for known, program in compiled:
            if known.net == branch.net:
                return program
        program = parallel.over_seeds(lambda variables, x: branch(variables, x).z, shared=1)
        compiled.append((branch, program))
        return program

    networks = {name: network(branch) for name, branch in method.branches.items()}

    def encode(kind: Which, x: Tree, uses: list[Use]) -> list[Parts]:
        found: list[Parts] = [[] for _ in uses]
        for batch in _batches(x, batch_size):
            views = prepare[kind](*batch)
            for parts, (name, variables, view) in zip(found, uses, strict=True):
                parts.append(networks[name](variables, views[view]))
        return found

    return encode


def _batches(x: Tree, batch_size: int) -> Iterator[tuple[np.ndarray, Tree]]:
    """(keys, examples) in batches of one size, so that one shape is compiled; the last one is
    filled up with its last example.
    """
    count = len(jax.tree.leaves(x)[0])
    keys = np.asarray(jax.random.split(streams.evaluation(streams.VIEWS), count))
    batches = -(-count // batch_size)
    size = -(-count // batches)
    for rows in np.minimum(np.arange(batches * size), count - 1).reshape(batches, size):
        yield jax.tree.map(lambda leaf, rows=rows: leaf[rows], (keys, x))
