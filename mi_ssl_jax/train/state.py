"""The training state, and its split for a phase into the tree it trains and the frozen rest."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mi_ssl_jax.core import streams
from mi_ssl_jax.methods import api
from mi_ssl_jax.train import online_probe
from mi_ssl_jax.train.spec import Spec

Tree = Any


class State(NamedTuple):
    """One seed's training state.

    variables: branch -> {'params', 'batch_stats'}. optimiser: phase -> optax state. aux: the
    method's own state.
    steps: phase -> () int32, steps it has taken. lagged: variables of the tracked branch one epoch
    ago, {} without lag.
    key: (2,) uint32. hyper: learning rate, weight decay and what else may differ between seeds of
    one program.
    probe: phase -> the online probe of its branch, () without one.
    """

    variables: dict[str, Tree]
    optimiser: Mapping[api.PhaseName, Tree]
    aux: Tree
    steps: Mapping[api.PhaseName, jax.Array]
    lagged: Tree
    key: jax.Array
    hyper: dict[str, jax.Array]
    probe: Mapping[api.PhaseName, Tree]


class Trained(NamedTuple):
    """The part of the state that a phase's step changes: the trained branch and its followers, the
    phase's optimiser state, aux, step and online probe.
    """

    variables: dict[str, Tree]
    optimiser: Tree
    aux: Tree
    step: jax.Array
    probe: Tree = ()


class Frozen(NamedTuple):
    """The part of the state that a phase's step only reads: the other branches, the seed's key, the
    hyperparameters.
    """

    variables: dict[str, Tree]
    key: jax.Array
    hyper: dict[str, jax.Array]


def phase_of(method: api.Method, name: str) -> api.Phase:
    """The method's phase of this name."""
    return next(phase for phase in method.phases if phase.name == name)


def moving(method: api.Method, phase: api.Phase) -> list[str]:
    """The branches a phase changes: the one it trains, then its followers."""
    return [
        phase.trains,
        *(name for name, branch in method.branches.items() if branch.follows == phase.trains),
    ]


def with_params(trained: Trained, phase: api.Phase, params: Tree) -> dict[str, Tree]:
    """{the trained branch: its variables with these parameters}."""
    return {phase.trains: {**trained.variables[phase.trains], 'params': params}}


def followers(variables: Mapping[str, Tree], phase: api.Phase) -> dict[str, Tree]:
    """The variables of the branches that follow the trained one."""
    return {name: tree for name, tree in variables.items() if name != phase.trains}


def split(state: State, method: api.Method, phase: api.Phase) -> tuple[Trained, Frozen]:
    """The state as a phase's step takes it; no array is copied."""
    names = moving(method, phase)
    rest = {name: tree for name, tree in state.variables.items() if name not in names}
    return (
        Trained(
            {name: state.variables[name] for name in names},
            state.optimiser[phase.name],
            state.aux,
            state.steps[phase.name],
            state.probe[phase.name],
        ),
        Frozen(rest, state.key, state.hyper),
    )


def merge(state: State, phase: api.Phase, trained: Trained) -> State:
    """The state after a phase's step."""
    return state._replace(
        variables={**state.variables, **trained.variables},
        optimiser={**state.optimiser, phase.name: trained.optimiser},
        aux=trained.aux,
        steps={**state.steps, phase.name: trained.step},
        probe={**state.probe, phase.name: trained.probe},
    )


def init(seed: int, hyper: Mapping[str, float], spec: Spec, example: Tree) -> State:
    """A seed's state before its first step. example: one item of the data set, for the shapes of
    its views.
    """
    key, views = jax.random.PRNGKey(seed), _view_shapes(spec, example)
    start = {name: jnp.asarray(value, jnp.float32) for name, value in hyper.items()}
    if isinstance(key, jax.core.Tracer):  # part of another program, or only its shapes are wanted
        return _init(key, start, spec.method, spec.optimiser, views, spec.classes)
    return _compiled_init(spec.method, spec.optimiser, views, spec.classes)(key, start)


def shapes(spec: Spec, example: Tree) -> State:
    """The shapes and types of a seed's state; nothing is computed. The trace serves `init` too."""
    key = jax.eval_shape(jax.random.PRNGKey, 0)
    start = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in spec.hyper[0]}
    views = _view_shapes(spec, example)
    compiled = _compiled_init(spec.method, spec.optimiser, views, spec.classes)
    return jax.eval_shape(compiled, key, start)


def _view_shapes(spec: Spec, example: Tree) -> tuple:
    """What a view is, in a form that can be compared: (structure, ((shape, type), ...))."""
    key = jax.eval_shape(jax.random.PRNGKey, 0)
    leaves, structure = jax.tree.flatten(jax.eval_shape(spec.views, key, example))
    return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


@functools.lru_cache(maxsize=1)
def _compiled_init(method: api.Method, optimiser: Callable, views: tuple, classes: int) -> Callable:
    """One program for all seeds: compiling the initialisation takes longer than training a small
    network.

    It runs once a seed, so on a CPU the compiler leaves out its costly passes: the same bits after
    a half to a third of the time.
    """
    cpu = jax.default_backend() == 'cpu'
    return jax.jit(
        lambda key, hyper: _init(key, hyper, method, optimiser, views, classes),
        compiler_options={'xla_backend_optimization_level': 1} if cpu else None,
    )


def _init(
    key: jax.Array,
    hyper: dict[str, jax.Array],
    method: api.Method,
    optimiser: Callable,
    views: tuple,
    classes: int,
) -> State:
    structure, shapes = views
    batch = jax.tree.unflatten(
        structure, [jnp.zeros((2, *shape), dtype) for shape, dtype in shapes]
    )
    branch_key, aux_key = jax.random.split(jax.random.fold_in(key, streams.INIT))
    variables = {}
    for number, (name, branch) in enumerate(method.branches.items()):
        view = batch[0 if branch.views is None else branch.views[0]]
        own = dict(branch.net.init(jax.random.fold_in(branch_key, number), view, train=False))
        variables[name] = {'params': own['params'], 'batch_stats': own.get('batch_stats', {})}
    for name, branch in method.branches.items():
        if branch.follows is not None and not branch.independent:
            variables[name]['params'] = own_part(
                variables[name]['params'], variables[branch.follows]['params']
            )
    moments = {
        phase.name: optimiser(hyper, phase).init(variables[phase.trains]['params'])
        for phase in method.phases
    }
    lagged = variables[method.tracked.b] if method.tracked.lag else {}
    steps = {phase.name: jnp.zeros((), jnp.int32) for phase in method.phases}
    probe = {
        phase.name: _probe(
            method.branches[phase.trains], variables[phase.trains], batch[0], classes
        )
        for phase in method.phases
    }
    return State(variables, moments, method.init_aux(aux_key), steps, lagged, key, hyper, probe)


def _probe(branch: api.Branch, variables: Tree, view: Tree, classes: int) -> Tree:
    if not classes:
        return ()
    features = jax.eval_shape(lambda: branch(variables, view).features)
    return online_probe.init(features.shape[-1], classes)


def begun_with(state: State, method: api.Method, weights: Mapping[str, Tree]) -> State:
    """An initial state with these variables in the backbone of every branch, each with its own
    copy.

    Raises:
        ValueError: a branch without a backbone.
    """
    variables = {}
    for name, own in state.variables.items():
        if 'backbone' not in own['params']:
            raise ValueError(f"branch '{name}' has no backbone that could begin with weights")
        variables[name] = {
            collection: {**tree, 'backbone': jax.tree.map(jnp.array, weights[collection])}
            if weights.get(collection)
            else tree
            for collection, tree in own.items()
        }
    return keep_lagged(state._replace(variables=variables), method)


def own_part(follower: Mapping[str, Tree], leader: Mapping[str, Tree]) -> dict[str, Tree]:
    """The leader's modules that the follower has too (a target has no predictor)."""
    return {module: leader[module] for module in follower}


def keep_lagged(state: State, method: api.Method) -> State:
    """Remember the tracked branch as it stands now, for the next epoch's mutual information."""
    if not method.tracked.lag:
        return state
    # Copies: the originals are donated to the next step.
    return state._replace(lagged=jax.tree.map(jnp.copy, state.variables[method.tracked.b]))
