"""What is watched while a run trains: mutual information, collapse figures and, on points, where the centres lie."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.core import linalg
from mi_ssl_jax.evals import centres, collapse, mi
from mi_ssl_jax.methods import api

Tree = Any


class HeldOut(NamedTuple):
    """The held-out inputs, the same at every evaluation, so that curves show the encoders and nothing else.

    first, second: the two views of each example, as drawn once. plain: the examples un-augmented. labels: (n,), in
    [0, classes). centres: the un-augmented class centres, then a view of each, then another; None for images.
    """

    first: jax.Array
    second: jax.Array
    plain: jax.Array
    labels: jax.Array
    classes: int
    centres: jax.Array | None


def held_out(x: np.ndarray, y: np.ndarray, *, views: Callable, plain: Callable, classes: int,
             centres: np.ndarray | None) -> HeldOut:
    """Draw the fixed views of the held-out examples x (n, ...), y (n,). views, plain: see augment.views."""
    key = jax.random.PRNGKey(0)
    two = jax.jit(jax.vmap(lambda key, example: views(key, example)[:2]))
    first, second = two(jax.random.split(key, len(x)), x)
    around = None
    if centres is not None:
        around = jnp.concatenate([jnp.asarray(centres), *two(jax.random.split(jax.random.fold_in(key, 1), len(centres)),
                                                             centres)])
    return HeldOut(first, second, jax.jit(jax.vmap(plain))(x), jnp.asarray(y), classes, around)


def make(method: api.Method, layout: parallel.Layout, inputs: HeldOut, *, temperature: float,
         batch_size: int) -> Callable[..., dict]:
    """-> measure(variables, lagged, start): everything watched, each number with a leading axis of seeds, on the host.

    variables: population of {branch: variables}; lagged: of one branch's variables an epoch ago, {} without lag.
    start: before the first step, where a lagged method's mutual information is -infinity (paper, section 4.2).
    temperature: of the cosine critic.
    """
    tracked = method.tracked
    encoders = {name: _encoder(method.branches[name], layout, batch_size) for name in method.branches}
    on_arrays = layout._replace(mode='scan')
    estimate = parallel.over_seeds(lambda za, zb: mi.estimates(za, zb, temperature=temperature), on_arrays)
    figures = parallel.over_seeds(lambda z, y: collapse.figures(z, y, classes=inputs.classes), on_arrays, shared=1)
    gaps = parallel.over_seeds(centres.gaps, on_arrays)

    def measure(variables: Tree, lagged: Tree, start: bool = False) -> dict:
        if tracked.lag and start:
            information = {name: np.full(layout.seeds, -np.inf) for name in mi.NAMES}
        else:
            of_b = lagged if tracked.lag else _branch(variables, tracked.b, layout)
            za = encoders[tracked.a](_branch(variables, tracked.a, layout), inputs.first)
            information = estimate(za, encoders[tracked.b](of_b, inputs.second))
        line = {'mi': information, 'collapse': {}}
        for name in dict.fromkeys([tracked.a, tracked.b]):
            own = _branch(variables, name, layout)
            line['collapse'][name] = figures(encoders[name](own, inputs.plain), inputs.labels)
            if inputs.centres is not None:
                points = linalg.unit(encoders[name](own, inputs.centres))
                plain, *views = jnp.split(points, 3, axis=1)
                line['collapse'][name]['nn_gap'] = gaps(plain)
                line.setdefault('centres', {})[name] = jnp.stack(views, axis=1)
        return jax.device_get(line)

    return measure


def _branch(variables: Tree, name: str, layout: parallel.Layout) -> Tree:
    return parallel.per_seed(lambda own: own[name], variables, layout)


def _encoder(branch: api.Branch, layout: parallel.Layout, batch_size: int) -> Callable[[Tree, jax.Array], jax.Array]:
    """-> encode(population of variables, x (n, ...)) -> embeddings (seeds, n, D), running statistics, in batches."""
    apply = parallel.over_seeds(lambda variables, x: branch.net.apply(variables, x, train=False).z, layout, shared=1)

    def encode(variables: Tree, x: jax.Array) -> jax.Array:
        parts = [apply(variables, x[start:start + batch_size]) for start in range(0, len(x), batch_size)]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)

    return encode
