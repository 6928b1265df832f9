"""The gradient of a loss on the whole batch, with the batch encoded at once or in pieces.

In pieces it is gradient caching (Gao et al. 2021, arXiv 2101.06983): all pieces are encoded without
gradient, the loss of the whole batch is differentiated with respect to the outputs, and each piece
is encoded again to carry its part of that gradient to the parameters. For any loss this is the
gradient of the batch encoded at once, as long as an example's output does not depend on the
others': batch norm's statistics are those of a piece. It costs one more encoding.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mi_ssl_jax.methods import api

Tree = Any


class Encoded(NamedTuple):
    """A branch's outputs for its views."""

    outputs: api.Views  # of this device's examples
    statistics: Tree  # new running statistics, once a step
    features: jax.Array  # (n, F), the backbone's, of the first view


def gradient(
    encode: Callable[[Tree, Tree], dict[str, Encoded]],
    loss: Callable[[dict[str, api.Views]], tuple[jax.Array, Any]],
    params: Tree,
    views: Tree,
    *,
    count: int,
) -> tuple[Any, dict[str, Encoded], Tree]:
    """(loss's second result, the encoded batch, gradient of loss's first result).

    encode(params, views) -> {branch: Encoded}, loss({branch: outputs}) -> (value, anything). views:
    a tree of arrays of this device's n examples. count: pieces, a divisor of n. The running
    statistics move once, by the mean over pieces.
    """
    if count == 1:

        def whole(params: Tree) -> tuple[jax.Array, tuple]:
            encoded = encode(params, views)
            value, rest = loss(outputs_of(encoded))
            return value, (rest, encoded)

        (_, (rest, encoded)), total = jax.value_and_grad(whole, has_aux=True)(params)
        return rest, encoded, total
    cut = jax.tree.map(lambda x: x.reshape(count, len(x) // count, *x.shape[1:]), views)
    _, parts = in_turn(lambda carry, part: (carry, encode(params, part)), (), cut)
    encoded = _joined(parts)
    (_, rest), wanted = jax.value_and_grad(loss, has_aux=True)(outputs_of(encoded))

    def add(total: Tree, part: tuple[Tree, Mapping[str, api.Views]]) -> tuple[Tree, tuple]:
        own, slope = part
        _, pull_back = jax.vjp(lambda params: outputs_of(encode(params, own)), params)
        return jax.tree.map(jnp.add, total, pull_back(slope)[0]), ()

    # Else a compiler could take the first encoding for the second and keep its inner values until
    # then.
    start = after(jax.tree.map(jnp.zeros_like, params), wanted)
    total, _ = in_turn(add, start, (cut, _pieces_of(wanted, count)))
    return rest, encoded, total


def in_turn(
    function: Callable[[Tree, Tree], tuple[Tree, Tree]], start: Tree, rows: Tree
) -> tuple[Tree, Tree]:
    """lax.scan(function, start, rows), written out on a CPU, which is slow at convolutions in loops
    (parallel.choose_mode).

    Either way a call begins when the one before has ended, so that their inner values are not in
    memory together.
    """
    if jax.default_backend() != 'cpu':
        return jax.lax.scan(function, start, rows)
    carry = start
    results: list[Tree] = []
    for number in range(len(jax.tree.leaves(rows)[0])):
        row = jax.tree.map(lambda x: x[number], rows)
        carry, result = function(carry, after(row, (carry, results[-1:])))
        results.append(result)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)


def after(tree: Tree, earlier: Tree) -> Tree:
    """The tree's floating-point arrays as they are, but not before `earlier` is there; NaN where
    that is NaN.

    A product with 1, of which the compiler does not know that it is 1: XLA's CPU backend drops
    optimization_barrier before it decides on the order of computation.
    """
    known = [leaf.ravel()[0] for leaf in jax.tree.leaves(earlier) if leaf.size]
    one = jnp.where(jnp.array([x == x for x in known], bool).all(), 1.0, jnp.nan)
    return jax.tree.map(
        lambda x: x * one.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else x, tree
    )


def outputs_of(encoded: Mapping[str, Encoded]) -> dict[str, api.Views]:
    """Return the part of the branches' outputs that a loss sees."""
    return {name: own.outputs for name, own in encoded.items()}


def _joined(parts: Mapping[str, Encoded]) -> dict[str, Encoded]:
    """Pieces on a leading axis -> the batch."""
    rows = lambda tree: jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)

    def joined(part: Encoded) -> Encoded:
        seen = part.outputs
        # What is the same for every example is the same for every piece.
        shared = jax.tree.map(lambda x: x[0], seen.shared)
        statistics = jax.tree.map(lambda x: x.mean(axis=0), part.statistics)
        outputs = api.Views(rows(seen.z), rows(seen.p), shared)
        return Encoded(outputs, statistics, rows(part.features))

    return {name: joined(part) for name, part in parts.items()}


def _pieces_of(wanted: Mapping[str, api.Views], count: int) -> dict[str, api.Views]:
    """The gradient with respect to the batch's outputs -> to each piece's, which share what is no
    example's.
    """
    rows = lambda tree: jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), tree)
    same = lambda tree: jax.tree.map(lambda x: jnp.broadcast_to(x / count, (count, *x.shape)), tree)
    return {
        name: api.Views(rows(seen.z), rows(seen.p), same(seen.shared))
        for name, seen in wanted.items()
    }
