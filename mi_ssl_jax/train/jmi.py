"""The JMI trainer (paper, Algorithm 2): one compiled step over one shared-parameter tree."""

from collections.abc import Iterator

from mi_ssl_jax import parallel
from mi_ssl_jax.train import step
from mi_ssl_jax.train.spec import Spec


def compile_passes(spec: Spec) -> dict:
    """Phase name -> compiled pass; see parallel.compile_pass."""
    return {'joint': parallel.compile_pass(step.make(spec, 'joint'), spec.layout)}


def plan(spec: Spec, log_every: int) -> Iterator[list[tuple[str, int]]]:
    """One epoch as chunks; a chunk is what runs between two log points: a list of (phase,
    steps)."""
    for length in chunks(spec.steps_per_pass, log_every):
        yield [('joint', length)]


def chunks(steps: int, most: int) -> list[int]:
    """`steps` in nearly equal parts of at most `most`: two lengths at most, hence two compilations
    of a scan."""
    parts = -(-steps // most)
    return [steps // parts + (part < steps % parts) for part in range(parts)]
