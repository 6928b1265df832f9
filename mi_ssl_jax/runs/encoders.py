"""A finished run's encoder, for use elsewhere."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.core.types import Key, Variables
from mi_ssl_jax.evals import features
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs, schema
from mi_ssl_jax.nets.heads import Output
from mi_ssl_jax.runs import restoring, run_folder


def load_encoder(
    workdir: str | Path, *, branch: str | None = None, seed: int = 0, best: bool = False
) -> tuple[Callable[[Variables, jax.Array], Output], Variables]:
    """Load an encoder that a run has trained.

        apply, variables = ms.load_encoder('runs/jmi_digits')
        features = apply(variables, x).features

    The folder is enough: neither the training data nor the devices of the training are needed.

    Args:
        workdir: the run's folder.
        branch: which encoder (SDMI: 'theta' is f, 'xi' is g); None for the first that is trained.
        seed: which of the run's seeds, counted from 0.
        best: whether to take the best evaluation instead of the end.

    Returns:
        apply and variables. apply(variables, x) takes examples as the data set holds them (images:
        (N, H, W, 3) uint8), normalises them without augmentation and gives nets.heads.Output:
        features (N, F), z (N, D). It is compiled once for each shape.

    Raises:
        ValueError: no run there, no checkpoint, or no such branch or seed.
    """
    workdir = Path(workdir)
    return restored(setup(workdir), workdir, branch=branch, seed=seed, best=best)


COLLECTIONS = ('params', 'batch_stats')


class Chosen(NamedTuple):
    """One encoder of a run, as a checkpoint has it."""

    branch: str
    variables: Variables
    epoch: float  # of the checkpoint


def setup(workdir: Path, changes: Mapping[str, Any] | None = None) -> experiments.Setup:
    """The run on one device of this machine, with neither its data nor its other devices; those of
    runs that kept no description of their data are loaded. changes: values of fields in place of
    the run's.
    """
    config = schema.changed(run_folder.read_config(workdir), changes or {})
    source = _described(workdir) or inputs.load(config)
    return experiments.build(config, source, parallel.choose_devices(1))


def _described(workdir: Path) -> inputs.Source | None:
    """The data that the run was trained on, as its folder describes them; None without that."""
    path = workdir / run_folder.DATA
    if not path.exists():
        return None
    try:
        return inputs.described(json.loads(path.read_text()))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f'{path} does not describe the data of a run ({error}): remove it, and the data set'
            ' itself is read'
        ) from error


def restored(
    ready: experiments.Setup, workdir: Path, *, branch: str | None, seed: int, best: bool
) -> tuple[Callable[[Variables, jax.Array], Output], Variables]:
    """As `load_encoder`, of a run that is set up already."""
    found = chosen(ready, workdir, branch=branch, seed=seed, best=best)
    trained_on = _described(workdir)
    if trained_on is not None:  # other data, under --data_dir, are standardised as those were
        source = ready.source._replace(statistics=trained_on.statistics)
        ready = ready._replace(source=source)
    return encoder(ready, found.branch), found.variables


def chosen(
    ready: experiments.Setup, workdir: Path, *, branch: str | None, seed: int, best: bool
) -> Chosen:
    """The variables of one of the run's encoders; arguments and errors as of `load_encoder`."""
    if not 0 <= seed < ready.layout.seeds:
        raise ValueError(f'seed={seed}, but the run has {ready.layout.seeds}: count from 0')
    return every_seed(ready, workdir, branch=branch, best=best)[seed]


def every_seed(
    ready: experiments.Setup, workdir: Path, *, branch: str | None, best: bool
) -> list[Chosen]:
    """One of the run's encoders as each seed has it; arguments and errors as of `load_encoder`."""
    name = branch or ready.method.phases[0].trains
    if name not in ready.method.branches:
        raise ValueError(f"no branch '{name}': the run has {', '.join(ready.method.branches)}")
    population, progress = restoring.restore(ready, workdir, best=best)
    return [
        Chosen(name, member.variables[name], progress['epoch']) for member in population.members()
    ]


def backbone(variables: Variables) -> Variables:
    """{'params', 'batch_stats'} of an encoder's backbone alone."""
    return {name: variables.get(name, {}).get('backbone', {}) for name in COLLECTIONS}


def encoder(ready: experiments.Setup, branch: str) -> Callable[[Variables, jax.Array], Output]:
    """The branch on un-augmented examples, with its running batch statistics; compiled."""
    net = ready.method.branches[branch].net
    plain = jax.vmap(inputs.plain(ready.config, ready.source))
    return jax.jit(lambda variables, x: net.apply(variables, plain(x), train=False))


def embeddings(
    ready: experiments.Setup,
    branch: str,
    variables: Variables,
    examples: np.ndarray,
    *,
    key: Key,
    view: int | None,
) -> np.ndarray:
    """z (n, D) of a branch for one random view of each example; view None: un-augmented. key: of
    the views, from which example i draws by the i-th of its keys.
    """
    plain = inputs.plain(ready.config, ready.source)
    keys, net = jax.random.split(key, len(examples)), ready.method.branches[branch]

    def one(key: jax.Array, example: jax.Array) -> jax.Array:
        return plain(example) if view is None else ready.spec.views(key, example)[view]

    encode = jax.jit(lambda own, keys, x: net(own, jax.vmap(one)(keys, x)).z)

    def apply(rows: np.ndarray) -> jax.Array:
        return encode(variables, keys[rows], examples[rows])

    size = ready.config.mi.batch_size
    return features.encode(apply, np.arange(len(examples)), batch_size=size)
