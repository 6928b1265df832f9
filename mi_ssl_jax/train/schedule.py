"""The trainer of a method, and the order in which its phases run."""

from collections.abc import Callable, Iterator

from mi_ssl_jax.methods import api
from mi_ssl_jax.train import jmi, sdmi
from mi_ssl_jax.train.spec import Spec

Chunk = list[tuple[str, int]]  # (phase, steps) between two log points


def is_joint(spec: Spec) -> bool:
    """Whether the trainer is JMI's: by the method's phases, not by its label."""
    return [phase.name for phase in spec.method.phases] == ['joint']


def compile_steps(spec: Spec) -> dict[str, Callable]:
    """Phase name -> compiled passes; see parallel.compile_pass."""
    return jmi.compile_steps(spec) if is_joint(spec) else sdmi.compile_steps(spec)


def step(spec: Spec, name: api.PhaseName) -> sdmi.Step:
    """A phase's step for one seed and one device's share of the batch, not compiled."""
    return jmi.joint_step(spec) if is_joint(spec) else sdmi.half_step(spec, name)


def plan(spec: Spec, log_every: int) -> Iterator[Chunk]:
    """One epoch as chunks.

    period = steps_per_pass is Algorithm 1 as printed: a whole pass of E-steps, then a whole pass of
    M-steps. A smaller period alternates within the epoch: `period` E-steps, then as many M-steps on
    the same examples.
    """
    names = [phase.name for phase in spec.method.phases]
    if spec.period >= spec.steps_per_pass:
        for name in names:
            for length in chunks(spec.steps_per_pass, log_every):
                yield [(name, length)]
        return
    turns = chunks(spec.steps_per_pass, spec.period)
    for count in chunks(len(turns), max(log_every // spec.period, 1)):
        now, turns = turns[:count], turns[count:]
        yield [(name, length) for length in now for name in names]


def chunks(steps: int, most: int) -> list[int]:
    """Split `steps` into nearly equal parts of at most `most`."""
    parts = -(-steps // most)
    return [steps // parts + (part < steps % parts) for part in range(parts)]


def pace(spec: Spec, log_every: int) -> dict[str, int]:
    """Return the meaning of a chunk's number: steps per phase in an epoch, steps before the phases
    change, chunks per epoch.
    """
    count = len(list(plan(spec, log_every)))
    return {'steps': spec.steps_per_pass, 'period': spec.period, 'chunks': count}
