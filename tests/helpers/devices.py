"""A tiny method trained on one device, or on any number that are rows of a vmap with the devices'
axis."""

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.nets import layers
from mi_ssl_jax.train import schedule, state
from tests.helpers import goldens, tiny


def disagreement(actual, expected) -> float:
    """Largest difference of an entry, in units of its array's norm (and of at least 1e-3: some are
    zero)."""
    return max(
        float(np.max(np.abs(np.float64(a) - b), initial=0) / max(np.linalg.norm(b), 1e-3))
        for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
    )


def one_device(name: str, **changes) -> list[state.State]:
    """The method's states after each pass on one device, in float64. changes: of the experiment's
    fields."""
    layout = tiny.one_device()
    with goldens.x64():
        spec = tiny.experiment(name, layout, dtype=jnp.float64)._replace(**changes)
        population = parallel.population([tiny.start(name)], layout)
        calls = tiny.train(spec, tiny.compile_passes(spec), population, length=tiny.STEPS)
    return [call.after[0] for call in calls]


def logical_devices(
    name: str, count: int, *, make=schedule.step, local_statistics: bool = False, **changes
) -> list[state.State]:
    """The same states on `count` logical devices.

    out_axes=None: vmap refuses whatever is not the same on every device. make: in place of
    schedule.step.
    """
    layout = parallel.Layout(parallel.choose_devices(1) * count, seeds=1, mode='loop')
    options = dict(axis_name=parallel.AXIS, in_axes=(None, None, None, 0), out_axes=None)
    rows = []
    with goldens.x64():
        spec = tiny.experiment(name, layout, dtype=jnp.float64, local_statistics=local_statistics)
        spec = spec._replace(**changes)
        method, member = spec.method, jax.tree.map(jnp.asarray, tiny.start(name))
        steps = {
            phase.name: jax.jit(jax.vmap(make(spec, phase.name), **options))
            for phase in method.phases
        }
        for number in range(tiny.PASSES):
            one = tiny.one_device()
            keys = parallel.population([member.key], one)
            order = tiny.compiled_order(one)(keys, number).first()
            shares = order.reshape(tiny.STEPS, count, -1).swapaxes(0, 1)
            for phase in method.phases:
                for _ in range(tiny.STEPS):
                    trained, _ = steps[phase.name](
                        *state.split(member, method, phase), tiny.DATA, shares
                    )
                    member = state.merge(member, phase, trained)
                rows.append(tiny.snapshot(member))
    return rows


def without_batch_norm(monkeypatch) -> None:
    """Networks built from now on have no batch norm: an example's output depends on that example
    alone."""
    monkeypatch.setattr(layers, 'batch_norm', lambda *arguments, **options: lambda x: x)


def without_metrics(spec, phase):
    """A step whose metrics do not give away what it computes."""
    whole = schedule.step(spec, phase)
    return lambda *arguments: (whole(*arguments)[0], {})
