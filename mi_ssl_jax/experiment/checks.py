"""Checks of a configuration against its data, before anything is compiled.

Single values are checked in `schema`, without the data. Every function raises ValueError, in one
line that says what to do.
"""

import jax
import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax import data, parallel
from mi_ssl_jax.experiment import inputs, schema
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train.spec import Spec


def numbers(config: ConfigDict, source: inputs.Source) -> None:
    """Numbers that must fit the data, or each other."""
    schema.check_values(config)
    if config.batch_size < 2 and source.rows == 1:
        raise ValueError(
            f'batch_size={config.batch_size} must be at least 2: a batch of one has no marginal'
            ' pairs and no batch statistics'
        )
    if config.batch_size > source.size:
        raise ValueError(
            f'batch_size={config.batch_size}, but {config.data.name} has {source.size} training'
            f' examples: use at most {source.size}'
        )
    if config.warmup_epochs >= config.epochs:
        raise ValueError(
            f'warmup_epochs={config.warmup_epochs} must be less than epochs={config.epochs}'
        )
    schedule(config)
    if config.mi.batch_size * source.rows < 2:
        raise ValueError('mi.batch_size must be at least 2')
    if config.mi.every_steps and config.mi.every_steps < config.log_every:
        raise ValueError(
            f'mi.every_steps={config.mi.every_steps} must be 0 or at least'
            f' log_every={config.log_every}: evaluations are written at log points'
        )


def schedule(config: ConfigDict) -> None:
    """Parts of the learning rate's schedule that would say nothing."""
    own = config.schedule
    if own.name == 'steps' and (own.final or not own.drops):
        raise ValueError(
            f"schedule.name='steps' with drops={tuple(own.drops)}, final={own.final:g}: give the"
            ' epochs in schedule.drops and leave schedule.final at 0'
        )
    if own.name == 'cosine' and own.drops:
        raise ValueError(
            f"schedule.drops={tuple(own.drops)} is of schedule.name='steps': set both, or neither"
        )
    if own.drops and max(own.drops) >= config.epochs:
        raise ValueError(
            f'schedule.drops={tuple(own.drops)} must lie before epochs={config.epochs}'
        )


def probes(config: ConfigDict, source: inputs.Source) -> None:
    """Check now whatever the probes need at the end of training, perhaps hours later."""
    if not config.probe.at_end:
        return
    labels = None if source.train is None else np.ravel(source.train.y)
    labels = labels if labels is None else labels[labels >= 0]
    try:
        data.label_sets(labels, config.probe.labels)
    except ValueError as error:
        raise ValueError(f'probe.labels={tuple(config.probe.labels)}: {error}') from error


def memory(spec: Spec, source: inputs.Source) -> None:
    """Whether the states of all seeds fit the device, or on a CPU the machine."""
    if spec.layout.seeds == 1:
        return
    state = jax.eval_shape(lambda: states.init(0, spec.hyper[0], spec, source.example))
    needed = spec.layout.seeds * sum(
        leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)
    )
    room = parallel.memory(spec.layout)
    if room is not None and needed > room:
        raise ValueError(
            f'seeds={spec.layout.seeds} need {needed / 1e9:.3g} GB for their states alone, and'
            f' there are {room / 1e9:.3g} GB: use at most {int(spec.layout.seeds * room / needed)}'
        )


def shares(config: ConfigDict, source: inputs.Source, devices: int) -> None:
    """Devices, and the pieces that each accumulates, take equal parts of the batch, and batch norm
    more than one example.
    """
    if config.batch_size % devices:
        of = f' of {parallel.process_count()} processes' if parallel.process_count() > 1 else ''
        why = (
            f': {source.name} is one graph, which devices cannot share; set devices=1'
            if source.rows > 1
            else ''
        )
        raise ValueError(
            f'batch_size={config.batch_size} does not divide among {devices} devices{of}{why}'
        )
    share = config.batch_size // devices
    if share % config.accumulate:
        raise ValueError(
            f'accumulate={config.accumulate} does not divide the {share} examples that each of'
            f' {devices} devices has of batch_size={config.batch_size}: choose a divisor of {share}'
        )
    normalised = (
        share
        // config.accumulate
        * source.rows
        * (1 if config.net.batch_norm == 'device' else devices)
    )
    if normalised < 2:
        raise ValueError(
            'batch norm would see one example at a time: raise batch_size, or lower accumulate or'
            ' devices'
        )
