"""The programs that are timed: the whole step as training runs it, and its parts alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.bench.timing import Program
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.train import feed as feeds
from mi_ssl_jax.train import schedule, step
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train.spec import Spec

Tree = Any
# steps: the second's arguments lie where the first put them, which can be a program of its own
WARM = 2


class Trainer:
    """An experiment's compiled passes with the state they move."""

    def __init__(self, spec: Spec, population: Tree, feed: feeds.Resident | feeds.Streamed):
        self.spec, self.feed, self.population = spec, feed, population
        self.passes = schedule.compile_steps(spec)
        feed.begin(population, 0)

    def program(self, phase: str) -> Program:
        """`phase`, for timing."""
        return Program(lambda count: self.run(phase, count), WARM)

    def run(self, phase: str, steps: int) -> None:
        """Take `steps` steps of a phase."""
        own = states.phase_of(self.spec.method, phase)
        trained, frozen = self.halves(phase)
        for batches, length in self.feed.pieces(phase, steps):
            trained, metrics = self.passes[phase](trained, frozen, self.feed.data, batches, length)
        self.population = self.population.map(
            lambda state, new: states.merge(state, own, new), trained
        )
        jax.block_until_ready((trained, metrics))

    def halves(self, phase: str) -> tuple[Tree, Tree]:
        """The state as a phase's pass takes it: (trained, frozen)."""
        spec = self.spec
        own = states.phase_of(spec.method, phase)
        return self.population.map(lambda state: states.split(state, spec.method, own)).unzip()


def network(ready: experiments.Setup) -> Trainer:
    """The step on views that are there already: encoders, loss, gradient, update.

    The views of two batches lie on the device, and steps take them in turn: with one batch a
    compiler may move the encoding of a frozen branch out of the loop over steps.
    """
    spec = ready.spec
    share, y = first_examples(ready, 2 * spec.batch_size)
    made = jax.jit(lambda x: step.make_views(_one_device(spec), jax.random.PRNGKey(0), x))(share)
    passes = spec.passes * spec.steps_per_pass  # progress stays where it is in training
    alone = spec._replace(views=lambda _, views: views, steps_per_pass=2, passes=passes)
    examples = parallel.place({'x': made, 'y': jnp.asarray(y)}, spec.layout)
    return Trainer(alone, experiments.initial(ready), feeds.Resident(alone, examples))


def augmentation(ready: experiments.Setup) -> Program:
    """The views of one device's share of a batch; nothing else."""
    spec = _one_device(ready.spec)
    x = jax.device_put(first_examples(ready, device_share(ready))[0], spec.layout.devices[0])

    @jax.jit
    def make(number: jax.Array, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        return number + 1, step.make_views(
            spec, jax.random.fold_in(jax.random.PRNGKey(0), number), x
        )

    return Program(lambda steps: chain(lambda number: make(number, x), steps), WARM)


def input_alone(ready: experiments.Setup, feed: feeds.Resident | feeds.Streamed) -> Program:
    """Batches alone: gathered on the device (one device's share), or decoded, cut and sent to
    it.
    """
    if isinstance(feed, feeds.Streamed):
        return Program(lambda steps: _read(feed, ready.method.phases[0].name, steps), WARM)
    steps_per_pass, count = ready.spec.steps_per_pass, device_share(ready)
    order = np.random.RandomState(0).permutation(ready.source.size)[: steps_per_pass * count]
    order = jnp.asarray(order.reshape(steps_per_pass, count))

    @jax.jit
    def gather(number: jax.Array, data: Tree, order: jax.Array) -> tuple[jax.Array, Tree]:
        return number + 1, step.fetch(data, order, number, steps_per_pass)

    return Program(
        lambda steps: chain(lambda number: gather(number, feed.data, order), steps), WARM
    )


def _read(feed: feeds.Streamed, phase: str, steps: int) -> None:
    for batch, _ in feed.pieces(phase, steps):
        jax.block_until_ready(batch)


def device_share(ready: experiments.Setup) -> int:
    """Examples of a batch that one device sees."""
    return ready.spec.batch_size // len(ready.layout.devices)


def views_made(ready: experiments.Setup) -> int:
    """Views of an example that the pipeline makes."""
    return len(_view_shapes(ready))


def first_examples(ready: experiments.Setup, count: int) -> tuple[Tree, np.ndarray]:
    """x and y of the first `count` training examples, repeated when there are fewer."""
    first = next(inputs.batches(ready.source, 'train', count))
    places = np.arange(count) % len(first.y)
    return inputs.pick(first.x, places), first.y[places]


def _view_shapes(ready: experiments.Setup) -> tuple[Tree, ...]:
    return jax.eval_shape(ready.spec.views, jax.random.PRNGKey(0), ready.source.example)


def _one_device(spec: Spec) -> Spec:
    layout = spec.layout
    return spec._replace(layout=layout._replace(devices=layout.devices[:1]))


def chain(function: Callable[[jax.Array], tuple[jax.Array, Tree]], steps: int) -> None:
    """Call function(number) -> (number + 1, results) `steps` times, each after the one before."""
    number, results = jnp.zeros((), jnp.int32), None
    for _ in range(steps):
        number, results = function(number)
    jax.block_until_ready(results)
