"""Many devices on paper: what a step sends, and what its loss costs, by tracing alone; nothing is
trained or timed.

batch_size is each device's here, as where more devices are to train faster: the batch grows with
them.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from mi_ssl_jax import parallel
from mi_ssl_jax.bench import costs
from mi_ssl_jax.bench.table import Row
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.methods import api
from mi_ssl_jax.train import gradient_cache, schedule, step
from mi_ssl_jax.train import state as states

Tree = Any
DEVICES = 1, 8, 64
MOST = 2**16  # devices, for which the loss is compared to the encoders

# Assumptions, not measurements: bytes a second that a device receives while it sends as many, and
# its FLOP/s.
MACHINE, INSIDE, OUTSIDE = (
    8,
    450e9,
    50e9,
)  # devices joined by NVLink 4; 400 Gb/s a device between machines
DEVICE, USED = 'NVIDIA H100 80GB HBM3', 0.4  # share of the nominal peak that training reaches
ASSUMED = (
    f'{100 * USED:.0f} % of the peak of {DEVICE}; {INSIDE / 1e9:.0f} GB/s a device among {MACHINE},'
    f' {OUTSIDE / 1e9:.0f} GB/s among more; all-reduce in a ring; nothing sent while computing'
)


class Cost(NamedTuple):
    """One phase's step. gathered: bytes of all branches' outputs, an example, that every device
    comes to hold.
    scattered: bytes of the gradient with respect to them, an example, that go back. averaged: bytes
    that are averaged
    over devices. encoders: FLOPs for one device's examples. loss: a batch's examples -> FLOPs of
    the loss and its gradient, or None for a batch that the method refuses.
    """

    gathered: float
    scattered: float
    averaged: Mapping[str, float]
    encoders: float
    loss: Callable[[int], float | None]


def measure(configs: Mapping[str, ConfigDict]) -> tuple[list[Row], dict[str, Any]]:
    """(rows, settings by configuration). ValueError: see experiment.setup."""
    rows, settings = [], {}
    for name, config in configs.items():
        ready = experiments.setup(config)
        config = ready.config
        for phase in ready.method.phases:
            rows += [
                row._replace(config=name)
                for row in _rows(cost(ready, phase.name), phase.name, config)
            ]
        settings[name] = {
            'network': config.net.name,
            'dtype': config.net.dtype,
            'batch_size of each device': config.batch_size,
            'assumed': ASSUMED,
            'peak': f'{costs.PEAKS[DEVICE][config.net.dtype] / 1e12:.0f} TFLOP/s in'
            f' {config.net.dtype} (set by config.net.dtype)',
        }
    return rows, settings


def _rows(own: Cost, phase: str, config: ConfigDict) -> list[Row]:
    batch, dtype = config.batch_size, config.net.dtype
    rows = [
        Row(f'averaged over devices: {name}', phase, size / 1e6, 'MB')
        for name, size in own.averaged.items()
    ]
    rows.append(Row('encoders of a device', phase, own.encoders / 1e9, 'GFLOP'))
    for devices in DEVICES:
        on, loss = f'{devices} device{"s" * (devices > 1)}', own.loss(devices * batch)
        rows.append(
            Row(f'outputs gathered, {on}', phase, devices * batch * own.gathered / 1e6, 'MB')
        )
        rows.append(
            Row(f'received by each device, {on}', phase, received(own, batch, devices) / 1e6, 'MB')
        )
        if loss is not None:  # else the method refuses this batch
            rows += [
                Row(f'loss, on every device, {on}', phase, loss / 1e9, 'GFLOP'),
                Row(
                    f"loss, of a device's FLOPs, {on}",
                    phase,
                    100 * loss / (loss + own.encoders),
                    '%',
                ),
                Row(
                    f'expected speed a device, {on}',
                    phase,
                    100 * efficiency(own, batch, devices, dtype=dtype),
                    f'%, {dtype}',  # the peak is that of the type of numbers
                ),
            ]
    limit = limit_of(own, batch)
    return (
        rows
        if limit is None
        else [*rows, Row('the loss costs what the encoders do', phase, limit, 'devices')]
    )


def received(own: Cost, batch: int, devices: int) -> float:
    """Bytes that a device receives in a step; what is averaged goes round the ring twice."""
    rows = devices * batch * (own.gathered + own.scattered)
    return (devices - 1) / devices * (rows + 2 * sum(own.averaged.values()))


def efficiency(own: Cost, batch: int, devices: int, *, dtype: str) -> float:
    """Examples a second and device, of what one device reaches alone, as ASSUMED."""
    speed, link = USED * costs.PEAKS[DEVICE][dtype], INSIDE if devices <= MACHINE else OUTSIDE
    alone = (own.encoders + own.loss(batch)) / speed
    return alone / (
        (own.encoders + own.loss(devices * batch)) / speed + received(own, batch, devices) / link
    )


def limit_of(own: Cost, batch: int) -> int | None:
    """The first power of two of devices on which the loss costs as much as the encoders; None up to
    MOST.
    """
    devices = 1
    while devices <= MOST:
        if (own.loss(devices * batch) or 0) >= own.encoders:
            return devices
        devices *= 2
    return None


def cost(ready: experiments.Setup, phase_name: str) -> Cost:
    """Compute the cost of a step of this phase, traced for two devices with half of batch_size
    each.
    """
    device, batch = ready.layout.devices[0], ready.config.batch_size
    alone, two = (
        experiments.build(ready.config, ready.source, (device,) * count).spec for count in (1, 2)
    )
    state = states.shapes(alone, ready.source.example)
    views = jax.eval_shape(
        jax.vmap(alone.views, (None, 0)),
        jax.random.PRNGKey(0),
        experiments.batch_of(batch // 2, ready.source.example),
    )
    labels = jax.ShapeDtypeStruct((batch // 2, ready.source.rows), 'int32')
    # A streamed batch that consists of views: encoders, loss, gradient and update remain.
    made = schedule.step(two._replace(views=lambda key, example: example), phase_name)
    method, phase = alone.method, states.phase_of(alone.method, phase_name)
    jaxpr = parallel.trace(
        made, two.layout, *states.split(state, method, phase), (), {'x': views, 'y': labels}
    )
    sent = costs.sent(jaxpr)
    outputs = jax.eval_shape(
        lambda variables, views: gradient_cache.outputs_of(
            step.encode(method, variables, step.branch_views(method, views))
        ),
        state.variables,
        views,
    )
    loss = functools.partial(_loss_flops, phase, outputs, state.aux)
    gradient = sum(
        leaf.size * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(state.variables[phase.trains]['params'])
    )
    averaged = {'gradient': gradient, 'batch statistics and the rest': sent['psum'] - gradient}
    return Cost(
        sent['all_gather'] / batch,
        sent['reduce_scatter'] / batch,
        averaged,
        2 * (costs.count(jaxpr) - loss(batch)),
        loss,
    )


def _loss_flops(
    phase: api.Phase, outputs: Mapping[str, api.Views], aux: Tree, batch: int
) -> float | None:
    """FLOPs of the loss and its gradient with respect to the trained branch's outputs, for `batch`
    examples.
    """

    def rows(seen: api.Views) -> api.Views:
        return api.Views(*_resized(batch, (seen.z, seen.p)), seen.shared)

    def value(
        own: api.Views, others: Mapping[str, api.Views], aux: Tree, key: jax.Array
    ) -> jax.Array:
        info = api.Info(0, 0.0, 0.0, key)
        return phase.loss({**others, phase.trains: own}, aux, info).value

    seen = {name: rows(own) for name, own in outputs.items()}
    own = seen.pop(phase.trains)
    try:
        return costs.count(
            jax.make_jaxpr(jax.grad(value))(own, seen, aux, jax.random.PRNGKey(0)).jaxpr
        )
    except ValueError:  # a queue or a slice that this batch does not fit
        return None


def _resized(batch: int, tree: Tree) -> Tree:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype), tree)
