"""The smallest experiment of every method: dense layers on random points, 3 steps a pass, 2
passes."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.base import methods as values
from mi_ssl_jax import augment, methods, nets, parallel
from mi_ssl_jax.core import streams
from mi_ssl_jax.experiment import build
from mi_ssl_jax.methods import api
from mi_ssl_jax.train import feed, loop, optim, state
from mi_ssl_jax.train import schedule as schedules
from mi_ssl_jax.train.spec import Spec

# Values that suit tiny batches, in place of the configurations'.
ARGUMENTS = {
    'temperature': 0.5,
    'momentum': 0.9,
    'queue_size': 2 * 16,
    'slice_size': 16,
    'prototypes': 7,
    'queue_epoch': 0,
    'invariance_weight': 25.0,
    'decay': 0.9,
}
BATCH, STEPS, PASSES = 16, 3, 2
CLASSES = 3
POINTS = np.random.default_rng(5).standard_normal((BATCH * STEPS, 2)).astype(np.float32)
DATA = {
    'x': POINTS,
    'y': np.argmax(POINTS @ np.float32([[1, 0, -1], [0, 1, -1]]), axis=1).astype(np.int32),
}
# XLA compiles small programs faster without its fusion emitters; from jax 0.11 on they cannot be
# left out.
EMITTERS = {'xla_cpu_use_fusion_emitters': False} if jax.__version_info__ < (0, 11) else {}
HYPER = ({'lr': 0.02, 'weight_decay': 0.0}, {'lr': 0.01, 'weight_decay': 1e-2})  # one a seed


def parts(*, dtype=jnp.float32, axis_name: str | None = None) -> api.Parts:
    """Networks with every kind of layer that a method may ask for."""
    style = dict(dtype=dtype, axis_name=axis_name)
    backbone = nets.load('mlp', widths=(6,), **style)
    return api.Parts(backbone, projector=(5, 4), predictor=(3,), embedding=4, **style)


def arguments(name: str) -> dict[str, Any]:
    """The arguments of method `name`: the configurations', but those of ARGUMENTS."""
    known = methods.options(name)
    own = {key: value for key, value in ARGUMENTS.items() if key in known}
    return build.method_arguments(values.arguments(name)) | own


def method(name: str, **changes) -> api.Method:
    """A method of tiny networks."""
    return methods.load(name, parts(), **arguments(name) | changes)


def experiment(
    name: str,
    layout: parallel.Layout,
    *,
    dtype=jnp.float32,
    hyper: tuple[dict[str, float], ...] = HYPER,
    local_statistics: bool = False,
) -> Spec:
    """A method, or a label of methods.structures(), with momentum SGD and a cosine schedule, and
    the values that it traces."""
    name, changes = methods.structures().get(name, (name, {}))
    networks = parts(dtype=dtype, axis_name=None if local_statistics else layout.axis)
    schedule = optim.warmup_cosine(warmup_steps=0, total_steps=STEPS * PASSES)

    method = methods.load(name, networks, **arguments(name) | changes)
    own = {
        key: value for key, value in {**arguments(name), **changes}.items() if key in method.traced
    }

    def optimiser(hyper, phase):
        return optim.make(
            'sgd',
            lr=hyper['lr'],
            weight_decay=hyper['weight_decay'],
            momentum=0.9,
            schedule=schedule,
            steps_per_epoch=STEPS,
            total_steps=STEPS * PASSES,
            groups=phase.groups,
            rules=phase.rules,
        )

    return Spec(
        method,
        optimiser,
        augment.load('noise'),
        layout,
        tuple({**own, **values} for values in hyper[: layout.seeds]),
        batch_size=BATCH,
        steps_per_pass=STEPS,
        passes=PASSES,
        period=STEPS,
        classes=CLASSES,
        local_statistics=local_statistics,
    )


def one_device(*, seeds: int = 1, mode: str = 'loop') -> parallel.Layout:
    return parallel.Layout((jax.local_devices()[0],), seeds, mode)


def compile_passes(spec: Spec) -> dict:
    """Phase -> compiled pass, by the method's trainer."""
    return schedules.compile_steps(spec)


def initial(spec: Spec) -> Any:
    """The population before step one; seed i starts from key i."""
    states = [state.init(seed, hyper, spec, POINTS[0]) for seed, hyper in enumerate(spec.hyper)]
    return parallel.population(states, spec.layout)


def start(name: str) -> state.State:
    """Seed 0 before step one, in numpy, its floats widened to float64 for runs in that
    precision."""
    with jax.enable_x64(False):
        experiment_ = experiment(name, one_device())
        member = snapshot(state.init(0, experiment_.hyper[0], experiment_, POINTS[0]))
    return jax.tree.map(
        lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, member
    )


def chunks(spec: Spec, **options: Any) -> Iterator[loop.Progress]:
    """The training loop on POINTS, with a log point each step and one evaluation, of nothing, at
    the end. options: of loop.train.
    """
    return loop.train(
        spec,
        initial(spec),
        feed.Resident(spec, parallel.place(DATA, spec.layout)),
        log_every=1,
        evaluate_every=PASSES,
        evaluate=lambda *state, **when: {},
        **options,
    )


@functools.cache
def compiled_order(layout: parallel.Layout):
    return parallel.compile_order(len(POINTS), BATCH, layout, stream=streams.ORDER)


class Call(NamedTuple):
    """One call of a compiled pass.

    before, after: the states of all seeds. metrics: with a leading axis of seeds. donated: whether
    all arrays
    of the trained tree were deleted. kept: whether none of the frozen tree was. shared: whether all
    devices
    hold the same state. compilations: how many.
    """

    phase: str
    before: list[state.State]
    after: list[state.State]
    metrics: dict[str, np.ndarray]
    donated: bool
    kept: bool
    shared: bool
    compilations: int


def train(spec: Spec, runs: dict, population: Any, *, length: int) -> list[Call]:
    """All passes, whole passes of each phase in turn, `length` steps a call."""
    layout, method = spec.layout, spec.method
    data = parallel.place(DATA, layout)
    keys = jax.tree.map(jnp.copy, population.map(lambda s: s.key))
    calls = []
    for number in range(PASSES):
        for phase in method.phases:
            batches = compiled_order(layout)(keys, number)
            for _ in range(STEPS // length):
                run = runs[phase.name]
                population, call = _call(spec, run, phase, population, data, batches, length)
                calls.append(call)
    return calls


def _call(spec, run, phase, population, data, batches, length):
    method = spec.method
    before = snapshots(population)
    trained, frozen = population.map(lambda s: state.split(s, method, phase)).unzip()
    with compilations() as compiled:
        moved, metrics = run(trained, frozen, data, batches, length)
        jax.block_until_ready(moved)
    donated = all(leaf.is_deleted() for leaf in jax.tree.leaves(trained))
    kept = not any(leaf.is_deleted() for leaf in jax.tree.leaves(frozen))
    copies = jax.tree.map(jnp.copy, (moved, metrics))  # see snapshot
    shared = all(
        np.array_equal(shard.data, leaf)
        for leaf in jax.tree.leaves(copies)
        for shard in leaf.addressable_shards
    )
    population = population.map(lambda s, own: state.merge(s, phase, own), moved)
    after = snapshots(population)
    metrics = snapshot(metrics)
    return population, Call(
        phase.name, before, after, metrics, donated, kept, shared, len(compiled)
    )


def snapshots(population: parallel.Population) -> list[Any]:
    """Every seed's state in numpy."""
    return snapshot(population).members()


def snapshot(tree: Any) -> Any:
    """The tree in numpy, independent of the device's buffers, which jax 0.11 would not donate once
    the host sees them."""
    return jax.tree.map(lambda leaf: np.array(leaf.copy()), tree)


@contextlib.contextmanager
def compilations() -> Iterator[list[dict]]:
    """A list that grows with every program that is compiled, or read from the cache of compiled
    programs."""
    programs = []

    def listen(event: str, duration: float, **details) -> None:
        if event == '/jax/core/compile/backend_compile_duration':
            programs.append(details)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield programs
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@contextlib.contextmanager
def quick_compilation() -> Iterator[None]:
    """What is jitted in this context is hardly optimised: compiling takes longer than all that
    these tests compute.

    Measured for a step of BYOL: 2.7 s with everything, 0.5 s so.
    """
    jit = jax.jit
    jax.jit = functools.partial(
        jit,
        compiler_options={
            'xla_backend_optimization_level': 0,
            'xla_llvm_disable_expensive_passes': True,
            **EMITTERS,
        },
    )
    try:
        yield
    finally:
        jax.jit = jit


def structures(*quick: str) -> list:
    """Parameters of a test: every structure of methods; those not named are in the slow tier."""
    return [
        name if name in quick else pytest.param(name, marks=pytest.mark.slow)
        for name in methods.structures()
    ]


@contextlib.contextmanager
def hardly_optimised() -> Iterator[None]:
    """As `quick_compilation`, also where a jitted function is called while another is traced; a
    little slower."""
    before = jax.config.read('jax_disable_most_optimizations')
    jax.config.update('jax_disable_most_optimizations', True)
    try:
        yield
    finally:
        jax.config.update('jax_disable_most_optimizations', before)
