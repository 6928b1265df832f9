"""Measurements during training: mutual information, collapse figures, where they are asked for
figures without labels and, on points, the positions of the centres.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.core import linalg, streams
from mi_ssl_jax.evals import centres, collapse, cosine_mi, label_free
from mi_ssl_jax.figures.statistics import evenly
from mi_ssl_jax.methods import api

Tree = Any
Parts = list[jax.Array]  # embeddings (seeds, rows, D) in batches; the last may be filled up
Which = Literal['views', 'plain']
Encoded = dict[str, Parts]  # by output: 'z' and, where it is kept, 'features'
Use = tuple[str, parallel.Population, int]  # the branch, its variables, the view that it encodes


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
    label_free_names: Sequence[str] = (),
) -> Callable[..., dict]:
    """-> measure(variables, lagged, start, end): everything watched, each number with a leading
    axis of seeds, on the host.

    variables: population of {branch: variables}; lagged: of one branch's variables an epoch ago, {}
    without lag.
    start: before the first step, where a lagged method's mutual information is -infinity (paper,
    section 4.2).
    end: after the last step, where it comes with its 95 % interval over examples, 'mi_interval'.
    temperature: of the cosine critic. batch_size: examples encoded at a time. label_free_names: of
    the figures of evals.label_free that are measured too.
    """
    tracked = method.tracked
    encode = _encoder(method, inputs, batch_size, keep_features=bool(label_free_names))
    without_labels = _label_free(inputs, label_free_names, encode)
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
        pair = [] if tracked.lag and start else _z(encode('views', inputs.x, two))
        plain = encode('plain', inputs.x, [(name, own[name], 0) for name in watched])
        line = numbers(pair, dict(zip(watched, _z(plain), strict=True)))
        if label_free_names:
            both = pair if tracked.a == tracked.b and not tracked.lag else []
            line['label_free'] = {
                name: without_labels(name, own[name], encoded['features'], both)
                for name, encoded in zip(watched, plain, strict=True)
            }
        if not pair:
            line['mi'] = {name: np.full(layout.seeds, -np.inf) for name in cosine_mi.NAMES}
        elif end and len(_measured(np.ravel(inputs.labels))) >= cosine_mi.FEWEST:
            line['mi_interval'] = bootstrap(pair)
        if inputs.centres is not None:
            line['centres'] = {}
            for name in watched:
                parts = encode('plain', inputs.centres, [(name, own[name], 0)])
                parts += encode('views', inputs.centres, [(name, own[name], i) for i in (0, 1)])
                gaps, line['centres'][name] = centre_figures(_z(parts))
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
        intervals = cosine_mi.bootstrap(*embeddings, key=key, temperature=temperature)
        return {name: interval._asdict() for name, interval in intervals.items()}

    return parallel.over_seeds(measured), parallel.over_seeds(resampled)


def _label_free(
    inputs: HeldOut, names: Sequence[str], encode: Callable
) -> Callable[[str, parallel.Population, Parts, list[Parts]], dict[str, jax.Array]]:
    """-> measure(branch, its variables, features of the plain examples, embeddings of both views
    where they are known): the branch's figures.
    """
    rows = _measured(np.ravel(inputs.labels))
    samples, drawn_rows, drawn_x = _samples(inputs)
    draws = label_free.VIEWS // 2

    def views_of(parts: Parts) -> jax.Array:
        drawn = jnp.concatenate(parts)[: draws * drawn_rows]
        return drawn.reshape(draws, drawn_rows, -1)[:, samples]

    def figures(plain: Parts, pair: list[Parts], drawn: list[Parts]) -> dict[str, jax.Array]:
        both = [jnp.concatenate(parts)[rows] for parts in pair]
        views = jnp.concatenate([views_of(parts) for parts in drawn]) if drawn else None
        return label_free.figures(
            names,
            features=jnp.concatenate(plain)[rows],
            pair=both,
            draws=None if views is None else views.swapaxes(0, 1),
        )

    compiled = parallel.over_seeds(figures)

    def measure(
        name: str, variables: parallel.Population, plain: Parts, known: list[Parts]
    ) -> dict[str, jax.Array]:
        two = [(name, variables, view) for view in (0, 1)]
        pair, drawn = [], []
        if set(names) & set(label_free.NEED_PAIRS):
            pair = known or _z(encode('views', inputs.x, two))
        if set(names) & set(label_free.NEED_DRAWS):
            again = jax.tree.map(lambda leaf: np.concatenate([leaf] * draws), drawn_x)
            drawn = [encoded['features'] for encoded in encode('views', again, two)]
        return compiled(plain, pair, drawn)

    return measure


def _samples(inputs: HeldOut) -> tuple[np.ndarray, int, Tree]:
    """The examples whose views are drawn again and again: rows of their output that are samples,
    how many rows they have, and the examples.
    """
    chosen = evenly(len(inputs.labels), label_free.SAMPLES)
    labels = np.ravel(inputs.labels[chosen])
    known = _measured(labels)
    samples = known[evenly(len(known), label_free.SAMPLES)]
    return samples, len(labels), jax.tree.map(lambda leaf: leaf[chosen], inputs.x)


def _z(encoded: list[Encoded]) -> list[Parts]:
    return [own['z'] for own in encoded]


def _measured(labels: np.ndarray) -> np.ndarray:
    """The rows with a label, or all where none has one."""
    return np.flatnonzero((labels >= 0) | np.all(labels < 0))


def _centre_figures(number: int, parts: list[Parts]) -> tuple[dict[str, jax.Array], jax.Array]:
    """Gaps between the centres, un-augmented, and both their views (2, K, D), on the sphere."""
    plain, *views = (linalg.unit(jnp.concatenate(own)[:number]) for own in parts)
    return centres.gaps(plain), jnp.stack(views)


def _encoder(
    method: api.Method, inputs: HeldOut, batch_size: int, *, keep_features: bool
) -> Callable[[Which, Tree, list[Use]], list[Encoded]]:
    """-> encode('views' or 'plain', x (n, ...), uses): the embeddings of each use, and with
    keep_features the backbone's output.

    One program makes the views and another applies a network to them: both take seconds to compile,
    and are compiled once for all that use them, a network once for all branches that equal it.
    """
    prepare = {
        'views': jax.jit(jax.vmap(lambda key, example: inputs.views(key, example)[:2])),
        'plain': jax.jit(jax.vmap(lambda key, example: (inputs.plain(example),))),
    }
    outputs = ('z', 'features') if keep_features else ('z',)
    compiled: list[tuple[api.Branch, Callable]] = []

    def network(branch: api.Branch) -> Callable:
        for known, program in compiled:
            if known.net == branch.net:
                return program

        def forward(variables: Tree, x: Tree) -> dict[str, jax.Array]:
            output = branch(variables, x)
            return {name: getattr(output, name) for name in outputs}

        program = parallel.over_seeds(forward, shared=1)
        compiled.append((branch, program))
        return program

    networks = {name: network(branch) for name, branch in method.branches.items()}

    def encode(kind: Which, x: Tree, uses: list[Use]) -> list[Encoded]:
        found: list[Encoded] = [{name: [] for name in outputs} for _ in uses]
        for batch in _batches(x, batch_size):
            views = prepare[kind](*batch)
            for encoded, (name, variables, view) in zip(found, uses, strict=True):
                for output, rows in networks[name](variables, views[view]).items():
                    encoded[output].append(rows)
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
