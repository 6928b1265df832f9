"""Checks of a configuration against its data, before anything is compiled.

Single values are checked in `schema`, without the data. Every function raises ValueError, in one
line that says what to do.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax import data, parallel
from mi_ssl_jax.core import plugins, spectrum
from mi_ssl_jax.evals import linear
from mi_ssl_jax.experiment import inputs, schema
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train.spec import Spec

Tree = Any
# What the user's own part must be.
FORMS = {
    'views': '(key, example) -> a tuple of at least two views, arrays or graphs',
    'net': 'a flax module with dtype and axis_name: (x (N, ...), train) -> features (N, F)',
}


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
        raise ValueError(f'mi.batch_size={config.mi.batch_size} must be at least 2')
    if source.at_hand and len(inputs.watched(source, config).y) * source.rows < 2:
        raise ValueError(
            f'mi.examples={config.mi.examples} of {len(source.test.y)} held-out examples of'
            f' {source.name}: mutual information needs at least 2'
        )
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


def label_free(config: ConfigDict, source: inputs.Source, features: int) -> None:
    """Figures without labels that the features are too few for."""
    needed = spectrum.FIRST_RANK + 1
    if 'alpha_req' in config.mi.label_free and features < needed:
        raise ValueError(
            f"mi.label_free: 'alpha_req' fits eigenvalues from rank {spectrum.FIRST_RANK} on and"
            f' needs {needed} features, but {config.net.name} has {features}: leave it out'
        )
    if not source.at_hand or not config.mi.label_free:
        return
    count = len(inputs.watched(source, config).y) * source.rows
    if count < needed:
        raise ValueError(
            f'mi.label_free={tuple(config.mi.label_free)} of {count} held-out examples: use at'
            f' least {needed}'
        )


def probes(config: ConfigDict, source: inputs.Source) -> None:
    """Check now whatever the probes need at the end of training, perhaps hours later."""
    wanted = tuple(config.probe.labels)
    try:
        data.label_sets(None, wanted)
        if not config.probe.at_end or not source.classes or not source.at_hand:
            return
        if source.train is None:
            _few_streamed(wanted, source)
            return
        labels = np.ravel(source.train.y)
        labels = labels[labels >= 0]
        for name, chosen in data.label_sets(labels, wanted).items():
            _enough(name, len(labels) if chosen is None else chosen.shape[1])
    except ValueError as error:
        raise ValueError(f'probe.labels={wanted}: {error}') from error


def _few_streamed(wanted: tuple[str, ...], source: inputs.Source) -> None:
    """As `probes` of data whose labels are known only when all have been read: what cannot be."""
    classes = len(source.class_names)
    for name in wanted:
        words = name.split()
        needed = int(words[0]) * classes if len(words) > 1 else 0
        if needed > source.size:
            raise ValueError(
                f"'{name}' are {needed:,} examples of {classes} classes: there are {source.size:,}"
            )
        _enough(name, needed or source.size)


def _enough(name: str, count: int) -> None:
    needed = linear.Settings().folds
    if count < needed:
        raise ValueError(
            f"'{name}' is {count} labelled examples, and a linear probe needs {needed}: use more,"
            ' or probe.labels=() for kNN alone'
        )


@contextlib.contextmanager
def fitting(part: str, name: str, source: inputs.Source) -> Iterator[None]:
    """One line when views or a network cannot take the data, or when the user's own fail.

    part: 'views' or 'net'.
    """
    try:
        yield
    except Exception as error:
        if ':' in name:
            raise ValueError(
                f"{part}.name='{name}' fails: {plugins.in_words(error)}; it must be {FORMS[part]}"
            ) from error
        if isinstance(error, (AssertionError, AttributeError, IndexError, KeyError, TypeError)):
            raise ValueError(
                f"{part}.name='{name}' cannot take what {source.name} holds: choose another"
            ) from error
        raise


def views(pipeline: Any, example: Tree) -> Tree:
    """The shape of a view. ValueError for fewer than two."""
    found = jax.eval_shape(pipeline, jax.random.PRNGKey(0), example)
    if not isinstance(found, (tuple, list)) or len(found) < 2:
        raise ValueError('it gives fewer than two views')
    return found[0]


def width(backbone: Any, view: Tree, rows: int) -> int:
    """Features of a network. ValueError where it does not give a row an example, or a node."""
    x = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype), view)
    key = jax.random.PRNGKey(0)
    features, _ = jax.eval_shape(lambda x: backbone.init_with_output(key, x, train=False), x)
    shape = getattr(features, 'shape', None)
    if shape is None or len(shape) != 2 or shape[0] != 2 * rows or not shape[1]:
        of = type(features).__name__ if shape is None else f'an array of shape {shape}'
        raise ValueError(f'of 2 examples it gives {of}, not {2 * rows} rows of features')
    if not jnp.issubdtype(features.dtype, jnp.floating):
        raise ValueError(f'it gives features of {features.dtype}')
    return shape[1]


def memory(spec: Spec, source: inputs.Source) -> None:
    """Whether the states of all seeds fit the device, or on a CPU the machine."""
    if spec.layout.seeds == 1:
        return
    state = states.shapes(spec, source.example)
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
