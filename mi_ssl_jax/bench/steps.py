"""Everything `bench` says of a configuration's steps, and of how it compares to another's."""

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from mi_ssl_jax.bench import costs, programs, timing
from mi_ssl_jax.bench.table import Row, rate, ratios, seconds
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.train import state as states

WHOLE, VIEWS, NETWORK, INPUT = 'whole step', 'augmentation alone', 'network alone', 'input alone'
MB = 1e6
PAPER_GB = 15, 7  # of SDMI and of all other methods (paper, appendix C.1)


class Bench(NamedTuple):
    """One configuration, ready to be timed. alone: the network. compiled, flops: a phase; FLOPs a
    step.
    """

    ready: experiments.Setup
    trainer: programs.Trainer
    alone: programs.Trainer
    compiled: Mapping[str, costs.Compilation]
    flops: Mapping[str, float]

    @property
    def phases(self) -> list[str]:
        return [phase.name for phase in self.ready.method.phases]


def measure(
    configs: Mapping[str, ConfigDict],
    *,
    steps: int,
    rounds: int,
) -> tuple[list[Row], dict[str, Any]]:
    """(rows, settings by configuration) for one configuration, or for two that are timed in
    alternation.

    configs: name -> configuration; of two, the second is what the first is compared to. ValueError:
    see spec.setup; two batch sizes that differ.
    """
    if len({config.batch_size for config in configs.values()}) > 1:
        raise ValueError(
            'the two configurations differ in batch_size: give both one, by '
            '--config.batch_size=N --versus.batch_size=N'
        )
    with contextlib.ExitStack() as stack:
        benches = {name: _prepare(config, steps, stack) for name, config in configs.items()}
        made = {
            (name, *key): program
            for name, bench in benches.items()
            for key, program in _programs(bench, steps).items()
        }
        times = timing.alternate(made, steps=steps, rounds=rounds)
    rows = []
    for name, bench in benches.items():
        own = {key[1:]: value for key, value in times.items() if key[0] == name}
        rows += [row._replace(config=name) for row in [*_rates(bench, own), *_costs(bench, own)]]
    if len(benches) > 1:
        rows += _comparison(benches, times)
    peak = _device_peak(next(iter(benches.values())).ready)
    return rows + peak, {name: _settings(bench, steps, rounds) for name, bench in benches.items()}


def _prepare(config: ConfigDict, steps: int, stack: contextlib.ExitStack) -> Bench:
    ready = experiments.setup(config)
    feed = stack.enter_context(inputs.feeding(ready.source, ready.spec, config, 0))
    population = experiments.initial(ready)

    def trainer() -> programs.Trainer:
        return programs.Trainer(ready.spec, population, feed)

    phases = [phase.name for phase in ready.method.phases]
    compiled = {phase: costs.compilation(trainer, phase, steps) for phase in phases}
    alone = programs.network(ready)
    return Bench(
        ready, trainer(), alone, compiled, {phase: costs.flops(alone, phase) for phase in phases}
    )


def _programs(bench: Bench, steps: int) -> dict[tuple[str, str], timing.Program]:
    return {
        **{(WHOLE, phase): bench.trainer.program(phase) for phase in bench.phases},
        (VIEWS, ''): programs.augmentation(bench.ready),
        **{(NETWORK, phase): bench.alone.program(phase) for phase in bench.phases},
        (INPUT, ''): programs.input_alone(bench.ready, bench.trainer.feed),
    }


def _rates(bench: Bench, times: Mapping[tuple[str, str], timing.Times]) -> list[Row]:
    spec = bench.ready.spec
    views = spec.batch_size * trained_views(bench.ready, bench.phases[0])
    # What has no phase is timed for one seed; that on one device, the others doing the same at the
    # same time.
    return [
        rate(what, phase, own, views * (spec.layout.seeds if phase else 1))
        for (what, phase), own in times.items()
    ]


def _costs(bench: Bench, times: Mapping[tuple[str, str], timing.Times]) -> list[Row]:
    compiled = bench.compiled.items()
    rows = [
        *(seconds('tracing', phase, own.trace) for phase, own in compiled),
        *(seconds('compilation, cold', phase, own.cold) for phase, own in compiled),
        *(seconds('compilation, from the cache', phase, own.warm) for phase, own in compiled),
        *(Row('device memory', phase, own.memory.total / MB, 'MB') for phase, own in compiled),
        *(
            Row('of which temporaries', phase, own.memory.temporaries / MB, 'MB')
            for phase, own in compiled
        ),
        *(
            Row('model FLOPs per step', phase, flops / 1e9, 'GFLOP')
            for phase, flops in bench.flops.items()
        ),
    ]
    layout = bench.ready.layout
    peak = costs.peak(layout.devices[0], bench.ready.config.net.dtype)
    for phase, flops in bench.flops.items():
        reached = flops / timing.median(times[WHOLE, phase].wall)
        rows.append(Row('model FLOPs per second', phase, reached / 1e9, 'GFLOP/s'))
        if peak is not None:
            share = reached / (peak * len(layout.devices))
            rows.append(Row("share of the devices' peak", phase, 100 * share, '%'))
    return rows


def trained_views(ready: experiments.Setup, phase: str) -> int:
    """Views of an example that the branch trained in this phase sees."""
    branch = ready.method.branches[states.phase_of(ready.method, phase).trains]
    return programs.views_made(ready) if branch.views is None else len(branch.views)


def _comparison(benches: Mapping[str, Bench], times: Mapping[tuple, timing.Times]) -> list[Row]:
    (first, own), (second, other) = benches.items()
    whole = {
        name: timing.total([times[name, WHOLE, phase] for phase in bench.phases])
        for name, bench in benches.items()
    }
    mine = ' + '.join(phase.upper() for phase in own.phases)
    one = timing.scaled(whole[second], 1 / len(other.phases))
    same = timing.scaled(one, len(own.phases))
    memory = [
        max(compiled.memory.total for compiled in bench.compiled.values()) for bench in (own, other)
    ]
    sdmi, others = PAPER_GB
    paper = [
        Row(f'the same ratio in the paper, {sdmi} GB / {others} GB', '', sdmi / others, 'times')
    ]
    return [
        *ratios(f'{first} {mine} / one step of {second}', whole[first], one, 'times'),
        *ratios(
            f'{first} {mine} / {len(own.phases)} steps of {second}', whole[first], same, 'times'
        ),
        Row(f'device memory, {first} / {second}', '', memory[0] / memory[1], 'times'),
        *(paper if own.phases == ['e', 'm'] and other.phases != ['e', 'm'] else ()),
    ]


def _device_peak(ready: experiments.Setup) -> list[Row]:
    """Return the device's own peak of memory in this process, where the device counts it."""
    stats = ready.layout.devices[0].memory_stats() or {}
    if 'peak_bytes_in_use' not in stats:
        return []
    return [Row('peak device memory of the process', '', stats['peak_bytes_in_use'] / MB, 'MB')]


def _settings(bench: Bench, steps: int, rounds: int) -> dict[str, Any]:
    ready, config = bench.ready, bench.ready.config
    kept = 'resident' if ready.source.stream is None else 'streamed'
    return {
        'network': config.net.name,
        'dtype': ready.config.net.dtype,
        'batch_size': config.batch_size,
        'seeds': config.seeds,
        'views per example': trained_views(ready, bench.phases[0]),
        'mode': ready.layout.mode,
        'data': f'{ready.source.name}, {kept}, {ready.source.size} examples',
        'devices': len(ready.layout.devices),
        'steps': steps,
        'rounds': rounds,
    }
