"""The SDMI trainer (paper, Algorithm 1): the E-step and the M-step are compiled apart and take
turns.

Each is (trained tree, frozen tree, batch) -> new trained tree, with a stop-gradient on the frozen
one. Methods whose M-step is implicit (Eqs. 8-9) have an E-step alone, which ends with their
followers' copy or EMA.
"""

from collections.abc import Iterator

from mi_ssl_jax import parallel
from mi_ssl_jax.train import step
from mi_ssl_jax.train.jmi import chunks
from mi_ssl_jax.train.spec import Spec


def compile_passes(spec: Spec) -> dict:
    """Phase name ('e', 'm') -> compiled pass; no compiled program holds both."""
    return {
        phase.name: parallel.compile_pass(step.make(spec, phase.name), spec.layout)
        for phase in spec.method.phases
    }


def plan(spec: Spec, log_every: int) -> Iterator[list[tuple[str, int]]]:
    """One epoch as chunks, lists of (phase, steps) between two log points.

    period = steps_per_pass is Algorithm 1 as printed: a whole pass of E-steps, then a whole pass of
    M-steps. A smaller
    period alternates within the epoch: `period` E-steps, then as many M-steps on the same examples.
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
