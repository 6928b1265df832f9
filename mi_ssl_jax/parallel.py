"""Devices, seeds and passes: the only file that names pmap, jit for steps, vmap over seeds, an axis
or a collective.

A step is written for one seed and the global batch. Here it becomes a program: over the devices of
`Layout` by pmap, over the seeds by vmap, a device loop or one after another, and over the steps of
a pass by lax.scan or a host loop.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Array = jax.Array
Tree = Any
Step = Callable[[Tree, Tree, Tree, Array], tuple[Tree, dict[str, Array]]]

AXIS = 'devices'


class Layout(NamedTuple):
    """The devices, seeds and mode of a run.

    devices: those that share each global batch, of all processes. seeds: independent copies trained
    side by side.
    mode: 'scan' (a chunk of steps is one compiled loop, all seeds in one program), 'apart' (the
    same, one seed after another) or 'loop' (a host loop over the compiled step, one seed after
    another).
    """

    devices: tuple[jax.Device, ...]
    seeds: int
    mode: Literal['scan', 'apart', 'loop']

    @property
    def axis(self) -> str | None:
        """The axis name for batch statistics and gathers; None on one device, where neither is
        needed.
        """
        return AXIS if len(self.devices) > 1 else None

    @property
    def apart(self) -> bool:
        """Whether seeds run one after another, each as a tree of its own."""
        return self.mode != 'scan' or self.seeds == 1

    @property
    def own(self) -> tuple[jax.Device, ...]:
        """This process's devices. Arrays outside a pass lie on them alone; a pass joins the
        processes.
        """
        return tuple(
            device for device in self.devices if device.process_index == jax.process_index()
        )


def choose_devices(count: int | None) -> tuple[jax.Device, ...]:
    """The devices of all processes, or `count` of them, as many of each process. ValueError if
    there are fewer.
    """
    processes = [jax.local_devices(process_index=index) for index in range(jax.process_count())]
    each = min(map(len, processes))
    most = each * len(processes)
    if count is not None and (not 1 <= count <= most or count % len(processes)):
        if len(processes) == 1:
            raise ValueError(
                f'devices={count}, but this machine has {most}: use 1 to {most}, or 0 for all'
            )
        raise ValueError(
            f'devices={count}, but {len(processes)} processes have {each} each: use a multiple of '
            f'{len(processes)} up to {most}, or 0 for all'
        )
    each = (count or most) // len(processes)
    return tuple(device for own in processes for device in own[:each])


def choose_mode(step: Step, *arguments: Tree) -> Literal['scan', 'apart', 'loop']:
    """'scan' for dense networks; for networks with convolutions 'loop' on a CPU, else 'apart'.

    Inside scan, cond or map XLA's CPU backend runs the gradients of convolutions 25 to 46 times
    slower than outside. vmap over seeds makes grouped convolutions of them, which GPUs are slow at.
    """
    if 'conv_general_dilated' not in str(jax.make_jaxpr(step)(*arguments)):
        return 'scan'
    return 'loop' if jax.default_backend() == 'cpu' else 'apart'


# Inside a step
# --------------------------------------------------------------------------------------------------


def gather(tree: Tree, axis: str | None) -> Tree:
    """Per-device rows (n, ...) -> the global batch (devices * n, ...), differentiable; the identity
    for axis None.
    """
    if axis is None:
        return tree
    return jax.tree.map(lambda x: jax.lax.all_gather(x, axis, tiled=True), tree)


def mean(tree: Tree, axis: str | None) -> Tree:
    """Mean over devices; the identity for axis None.

    The gradient of a loss that every device computes on the gathered batch: all_gather's transpose
    sums the cotangents over devices, this mean divides them again, so the result is the one-device
    gradient.
    """
    return tree if axis is None else jax.lax.pmean(tree, axis)


def positions(count: int, axis: str | None) -> Array:
    """Positions in the global batch of this device's `count` examples."""
    local = jnp.arange(count)
    return local if axis is None else local + count * jax.lax.axis_index(axis)


def varying_alike(*arrays: Array) -> list[Array]:
    """Arrays that count as different on the devices of the same axes, as a primitive's rules must
    have them; outside a program over devices the arrays themselves.
    """
    axes = [jax.typeof(array).mat.varying for array in arrays]
    missing = [frozenset().union(*axes) - own for own in axes]
    return [
        jax.lax.pcast(array, tuple(names), to='varying') if names else array
        for array, names in zip(arrays, missing, strict=True)
    ]


def trace(step: Step, layout: Layout, *arguments: Tree) -> Any:
    """A step's jaxpr on one of the layout's devices; nothing is compiled, and the devices need not
    exist.
    """
    axes = [] if layout.axis is None else [(AXIS, len(layout.devices))]
    return jax.make_jaxpr(step, axis_env=axes)(*arguments).jaxpr


# Populations
# --------------------------------------------------------------------------------------------------


@jax.tree_util.register_pytree_node_class
class Population:
    """Independent copies of a tree, one a seed, as compiled programs take them.

    Inside they are stacked along a leading axis of seeds, or apart where a host loop takes one
    after another; outside this file nobody needs to know.
    """

    def __init__(self, trees: Tree, *, apart: bool):
        """trees: one tree with a leading axis of seeds; apart, a tuple of trees."""
        self._trees, self._apart = trees, apart

    def map(self, function: Callable, *others: 'Population') -> 'Population':
        """Apply a function that only takes trees apart or puts them together to every seed's tree,
        with the trees of `others` of the same seed.
        """
        rest = [other._trees for other in others]
        if self._apart:
            trees = tuple(function(*own) for own in zip(self._trees, *rest, strict=True))
        else:
            trees = function(self._trees, *rest)
        return Population(trees, apart=self._apart)

    def unzip(self) -> tuple['Population', 'Population']:
        """A population of pairs as a pair of populations."""
        return self.map(lambda pair: pair[0]), self.map(lambda pair: pair[1])

    def members(self) -> list[Tree]:
        """One tree a seed."""
        if self._apart:
            return list(self._trees)
        seeds = len(jax.tree.leaves(self._trees)[0])
        return [jax.tree.map(lambda leaf: leaf[seed], self._trees) for seed in range(seeds)]

    def first(self) -> Tree:
        """The tree of the first seed."""
        return self._trees[0] if self._apart else jax.tree.map(lambda leaf: leaf[0], self._trees)

    def tree_flatten(self) -> tuple[tuple[Tree], bool]:
        return (self._trees,), self._apart

    @classmethod
    def tree_unflatten(cls, apart: bool, children: tuple[Tree]) -> 'Population':
        return cls(children[0], apart=apart)


def population(members: Sequence[Tree], layout: Layout) -> Population:
    """Per-seed trees as a population in the form the layout's mode wants, placed on the devices.

    Placed before step one: a state that moves at step two is a second compilation.
    """
    trees = tuple(members) if layout.apart else _stack(members)
    return place(Population(trees, apart=layout.apart), layout)


def place(tree: Tree, layout: Layout) -> Tree:
    """Put the arrays on this process's devices, the same on each, as copies that the caller does
    not share.
    """
    target = (
        layout.devices[0] if len(layout.devices) == 1 else _over_devices(layout, PartitionSpec())
    )
    return jax.tree.map(lambda leaf: jax.device_put(leaf, target, may_alias=False), tree)


def _over_devices(layout: Layout, spec: PartitionSpec) -> NamedSharding:
    return NamedSharding(Mesh(layout.own, (AXIS,)), spec)


def place_batch(batch: Tree, layout: Layout) -> Population:
    """This process's rows (n, ...) of a batch, from the host, as a pass takes them: over its
    devices, for one seed.
    """
    devices, target = len(layout.own), layout.devices[0]
    if layout.axis:
        batch = jax.tree.map(lambda x: x.reshape(devices, len(x) // devices, *x.shape[1:]), batch)
        target = _over_devices(layout, PartitionSpec(AXIS))
    return Population((jax.device_put(batch, target),), apart=True)


def check_replicas(tree: Tree, layout: Layout) -> None:
    """AssertionError, naming arrays, unless every device holds the same numbers in its copy of the
    tree.
    """
    if layout.axis is None:
        return
    gaps = jax.device_get(_compiled_gaps(layout.devices)(tree, jnp.zeros(len(layout.own))))
    found = [
        (jax.tree_util.keystr(path), gap)
        for path, gap in jax.tree_util.tree_leaves_with_path(gaps)
        if gap != 0
    ]
    if found:
        listed = ', '.join(f'{name} (by up to {gap:.3g})' for name, gap in found[:3])
        raise AssertionError(
            f'the devices hold different states: {listed}; {len(found)} arrays differ'
        )


@functools.cache
def _compiled_gaps(devices: tuple[jax.Device, ...]) -> Callable[[Tree, Array], Tree]:
    """-> gaps(tree, anything with a row for each own device): of each array the largest difference
    between two copies.
    """

    def gap(x: Array) -> Array:
        return jnp.max(jax.lax.pmax(x, AXIS) - jax.lax.pmin(x, AXIS), initial=0)

    return jax.pmap(
        lambda tree, row: jax.tree.map(gap, tree),
        axis_name=AXIS,
        in_axes=(None, 0),
        out_axes=None,
        devices=devices,
    )


def over_seeds(function: Callable, *, shared: int = 0) -> Callable:
    """`function(tree, ..., *shared)` for one seed as a compiled function of populations.

    It takes populations, or arrays stacked along a leading axis of seeds; its results are stacked.
    The last `shared` arguments are the same for all seeds.
    """
    one, stacked = jax.jit(function), jax.jit(_map_seeds(function, shared))

    def mapped(*arguments):
        own, rest = arguments[: len(arguments) - shared], arguments[len(arguments) - shared :]
        if isinstance(own[0], Population) and own[0]._apart:
            members = zip(*(each.members() for each in own), strict=True)
            return _stack([one(*member, *rest) for member in members])
        trees = (each._trees if isinstance(each, Population) else each for each in own)
        return stacked(*trees, *rest)

    return mapped


def _stack(trees: Sequence[Tree]) -> Tree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _map_seeds(function: Callable, shared: int) -> Callable:
    """Run all seeds in one program: vmap on accelerators; on a CPU, where vmap is slower, a loop on
    the device.
    """

    def mapped(*arguments):
        own, rest = arguments[: len(arguments) - shared], arguments[len(arguments) - shared :]
        if len(jax.tree.leaves(own)[0]) == 1:
            result = function(*jax.tree.map(lambda leaf: leaf[0], own), *rest)
            return jax.tree.map(lambda leaf: leaf[None], result)
        if jax.default_backend() == 'cpu':
            return jax.lax.map(lambda x: function(*x, *rest), own)
        return jax.vmap(function, in_axes=(0,) * len(own) + (None,) * shared)(*own, *rest)

    return mapped


# Passes
# --------------------------------------------------------------------------------------------------


def compile_order(
    size: int, batch: int, layout: Layout, *, stream: int
) -> Callable[[Population, int], Population]:
    """-> order(keys, pass number): the batches of one pass over `size` examples, freshly shuffled
    for each seed.

    keys: the population's keys. stream: folded into them, then the pass. The result holds (steps,
    batch) indices a seed, or (own devices, steps, batch / devices), where every process has its own
    share of the same batches; examples that do not fill a batch are left out of this pass.
    """
    steps, devices, own = size // batch, len(layout.devices), len(layout.own)
    first = own * jax.process_index()

    def order(key: Array, number: Array) -> Array:
        key = jax.random.fold_in(jax.random.fold_in(key, stream), number)
        indices = jax.random.permutation(key, size)[: steps * batch]
        if devices == 1:
            return indices.reshape(steps, batch)
        return indices.reshape(steps, devices, batch // devices).swapaxes(0, 1)[first : first + own]

    # pmap takes its arguments where it wants them or not at all.
    shares = None if devices == 1 else _over_devices(layout, PartitionSpec(AXIS))
    if layout.apart:
        compiled = jax.jit(order, out_shardings=shares)
    else:  # the devices' axis stands first, where pmap wants it; the seeds' axis behind it
        over = jax.vmap(order, in_axes=(0, None), out_axes=0 if devices == 1 else 1)
        compiled = jax.jit(over, out_shardings=shares)
    return lambda keys, number: keys.map(lambda key: compiled(key, number))


def compile_pass(
    step: Step, layout: Layout
) -> Callable[[Population, Population, Tree, Population, int], tuple[Population, Tree]]:
    """-> run(trained, frozen, data, order, length): takes `length` steps; gives (trained, metrics
    summed over them).

    step(trained, frozen, data, order) is one step of one seed on one device's share of the batch;
    `trained` is donated, metrics come back with a leading axis of seeds, on the device. Scan and
    loop agree to rounding, not to the bit.
    """
    compiled = (host_loop if layout.mode == 'loop' else device_loop)(step, layout)

    def run(trained, frozen, data, order, length):
        program = functools.partial(compiled, length)
        if not layout.apart:
            trees, metrics = program(trained._trees, frozen._trees, data, order._trees)
            return Population(trees, apart=False), metrics
        states, sums = [], []
        own = (each.members() for each in (trained, frozen, order))
        for state, rest, batches in zip(*own, strict=True):
            state, metrics = program(state, rest, data, batches)
            states.append(state)
            sums.append(metrics)
        return Population(tuple(states), apart=True), _stack(sums)

    return run


def device_loop(step: Step, layout: Layout) -> Callable:
    """-> steps(length, trained, frozen, data, order): one compiled loop, of one seed or of all
    together. The length is an argument, so that chunks of all lengths share a program.
    """

    def steps(length, trained, frozen, data, order):
        # Traced once, for the metrics' shapes and for the loop: it takes a second or two.
        given = trained, frozen, data, order
        jaxpr, results = jax.make_jaxpr(step, return_shape=True)(*given)
        flat = jax.extend.core.jaxpr_as_fun(jaxpr)

        def one(_, carry):
            trained, sums = carry
            leaves = flat(*jax.tree.leaves((trained, frozen, data, order)))
            trained, metrics = jax.tree.unflatten(jax.tree.structure(results), leaves)
            return trained, jax.tree.map(jnp.add, sums, metrics)

        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), results[1])
        return jax.lax.fori_loop(0, length, one, (trained, zeros))

    def every_seed(length, trained, frozen, data, order):
        def own(trained, frozen, order, shared):
            length, data = shared
            return steps(length, trained, frozen, data, order)

        return _map_seeds(own, 1)(trained, frozen, order, (length, data))

    return _on_devices(steps if layout.apart else every_seed, layout, (None,))


def host_loop(step: Step, layout: Layout) -> Callable:
    """-> steps(length, trained, frozen, data, order): dispatched one by one from the host, which
    waits for none on one device.

    On several logical devices of a CPU it waits for each: they share the threads, and where one
    device waits in a collective of a step for the other, which waits for a thread in the step
    before, XLA ends the process after 40 seconds.
    """
    one = _on_devices(step, layout)
    add = jax.jit(lambda sums, metrics: jax.tree.map(jnp.add, sums, metrics), donate_argnums=0)

    def steps(length, trained, frozen, data, order):
        total = None
        for _ in range(length):
            trained, metrics = one(trained, frozen, data, order)
            total = metrics if total is None else add(total, metrics)
            if len(layout.devices) > 1:
                jax.block_until_ready(total)
        return trained, total

    return steps


def _on_devices(function: Callable, layout: Layout, first: tuple[None, ...] = ()) -> Callable:
    """Compile function(*first, trained, frozen, data, order) for the layout's devices; the state
    keeps its plain shapes. first: axes of the arguments before the state, the same on all devices.
    """
    if len(layout.devices) == 1:
        return jax.jit(function, donate_argnums=len(first))
    return jax.pmap(
        function,
        axis_name=AXIS,
        in_axes=(*first, None, None, None, 0),
        out_axes=None,
        donate_argnums=len(first),
        devices=layout.devices,
    )


def process_index() -> int:
    """This process, counted from 0."""
    return jax.process_index()


def process_count() -> int:
    """The number of processes that train together."""
    return jax.process_count()


def memory(layout: Layout) -> int | None:
    """Bytes of memory of a device of the layout, on a CPU of the machine; None if unknown."""
    statistics = layout.devices[0].memory_stats()
    if statistics and 'bytes_limit' in statistics:
        return statistics['bytes_limit']
    if layout.devices[0].platform == 'cpu' and hasattr(os, 'sysconf'):
        return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return None
