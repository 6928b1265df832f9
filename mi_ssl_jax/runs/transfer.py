"""An encoder, of a run or from elsewhere, on a data set: what is fine-tuned, and on what."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from mi_ssl_jax import augment
from mi_ssl_jax.core.types import Variables
from mi_ssl_jax.data import faults
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import checks, inputs
from mi_ssl_jax.runs import encoders, readout, weights

Say = Callable[[str], None]


class Encoder(NamedTuple):
    """What is fine-tuned.

    config: network, views and data of its training. example, statistics: of those data, None where
    they are not known. members: the backbone's variables, one a seed. facts: what a result depends
    on.
    """

    where: str
    config: ConfigDict
    example: Any
    statistics: Any
    members: list[Variables]
    facts: dict[str, Any]


class Task(NamedTuple):
    """An encoder on a data set."""

    encoder: Encoder
    config: ConfigDict  # with the data that it is fine-tuned on
    source: inputs.Source
    network: nn.Module
    view: Callable
    plain: Callable
    width: int  # of the features


def of_run(workdir: Path, *, branch: str | None = None, best: bool = False) -> Encoder:
    """The encoder that a run has trained.

    Raises:
        ValueError: no run or checkpoint there, or no such branch.
    """
    ready = encoders.setup(workdir)
    found = encoders.every_seed(ready, workdir, branch=branch, best=best)
    members = [encoders.backbone(own.variables) for own in found]
    first = found[0]
    facts = {'encoder': str(workdir), 'branch': first.branch, 'epoch': first.epoch, 'best': best}
    source = ready.source
    return Encoder(str(workdir), ready.config, source.example, source.statistics, members, facts)


def of_weights(path: Path, config: ConfigDict | None, *, say: Say) -> Encoder:
    """A backbone from elsewhere, with the data and the views of a configuration.

    Args:
        path: see weights.load.
        config: gives the data and the views; the network and, of images, the normalisation are
            those of the weights. None for those of a run.
        say: told what was left aside.

    Raises:
        ValueError: no weights there, or damaged ones, or of an unknown network.
    """
    config = readout.configuration(path) if config is None else config
    found = weights.load(path)
    if found.ignored:
        say(f'left aside of {path}: {faults.listed(found.ignored)}')
    facts = {'encoder': str(path), 'weights': _digest(found.variables)}
    own = experiments.decided(readout.configured(config, found))
    return Encoder(str(path), own, None, None, [found.variables], facts)


def _digest(variables: Variables) -> str:
    """SHA-256 of all arrays."""
    total = hashlib.sha256()
    for place, leaf in jax.tree_util.tree_leaves_with_path(dict(variables)):
        total.update(jax.tree_util.keystr(place).encode() + np.asarray(leaf).tobytes())
    return total.hexdigest()


def on_data(config: ConfigDict, changes: dict[str, Any]) -> ConfigDict:
    """The configuration with fields of `data` changed. Another data set begins with the fields'
    plain values, and with the folder of the first.
    """
    config = config.copy_and_resolve_references()
    config.seeds = 1  # streams are of one seed, and here each has its own
    with config.unlocked():
        if changes.get('data.name', config.data.name) != config.data.name:
            plain = {'limit': 0, 'short_side': 0, 'streamed': False, 'canvas': 0}
            config.data.update(plain)
            config.data.options = ConfigDict()
        for name, value in changes.items():
            config.data[name.removeprefix('data.')] = value
    return config


def prepare(encoder: Encoder, config: ConfigDict) -> Task:
    """Load the data and make sure that the encoder can take them.

    Raises:
        ValueError: in one line, for data or an encoder that cannot be used.
    """
    source = inputs.load(config)
    _check_kind(encoder, source)
    if encoder.statistics is not None:  # inputs are standardised as in its training
        source = source._replace(statistics=encoder.statistics)
    network = experiments.backbone(config)
    key = jax.random.PRNGKey(0)
    with checks.fitting('views', config.views.name, source):
        view = augment.supervised(config.views.name, **inputs.views_options(config, source))
        plain = inputs.plain(config, source)
        jax.eval_shape(view, key, source.example)
        shape = jax.eval_shape(plain, source.example)
    with checks.fitting('net', config.net.name, source):
        width = checks.width(network, shape, source.rows)
    x = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype), shape)
    wanted = jax.eval_shape(lambda x: network.init(key, x, train=False), x)
    _check_fit(encoder, wanted, source)
    return Task(encoder, config, source, network, view, plain, width)


def _check_kind(encoder: Encoder, source: inputs.Source) -> None:
    """ValueError for examples of another kind than those of the encoder's training."""
    if isinstance(source.example, dict):
        raise ValueError(f'{source.name} holds graphs: fine-tuning takes one label an example')
    if encoder.example is None:
        return
    here, there = source.example, encoder.example
    # Images of any size become views of one.
    if (here.dtype, here.ndim, here.shape[-1:]) != (there.dtype, there.ndim, there.shape[-1:]):
        raise ValueError(
            f'{source.name} holds {here.dtype} {here.shape}, but the encoder of {encoder.where} was'
            f' trained on {there.dtype} {there.shape}'
        )


def _check_fit(encoder: Encoder, wanted: Variables, source: inputs.Source) -> None:
    """ValueError where the encoder's arrays are not those of the network on this data."""
    here, there = (
        {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}
        for leaves in (
            jax.tree_util.tree_leaves_with_path(dict(own)['params'])
            for own in (encoder.members[0], wanted)
        )
    )
    other = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    if other:
        name = other[0]
        raise ValueError(
            f'the encoder of {encoder.where} cannot take {source.name}: {len(other)} arrays differ,'
            f' first {name}, which is {here.get(name)} there and would be {there.get(name)}'
        )
