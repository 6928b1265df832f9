"""From a configuration to its objects: data, networks, method, optimiser, layout. Everything is
checked here, before anything is compiled.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from mi_ssl_jax import augment, methods, nets, parallel
from mi_ssl_jax.core.types import Variables
from mi_ssl_jax.evals import monitor
from mi_ssl_jax.experiment import checks, inputs, schema
from mi_ssl_jax.methods import api
from mi_ssl_jax.train import gradient_cache, optim, step
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train.spec import Spec
from mi_ssl_jax.train.state import State

Tree = Any
# the batch whose learning rate `lr` is under lr_scaling (Goyal et al. 2017, arXiv 1706.02677)
BASE_BATCH = 256


class Setup(NamedTuple):
    """A configuration made concrete."""

    config: ConfigDict
    source: inputs.Source
    spec: Spec
    width: int  # of the embedding z

    @property
    def method(self) -> api.Method:
        return self.spec.method

    @property
    def layout(self) -> parallel.Layout:
        return self.spec.layout


def setup(config: ConfigDict) -> Setup:
    """Load the data and build the experiment. ValueError, in one line, for anything that cannot
    work.
    """
    return build(config, inputs.load(config), parallel.choose_devices(config.devices or None))


def build(config: ConfigDict, source: inputs.Source, devices: tuple[jax.Device, ...]) -> Setup:
    """The experiment on these data and devices. Errors: see setup."""
    config = decided(config)
    checks.numbers(config, source)
    checks.probes(config, source)
    pipeline = augment.load(config.views.name, **inputs.views_options(config, source))
    plain = inputs.plain(config, source)
    layout = parallel.Layout(devices, config.seeds, 'scan')
    checks.shares(config, source, len(layout.devices))
    with checks.fitting('views', config.views.name, source):
        view = checks.views(pipeline, source.example)
        jax.eval_shape(plain, source.example)
    network = backbone(config)
    with checks.fitting('net', config.net.name, source):
        features = checks.width(network, view, source.rows)
    checks.label_free(config, source, features)
    parts = _parts(config, layout, features)
    arguments = method_arguments(config.method)
    steps = source.size // config.batch_size
    schedule = _schedule(config, steps)
    method = methods.load(config.method.name, parts, **arguments)

    def optimiser(hyper: Mapping[str, Any], phase: api.Phase):
        return optim.make(
            config.optimizer.name,
            lr=hyper['lr'],
            weight_decay=hyper['weight_decay'],
            momentum=config.optimizer.momentum,
            nesterov=config.optimizer.nesterov,
            schedule=schedule,
            steps_per_epoch=steps,
            total_steps=config.epochs * steps,
            groups=phase.groups,
            rules=phase.rules,
            lars=optim.Lars(**config.optimizer.lars),
        )

    hyper = traced(config, method)
    spec = Spec(
        method,
        optimiser,
        pipeline,
        layout,
        (hyper,) * config.seeds,
        config.batch_size,
        steps,
        config.epochs,
        config.period or steps,
        source.classes * config.probe.online,
        config.accumulate,
        config.net.batch_norm == 'device',
        config.check_replicas,
    )
    # Both fail here, in one line, rather than inside a compilation.
    for phase in method.phases:
        optimiser(hyper, phase)
    # The mode is chosen by the forward pass of one device, whose networks know of no axis.
    alone = layout._replace(devices=layout.devices[:1])
    single = method
    if alone != layout:
        single = methods.load(config.method.name, _parts(config, alone, features), **arguments)
    with checks.fitting('net', config.net.name, source):
        checks.memory(spec, source)
        mode = _mode(config.mode, spec._replace(method=single, layout=alone), source)
    return Setup(config, source, spec._replace(layout=layout._replace(mode=mode)), parts.embedding)


def decided(config: ConfigDict) -> ConfigDict:
    """Decide net.dtype='auto' for this machine: bfloat16 on accelerators, float32 on a CPU."""
    cpu = jax.default_backend() == 'cpu'
    return schema.decided(config, 'float32' if cpu else 'bfloat16')


def _schedule(config: ConfigDict, steps: int) -> optax.Schedule:
    """Factor of the learning rate by a phase's own steps. steps: of a pass."""
    own, warmup = config.schedule, config.warmup_epochs * steps
    if own.name == 'steps':
        return optim.warmup_steps_down(
            warmup_steps=warmup,
            drops=tuple(epoch * steps for epoch in own.drops),
            drop_factor=own.drop_factor,
            start=own.start,
        )
    return optim.warmup_cosine(
        warmup_steps=warmup, total_steps=config.epochs * steps, start=own.start, final=own.final
    )


def method_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """A method's own arguments of a configuration's, where 'none', or a block_size of 0, stands for
    None.
    """
    own = {name: value for name, value in ConfigDict(values).items() if name != 'name'}
    absent = {'block_size': 0}
    return {
        name: None if value in ('none', absent.get(name)) else value for name, value in own.items()
    }


def learning_rate(config: ConfigDict) -> float:
    """The largest learning rate of the schedule: `lr`, scaled with the batch where the
    configuration says so.
    """
    powers = {'none': 0.0, 'linear': 1.0, 'sqrt': 0.5}
    return config.lr * (config.batch_size / BASE_BATCH) ** powers[config.lr_scaling]


def traced(config: ConfigDict, method: api.Method) -> dict[str, float]:
    """Hyperparameters passed to the compiled step as arguments. Configurations that differ only in
    these share one compilation.
    """
    own = {name: config.method[name] for name in method.traced}
    return {'lr': learning_rate(config), 'weight_decay': config.weight_decay, **own}


def together(ready: Setup, configs: Sequence[ConfigDict]) -> Setup:
    """One population of several configurations that differ from `ready`'s in `traced` alone: the
    seeds of the first, of the second, ...
    """
    for config in configs:
        checks.numbers(config, ready.source)
    hyper = tuple(traced(config, ready.method) for config in configs for _ in range(config.seeds))
    layout = ready.layout._replace(seeds=len(hyper))
    return ready._replace(config=configs[0], spec=ready.spec._replace(hyper=hyper, layout=layout))


def initial(ready: Setup, weights: Variables | None = None) -> parallel.Population:
    """The population before step one. weights: of every backbone, in the place of random ones."""
    create = functools.partial(states.init, spec=ready.spec, example=ready.source.example)
    seed, seeds = ready.config.seed, ready.config.seeds
    states_ = [
        create(seed + number % seeds, hyper) for number, hyper in enumerate(ready.spec.hyper)
    ]
    if weights is not None:
        states_ = [states.begun_with(own, ready.method, weights) for own in states_]
    return parallel.population(states_, ready.layout)


def abstract(ready: Setup) -> State:
    """Shapes and dtypes of the stacked population, with nothing computed."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((ready.layout.seeds, *leaf.shape), leaf.dtype),
        states.shapes(ready.spec, ready.source.example),
    )


def stacked(population: parallel.Population) -> State:
    """The population on the host, each array with a leading axis of seeds: the form of
    checkpoints.
    """
    return jax.tree.map(
        lambda *leaves: np.stack(leaves), *map(jax.device_get, population.members())
    )


def from_stacked(tree: State, layout: parallel.Layout) -> parallel.Population:
    """The inverse of `stacked`."""
    return parallel.population(
        [jax.tree.map(lambda leaf: leaf[seed], tree) for seed in range(layout.seeds)], layout
    )


def measure(ready: Setup):
    """The evaluation of this experiment; see evals.watch.make."""
    config, source = ready.config, ready.source
    held_out = inputs.watched(source, config)
    watched = monitor.HeldOut(
        held_out.x,
        held_out.y,
        source.classes,
        ready.spec.views,
        inputs.plain(config, source),
        source.centres,
    )
    return monitor.make(
        ready.method,
        ready.layout,
        watched,
        temperature=config.mi.temperature,
        batch_size=config.mi.batch_size,
        label_free_names=tuple(dict.fromkeys(config.mi.label_free)),
    )


def backbone(config: ConfigDict, axis: str | None = None) -> nn.Module:
    """The configuration's network. axis: over which batch norm averages, of the devices."""
    return nets.load(
        config.net.name,
        dtype=jnp.dtype(config.net.dtype),
        axis_name=axis,
        convolution=config.net.convolution,
        **config.net.options.get(config.net.name, {}),
    )


def _parts(config: ConfigDict, layout: parallel.Layout, features: int) -> api.Parts:
    axis = None if config.net.batch_norm == 'device' else layout.axis
    projector = tuple(config.net.projector)
    return api.Parts(
        backbone(config, axis),
        projector,
        tuple(config.net.predictor),
        projector[-1] if projector else features,
        jnp.dtype(config.net.dtype),
        axis,
    )


def batch_of(size: int, example: Tree) -> Tree:
    """The shapes of `size` examples."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape), leaf.dtype), example)


def _mode(mode: str, spec: Spec, source: inputs.Source) -> str:
    if mode != 'auto':
        return mode
    phase = spec.method.phases[0]

    def forward(x: Tree, state: State) -> jax.Array:
        examples = {'x': x, 'y': jnp.zeros((spec.batch_size, source.rows), jnp.int32)}
        trained, frozen = states.split(state, spec.method, phase)
        batch = step.take(spec, spec.method, phase, trained, frozen, (), examples)
        variables = {**trained.variables, **frozen.variables}
        outputs = gradient_cache.outputs_of(step.encode(spec.method, variables, batch.views))
        return phase.loss(outputs, trained.aux, batch.info, **batch.traced).value

    # The batch's own size: losses that refuse it (a queue or a slice that does not divide) say so
    # here.
    batch = batch_of(spec.batch_size, source.example)
    return parallel.choose_mode(forward, batch, states.shapes(spec, source.example))
