"""Costs of a program other than time: FLOPs counted in its jaxpr, compilation, memory by the
compiler's account.
"""

import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache import compilation_cache

from mi_ssl_jax.bench.programs import Trainer
from mi_ssl_jax.bench.timing import Clock, Times
from mi_ssl_jax.nets import convolution

# Dense peaks of one device in FLOP/s, from NVIDIA's data sheets (half of the figures "with
# sparsity"). float32 is the tensor cores' TF32, which JAX uses for float32 convolutions and matrix
# products by default.
PEAKS = {
    'NVIDIA H100 80GB HBM3': {'bfloat16': 989e12, 'float32': 494.7e12},
    'NVIDIA H100 PCIe': {'bfloat16': 756e12, 'float32': 378e12},
    'NVIDIA H200': {'bfloat16': 989e12, 'float32': 494.7e12},
    'NVIDIA A100-SXM4-40GB': {'bfloat16': 312e12, 'float32': 156e12},
    'NVIDIA A100-SXM4-80GB': {'bfloat16': 312e12, 'float32': 156e12},
}


COLLECTIVES = 'all_gather', 'reduce_scatter', 'psum'


def peak(device: jax.Device, dtype: str) -> float | None:
    """The device's nominal FLOP/s, None for a device that is not in PEAKS, such as a CPU."""
    return PEAKS.get(device.device_kind, {}).get(dtype)


class Memory(NamedTuple):
    """Bytes of one program on one device, by the compiler. arguments: state and data."""

    arguments: int
    temporaries: int

    @property
    def total(self) -> int:
        """Peak bytes in use: results are written over the donated state."""
        return self.arguments + self.temporaries


class Compilation(NamedTuple):
    """Times, one entry each: trace (to StableHLO), cold (XLA, nothing cached), warm (from the
    cache).
    """

    trace: Times
    cold: Times
    warm: Times
    memory: Memory


def memory(trainer: Trainer, phase: str, steps: int) -> Memory:
    """Compute the memory of a phase's pass of `steps` steps; of a host loop, of one step."""
    return _memory(_compile(trainer, phase, steps)[2])


def _memory(compiled: jax.stages.Compiled) -> Memory:
    found = compiled.memory_analysis()
    return Memory(found.argument_size_in_bytes, found.temp_size_in_bytes)


def compilation(make: Any, phase: str, steps: int) -> Compilation:
    """Compile one phase's pass twice into an empty persistent cache.

    make: -> Trainer, a new one each time, so that nothing traced before is used again. steps: of a
    pass where passes are scans; a host loop's program is one step.
    """
    with empty_cache():
        trace, cold, compiled = _compile(make(), phase, steps)
        _, warm, _ = _compile(make(), phase, steps)
    return Compilation(trace, cold, warm, _memory(compiled))


def flops(trainer: Trainer, phase: str) -> float:
    """Model FLOPs of one step of all seeds on all devices: see `count`."""
    run, arguments = _pass(trainer, phase, 1)
    return count(jax.make_jaxpr(run)(*arguments).jaxpr)


def count(jaxpr: Any) -> float:
    """FLOPs of the matrix products and convolutions in a jaxpr: two for each multiplication with an
    addition.

    Padding counts, zeros between the entries of a dilated array do not: a convolution's gradients
    cost what it costs itself. Loops count as often as they run (a while loop once), a branch as its
    dearest, but what depends on the platform as its cheapest: the rest is padding.
    """
    return sum(_count_one(equation) for equation in jaxpr.eqns)


def _count_one(equation: Any) -> float:
    name, parameters = equation.primitive.name, equation.params
    shapes = [getattr(variable.aval, 'shape', ()) for variable in equation.invars]
    size = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
    if name == 'dot_general':
        (contracted, _), _ = parameters['dimension_numbers']
        return 2.0 * size * math.prod(shapes[0][axis] for axis in contracted)
    if name == 'conv_general_dilated':
        _, features, *window = parameters['dimension_numbers'].rhs_spec
        per_output = shapes[1][features] * math.prod(shapes[1][axis] for axis in window)
        return 2.0 * size * per_output / math.prod(parameters['lhs_dilation'])
    if name == convolution.NAME:
        return 2.0 * convolution.multiplications(*shapes, **parameters)
    inner = [count(own) for own in _jaxprs(parameters)]
    if name == 'cond':
        return (min if parameters.get('branches_platforms') else max)(inner, default=0.0)
    if name == 'scan':
        return parameters['length'] * sum(inner)
    return (parameters['mesh'].size if name == 'shard_map' else 1) * sum(inner)


def sent(jaxpr: Any) -> Counter:
    """Collective -> bytes that a step's all_gathers give, its reduce_scatters take and its psums
    sum.

    A result that nothing reads is not sent: BYOL's loss sees the predictions alone. Loops count as
    often as they run.
    """
    found, read = Counter(), {id(variable) for variable in jaxpr.outvars}
    for equation in reversed(jaxpr.eqns):
        if not any(id(variable) in read for variable in equation.outvars):
            continue
        read |= {id(variable) for variable in equation.invars}
        name = equation.primitive.name
        if name in COLLECTIVES:
            held = equation.outvars if name == 'all_gather' else equation.invars
            found[name] += sum(own.aval.size * own.aval.dtype.itemsize for own in held)
        times = equation.params['length'] if name == 'scan' else 1
        for inner in _jaxprs(equation.params):
            found.update({key: times * size for key, size in sent(inner).items()})
    return found


def _jaxprs(parameters: dict[str, Any]) -> Iterator[Any]:
    for value in parameters.values():
        for entry in value if isinstance(value, tuple | list) else (value,):
            entry = getattr(entry, 'jaxpr', entry)
            if hasattr(entry, 'eqns'):
                yield entry


def _pass(trainer: Trainer, phase: str, steps: int) -> tuple[Any, tuple]:
    """(function, arguments) of one call of a phase's pass; a host loop and a stream take one step a
    call.
    """
    looped = trainer.spec.layout.mode == 'loop'
    batches, length = next(iter(trainer.feed.pieces(phase, 1 if looped else steps)))
    run = trainer.passes[phase]
    return lambda *own: run(*own, length), (*trainer.halves(phase), trainer.feed.data, batches)


def _compile(trainer: Trainer, phase: str, steps: int) -> tuple[Times, Times, jax.stages.Compiled]:
    run, arguments = _pass(trainer, phase, steps)
    clock = Clock()
    lowered = jax.jit(run).lower(*arguments)
    traced, clock = clock.read(), Clock()
    compiled = lowered.compile()
    return traced, clock.read(), compiled


@contextmanager
def empty_cache() -> Iterator[None]:
    """An empty persistent cache that keeps every program; afterwards the one that was there."""
    fields = {
        'jax_compilation_cache_dir': None,
        'jax_enable_compilation_cache': True,
        'jax_persistent_cache_min_compile_time_secs': 0.0,
        'jax_persistent_cache_min_entry_size_bytes': -1,
    }
    before = {name: getattr(jax.config, name) for name in fields}
    with tempfile.TemporaryDirectory() as folder:
        try:
            _configure({**fields, 'jax_compilation_cache_dir': folder})
            yield
        finally:
            _configure(before)


def _configure(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it remembers the folder it was opened with
