"""The parts of a step of either trainer: take, encode, evaluate, update.

Each is for one seed and this device's share of the batch.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mi_ssl_jax import parallel
from mi_ssl_jax.core import streams
from mi_ssl_jax.methods import api
from mi_ssl_jax.nets import heads
from mi_ssl_jax.train import gradient_cache, online_probe, shuffle_bn
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train.gradient_cache import Encoded
from mi_ssl_jax.train.spec import Spec
from mi_ssl_jax.train.state import Frozen, Trained

Tree = Any


class Batch(NamedTuple):
    """The input of a step."""

    views: dict[str, tuple[Tree, ...]]  # branch -> its views, in the order it encodes them
    labels: jax.Array  # (n, ...), for the online probe alone
    info: api.Info
    traced: dict[str, jax.Array]  # keywords of the loss, see api.Method
    shuffle_key: jax.Array


# Take
# --------------------------------------------------------------------------------------------------


def take(
    spec: Spec,
    method: api.Method,
    phase: api.Phase,
    trained: Trained,
    frozen: Frozen,
    data: Tree,
    order: Tree,
) -> Batch:
    """This step's examples and their views, drawn from the stream of the phase and the step."""
    number = [each.name for each in method.phases].index(phase.name)
    stream = jax.random.fold_in(frozen.key, streams.STEPS + number)
    views_key, loss_key, shuffle_key = jax.random.split(jax.random.fold_in(stream, trained.step), 3)
    examples = fetch(data, order, trained.step, spec.steps_per_pass)
    views = branch_views(method, make_views(spec, views_key, examples['x']))
    for name in shuffled_branches(spec):
        views[name] = shuffle_bn.shuffled(views[name], shuffle_key, spec.layout.axis)
    info = api.Info(
        trained.step,
        trained.step / spec.steps_per_pass,
        trained.step / (spec.steps_per_pass * spec.passes),
        loss_key,
    )
    traced = {name: frozen.hyper[name] for name in method.traced}
    return Batch(views, examples['y'], info, traced, shuffle_key)


def fetch(data: Tree, order: Tree, step: jax.Array, steps_per_pass: int) -> dict[str, jax.Array]:
    """This step's {'x', 'y'}: gathered from resident data, or the streamed batch as it came."""
    return (
        order if data == () else jax.tree.map(lambda leaf: leaf[order[step % steps_per_pass]], data)
    )


def make_views(spec: Spec, key: jax.Array, examples: Tree) -> tuple[Tree, ...]:
    """Views of each example. One key a *global* batch position: the same views on any number of
    devices.
    """
    places = parallel.positions(len(jax.tree.leaves(examples)[0]), spec.layout.axis)
    keys = jax.vmap(lambda place: jax.random.fold_in(key, place))(places)
    return jax.vmap(spec.views)(keys, examples)


def branch_views(method: api.Method, views: tuple[Tree, ...]) -> dict[str, tuple[Tree, ...]]:
    """The views that each branch encodes. ValueError: one that the pipeline does not make."""
    own = {}
    for name, branch in method.branches.items():
        if branch.views is not None and max(branch.views) >= len(views):
            raise ValueError(
                f"branch '{name}' encodes view {max(branch.views) + 1} of {len(views)}: "
                'choose a pipeline (views.name) that makes more views'
            )
        own[name] = views if branch.views is None else tuple(views[view] for view in branch.views)
    return own


def shuffled_branches(spec: Spec) -> list[str]:
    """Branches whose examples change places before they are encoded: where batch statistics are of
    parts of the batch.

    With statistics of the whole batch their order makes no difference.
    """
    parts = spec.accumulate > 1 or spec.local_statistics and spec.layout.axis is not None
    return [name for name, branch in spec.method.branches.items() if parts and branch.shuffled]


# Encode
# --------------------------------------------------------------------------------------------------


def encode(
    method: api.Method, variables: Mapping[str, Tree], views: Mapping[str, tuple[Tree, ...]]
) -> dict[str, Encoded]:
    """The branches of `variables` on their views, of this device's examples."""
    return {
        name: encode_branch(method.branches[name], own, views[name])
        for name, own in variables.items()
    }


def encode_branch(branch: api.Branch, variables: Tree, views: tuple[Tree, ...]) -> Encoded:
    """A branch on its views in training mode, batch statistics for each view apart: outputs in view
    order, running statistics, backbone features of the first view.

    Views of one shape go through one application. The running statistics move once a step, by the
    mean over views.
    """

    def apply(view: Tree) -> tuple[Any, Tree]:
        return branch.net.apply(variables, view, train=True, mutable=['batch_stats'])

    found: dict[int, heads.Output] = {}
    statistics = []
    shapes = [tuple(leaf.shape for leaf in jax.tree.leaves(view)) for view in views]
    for shape in dict.fromkeys(shapes):
        places = [place for place, own in enumerate(shapes) if own == shape]
        together = jax.tree.map(
            lambda *leaves: jnp.stack(leaves), *(views[place] for place in places)
        )
        output, moved = jax.vmap(apply)(together)
        for row, place in enumerate(places):
            found[place] = jax.tree.map(lambda leaf: leaf[row], output)
        statistics.append(jax.tree.map(lambda leaf: leaf.sum(axis=0), moved.get('batch_stats', {})))
    outputs = [found[place] for place in range(len(views))]
    total = jax.tree.map(lambda *sums: sum(sums) / len(views), *statistics)
    predictions = tuple(output.p for output in outputs if output.p is not None)
    seen = api.Views(tuple(output.z for output in outputs), predictions, outputs[0].shared)
    return Encoded(seen, total, outputs[0].features)


# Evaluate
# --------------------------------------------------------------------------------------------------


def evaluate(
    spec: Spec,
    phase: api.Phase,
    encode: Callable[[Tree, Tree], dict[str, Encoded]],
    trained: Trained,
    batch: Batch,
) -> tuple[api.Loss, dict[str, Encoded], Tree]:
    """The phase's loss over the global batch, what it was computed of, and its gradient.

    encode(params, views): all branches, as functions of the trained branch's parameters. The
    gradient is the mean over devices: exactly that of one device with the whole batch.
    """

    def objective(outputs: dict[str, api.Views]) -> tuple[jax.Array, api.Loss]:
        seen = whole_batch(spec, outputs, batch.shuffle_key)
        loss = phase.loss(seen, trained.aux, batch.info, **batch.traced)
        return loss.value, loss

    def whole(params: Tree) -> tuple[jax.Array, tuple[api.Loss, dict[str, Encoded]]]:
        encoded = encode(params, batch.views)
        outputs = whole_batch(spec, gradient_cache.outputs_of(encoded), batch.shuffle_key)
        loss = phase.loss(outputs, trained.aux, batch.info, **batch.traced)
        return loss.value, (loss, encoded)

    params = trained.variables[phase.trains]['params']
    if spec.accumulate == 1:
        (_, (loss, encoded)), gradient = jax.value_and_grad(whole, has_aux=True)(params)
    else:
        loss, encoded, gradient = gradient_cache.gradient(
            encode, objective, params, batch.views, count=spec.accumulate
        )
    return loss, encoded, parallel.mean(gradient, spec.layout.axis)


def whole_batch(
    spec: Spec, outputs: Mapping[str, api.Views], key: jax.Array
) -> dict[str, api.Views]:
    """The branches' outputs over the global batch, all in its order."""
    shuffled, found = shuffled_branches(spec), {}
    for name, seen in outputs.items():
        z, p = parallel.gather((seen.z, seen.p), spec.layout.axis)
        if name in shuffled:
            z, p = shuffle_bn.restored((z, p), key)
        found[name] = api.Views(z, p, seen.shared)
    return found


# Update
# --------------------------------------------------------------------------------------------------


def update(
    spec: Spec,
    method: api.Method,
    phase: api.Phase,
    trained: Trained,
    frozen: Frozen,
    batch: Batch,
    loss: api.Loss,
    encoded: Mapping[str, Encoded],
    gradient: Tree,
) -> tuple[Trained, dict[str, jax.Array]]:
    """The trained tree after the optimiser's update, its followers, the online probe; and metrics:
    the loss and its terms, the probe's accuracy.
    """
    axis, params = spec.layout.axis, trained.variables[phase.trains]['params']
    updates, optimiser = spec.optimiser(frozen.hyper, phase).update(
        gradient, trained.optimiser, params
    )
    statistics = parallel.mean(
        {name: encoded[name].statistics for name in trained.variables},
        axis if spec.local_statistics else None,
    )
    variables = follow(
        method,
        phase,
        trained.variables,
        optax.apply_updates(params, updates),
        statistics,
        (trained.step + 1) / (spec.steps_per_pass * spec.passes),
    )
    terms = {name: term for name, term in loss.terms.items() if term is not None}
    metrics, probe = {'loss': loss.value, **terms}, trained.probe
    if spec.classes:
        probe, metrics['online_top1'] = online_probe.step(
            probe, encoded[phase.trains].features, batch.labels, axis
        )
    return Trained(variables, optimiser, loss.aux, trained.step + 1, probe), metrics


def follow(
    method: api.Method,
    phase: api.Phase,
    variables: dict[str, Tree],
    params: Tree,
    statistics: dict[str, Tree],
    progress: jax.Array,
) -> dict[str, Tree]:
    """The trained branch with its new parameters, and its followers by their rule: EMA (Eq. 9) or
    copy (Eq. 8).

    `progress` is the next step's, so that a follower moved after the update equals one moved before
    the next encoding.
    """
    moved = {phase.trains: {'params': params, 'batch_stats': statistics[phase.trains]}}
    for name in variables:
        branch = method.branches[name]
        if name == phase.trains:
            continue
        old = variables[name]['params']
        leader = states.own_part(old, params)
        if branch.momentum is not None:
            tau = branch.momentum(progress)
            leader = jax.tree.map(lambda a, b: tau * a + (1 - tau) * b, old, leader)
        moved[name] = {'params': leader, 'batch_stats': statistics[name]}
    return moved
