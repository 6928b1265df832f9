"""One optimisation step of one phase of any method, for one seed and this device's share of the
batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mi_ssl_jax import parallel
from mi_ssl_jax.methods import api
from mi_ssl_jax.train import gradient_cache, online_probe, shuffle_bn
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train.spec import Spec
from mi_ssl_jax.train.state import Frozen, Trained

Tree = Any


def make(
    spec: Spec, phase_name: str
) -> Callable[[Trained, Frozen, Tree, Tree], tuple[Trained, dict]]:
    """-> step(trained, frozen, data, order): make views, encode, gather, loss, gradient, update,
    followers.

    data: {'x', 'y'} of the whole data set on the device, or () for a streamed source. order:
    (steps, batch) indices of
    this pass, or the streamed batch itself. Metrics: the loss and its terms, and the online probe's
    accuracy.
    """
    axis = spec.layout.axis
    number = [phase.name for phase in spec.method.phases].index(phase_name)
    mixed = shuffled_branches(spec)

    def step(trained: Trained, frozen: Frozen, data: Tree, order: Tree) -> tuple[Trained, dict]:
        method = spec.build(frozen.hyper)
        phase = states.phase_of(method, phase_name)
        key = jax.random.fold_in(
            jax.random.fold_in(frozen.key, states.STEPS + number), trained.step
        )
        views_key, loss_key, shuffle_key = jax.random.split(key, 3)
        batch = fetch(data, order, trained.step, spec.steps_per_pass)
        views = branch_views(method, make_views(spec, views_key, batch['x']))
        views |= {name: shuffle_bn.shuffled(views[name], shuffle_key, axis) for name in mixed}
        info = api.Info(
            trained.step,
            trained.step / spec.steps_per_pass,
            trained.step / (spec.steps_per_pass * spec.passes),
            loss_key,
        )

        def encode(params: Tree, views: dict[str, tuple[Tree, ...]]) -> gradient_cache.Encoded:
            variables = {**frozen.variables, **trained.variables}
            variables[phase.trains] = {**variables[phase.trains], 'params': params}
            return encode_all(method, phase, variables, views)

        def objective(outputs: dict[str, api.Views]) -> tuple[jax.Array, api.Loss]:
            loss = phase.loss(whole_batch(outputs, mixed, shuffle_key, axis), trained.aux, info)
            return loss.value, loss

        params = trained.variables[phase.trains]['params']
        loss, encoded, gradient = gradient_cache.gradient(
            encode, objective, params, views, count=spec.accumulate
        )
        gradient = parallel.mean(gradient, axis)
        statistics = parallel.mean(encoded.statistics, axis if spec.local_statistics else None)
        updates, optimiser = spec.optimiser(frozen.hyper, phase).update(
            gradient, trained.optimiser, params
        )
        variables = follow(
            method,
            phase,
            trained.variables,
            optax.apply_updates(params, updates),
            statistics,
            (trained.step + 1) / (spec.steps_per_pass * spec.passes),
        )
        metrics = {
            'loss': loss.value,
            **{name: term for name, term in loss.terms.items() if term is not None},
        }
        probe = trained.probe
        if spec.classes:
            probe, metrics['online_top1'] = online_probe.step(
                probe, encoded.features, batch['y'], axis
            )
        return Trained(variables, optimiser, loss.aux, trained.step + 1, probe), metrics

    return step


def fetch(data: Tree, order: Tree, step: jax.Array, steps_per_pass: int) -> dict[str, jax.Array]:
    """This step's {'x', 'y'}: gathered from resident data, or the streamed batch as it came."""
    return (
        order if data == () else jax.tree.map(lambda leaf: leaf[order[step % steps_per_pass]], data)
    )


def make_views(spec: Spec, key: jax.Array, examples: Tree) -> tuple[Tree, ...]:
    """Views of each example. One key a *global* batch position: the same views on any number of
    devices."""
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


def encode_all(
    method: api.Method,
    phase: api.Phase,
    variables: dict[str, Tree],
    views: dict[str, tuple[Tree, ...]],
) -> gradient_cache.Encoded:
    """Every branch on its views, of this device's examples.

    Branches that the phase does not train come under a stop-gradient. Features: of the trained
    branch's first view.
    """
    outputs, statistics, features = {}, {}, {}
    for name, branch in method.branches.items():
        seen, statistics[name], features[name] = encode(branch, variables[name], views[name])
        outputs[name] = seen if name == phase.trains else jax.lax.stop_gradient(seen)
    return gradient_cache.Encoded(outputs, statistics, features[phase.trains])


def whole_batch(
    outputs: dict[str, api.Views], shuffled: list[str], key: jax.Array, axis: str | None
) -> dict[str, api.Views]:
    """The branches' outputs over the global batch, all in its order."""
    found = {}
    for name, seen in outputs.items():
        rows = parallel.gather((seen.z, seen.p), axis)
        rows = shuffle_bn.restored(rows, key) if name in shuffled else rows
        found[name] = api.Views(*rows, seen.shared)
    return found


def encode(
    branch: api.Branch, variables: Tree, views: tuple[Tree, ...]
) -> tuple[api.Views, Tree, jax.Array]:
    """A branch on its views in training mode, batch statistics for each view apart: outputs in view
    order, running statistics, backbone features of the first view.

    Views of one shape go through one application. The running statistics move once a step, by the
    mean over views.
    """

    def apply(view: Tree) -> tuple[Any, Tree]:
        return branch.net.apply(variables, view, train=True, mutable=['batch_stats'])

    outputs, statistics = [None] * len(views), []
    shapes = [tuple(leaf.shape for leaf in jax.tree.leaves(view)) for view in views]
    for shape in dict.fromkeys(shapes):
        places = [place for place, own in enumerate(shapes) if own == shape]
        together = jax.tree.map(
            lambda *leaves: jnp.stack(leaves), *(views[place] for place in places)
        )
        output, moved = jax.vmap(apply)(together)
        for row, place in enumerate(places):
            outputs[place] = jax.tree.map(lambda leaf: leaf[row], output)
        statistics.append(jax.tree.map(lambda leaf: leaf.sum(axis=0), moved.get('batch_stats', {})))
    total = jax.tree.map(lambda *sums: sum(sums) / len(views), *statistics)
    predictions = tuple(output.p for output in outputs if output.p is not None)
    return (
        api.Views(tuple(output.z for output in outputs), predictions, outputs[0].shared),
        total,
        outputs[0].features,
    )


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
