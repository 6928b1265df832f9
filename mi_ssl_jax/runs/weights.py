"""A backbone's weights from elsewhere, as the variables of our own networks.

    found = weights.load('resnet18.safetensors')
    net = nets.load(found.network, **found.options)
    features = net.apply(found.variables, x, train=False)
    variables = weights.fitted(found, ready)  # of a configuration's network, or why they do not fit

A path is one of: a .safetensors file by torchvision's or timm's names; a folder with
model.safetensors or weights.npz and, where there is one, the config.json of timm or of `python -m
mi_ssl_jax.export`; the folder of a run. Nothing is unpickled.
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors.numpy

from mi_ssl_jax import parallel
from mi_ssl_jax.augment.rgb import Norm
from mi_ssl_jax.core.types import Variables
from mi_ssl_jax.data import faults
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.nets import torch_names
from mi_ssl_jax.runs import encoders
from mi_ssl_jax.runs.encoders import COLLECTIONS

Say = Callable[[str], None]

TENSORS, ARRAYS = 'model.safetensors', 'weights.npz'  # of a folder
SECTION = 'mi_ssl_jax'  # of an exported folder's config.json: network, options
HEADS = ('fc', 'head', 'heads', 'classifier', 'linear', 'head_dist')  # classifiers: ignored
PICKLES = ('.pth', '.pt', '.bin', '.ckpt', '.tar', '.pkl')


class Weights(NamedTuple):
    """A backbone's weights, and what is known of the network that they are of."""

    where: str  # the path, for messages
    network: str  # its name in nets.load
    options: Mapping[str, Any]  # its options there; of a run those of its configuration
    variables: Variables  # {'params', 'batch_stats'} in numpy, float32
    norm: Norm | None  # the normalisation of its inputs, None where the path does not say
    ignored: tuple[str, ...]  # names of what was left aside: classifiers, projectors


def load(
    path: str | Path, *, branch: str | None = None, seed: int = 0, best: bool = False
) -> Weights:
    """Read the weights of a backbone.

    Args:
        path: a .safetensors file, a folder with weights, or the folder of a run.
        branch: of a run, which encoder (SDMI: 'theta' is f, 'xi' is g); None for the first that is
            trained.
        seed: of a run, which of its seeds, counted from 0.
        best: of a run, whether to take the best evaluation instead of the end.

    Returns:
        The weights; classifiers and whatever lies outside the encoder are in `ignored`.

    Raises:
        ValueError: in one line, no weights there, damaged ones, or those of an unknown network.
    """
    path = Path(path)
    if (path / 'checkpoints').is_dir():
        return _of_run(path, branch=branch, seed=seed, best=best)
    if branch is not None or seed or best:
        raise ValueError(f'{path} is not the folder of a run: it has no branches, seeds or best')
    if path.is_dir():
        return _of_folder(path)
    return _of_arrays(path, _tensors(path), {})


def fitted(found: Weights, ready: experiments.Setup) -> Variables:
    """The weights as variables of a configuration's backbone.

    Raises:
        ValueError: weights of another network, or of other names or shapes, all in one line.
    """
    config = ready.config
    if found.network != config.net.name:
        raise ValueError(
            f"{found.where} holds the weights of {found.network}, and net.name='{config.net.name}':"
            f" set net.name='{found.network}'"
        )
    plain = inputs.plain(config, ready.source)
    x = jax.eval_shape(jax.vmap(plain), experiments.batch_of(2, ready.source.example))
    network = experiments.backbone(config)
    wanted = jax.eval_shape(lambda x: network.init(jax.random.PRNGKey(0), x, train=False), x)
    empty = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), dict(wanted))
    complaints = _differences(*(named(found.network, own) for own in (found.variables, empty)))
    complaints = complaints or _differences(own_names(found.variables), own_names(empty))
    if complaints:
        own = config.net.options.get(config.net.name, {})
        other = [
            f'net.options.{found.network}.{name}={value!r}'
            for name, value in found.options.items()
            if own.get(name, value) != value
        ]
        of = f'; the weights are of {", ".join(other)}' if other else ''
        raise ValueError(
            f"{found.where} does not fit net.name='{config.net.name}':"
            f' {faults.listed(complaints)}{of}'
        )
    return found.variables


def initial(ready: experiments.Setup, *, say: Say = print) -> parallel.Population:
    """The population before step one, its backbones from net.weights where that names some.

    say: told what was left aside, and of inputs that the weights do not expect. Errors: `load`,
    `fitted`.
    """
    path = ready.config.net.weights
    if path == 'none':
        return experiments.initial(ready)
    found = load(path)
    variables = fitted(found, ready)
    for line in (f'backbone from {path}: {found.network}', *remarks(found, ready)):
        say(line)
    return experiments.initial(ready, variables)


def remarks(found: Weights, ready: experiments.Setup) -> list[str]:
    """What a person should know of weights that fit: what was left aside, another normalisation."""
    lines = []
    if found.ignored:
        lines.append(f'left aside of {found.where}: {faults.listed(found.ignored)}')
    own = inputs.normalisation(ready.config, ready.source)
    same = own is None or found.norm is None or len(own.norm.mean) != len(found.norm.mean)
    if not same and not np.allclose(own.norm, found.norm, atol=1e-3):
        lines.append(
            f'{found.where} expects inputs of mean {found.norm.mean} and deviation'
            f' {found.norm.std}, the views give {own.norm.mean} and {own.norm.std}: set'
            ' views.options.mean and views.options.std in the configuration'
        )
    return lines


def named(network: str, variables: Variables) -> dict[str, np.ndarray]:
    """Variables by PyTorch's names where the network has them, else by their own."""
    if network in torch_names.networks():
        return torch_names.to_torch(network, variables)
    return own_names(variables)


def own_names(variables: Variables) -> dict[str, np.ndarray]:
    """Variables by their own names: 'params.Conv_0.kernel'."""
    both = {name: variables.get(name, {}) for name in COLLECTIONS}
    leaves = jax.tree_util.tree_leaves_with_path(both)
    return {'.'.join(str(entry.key) for entry in path): np.asarray(leaf) for path, leaf in leaves}


def _of_run(path: Path, *, branch: str | None, seed: int, best: bool) -> Weights:
    ready = encoders.setup(path)
    own = encoders.chosen(ready, path, branch=branch, seed=seed, best=best).variables
    config = ready.config
    if 'backbone' not in own['params']:
        raise ValueError(f'the encoder of {path} has no backbone')
    variables = jax.tree.map(np.asarray, encoders.backbone(own))
    options = dict(config.net.options.get(config.net.name, {}))
    known = inputs.normalisation(config, ready.source)
    norm = None if known is None else known.norm
    aside = tuple(sorted(name for name in own['params'] if name != 'backbone'))
    return Weights(str(path), config.net.name, options, variables, norm, aside)


def _of_folder(path: Path) -> Weights:
    said: dict[str, Any] = {}
    if (path / 'config.json').exists():
        with faults.reading(path / 'config.json'):
            said = dict(json.loads((path / 'config.json').read_text()))
    files = [path / name for name in (TENSORS, ARRAYS) if (path / name).exists()]
    files = files or sorted(path.glob('*.safetensors'))
    if len(files) != 1:
        raise ValueError(
            f'{path} holds {len(files) or "no"} files of weights: name one, {TENSORS} or {ARRAYS},'
            ' or give the folder of a run'
        )
    arrays = _zipped(files[0]) if files[0].name == ARRAYS else _tensors(files[0])
    return _of_arrays(path, arrays, said)


def _of_arrays(path: Path, arrays: dict[str, np.ndarray], said: Mapping[str, Any]) -> Weights:
    """The weights of named arrays. said: a config.json beside them."""
    if any(name.startswith('params.') for name in arrays):
        own, ignored = arrays, ()
        variables = _nested(path, arrays)
    else:
        own, ignored = _encoder(path, arrays)
        variables = None
    with faults.reading(path):
        network, options, norm = _described(own, said, variables is not None)
        if variables is None:
            variables = torch_names.from_torch(network, own)
    return Weights(str(path), network, options, _checked(path, variables), norm, ignored)


def _described(
    arrays: Mapping[str, np.ndarray], said: Mapping[str, Any], ours: bool
) -> tuple[str, dict[str, Any], Norm | None]:
    """Network, options and normalisation, as config.json has them, else as the arrays show."""
    known = said.get('pretrained_cfg') or said
    norm = None
    if known.get('mean') and known.get('std'):
        norm = Norm(*(tuple(map(float, known[name])) for name in ('mean', 'std')))
    own = said.get(SECTION)
    if own:
        return str(own['network']), dict(own['options']), norm
    if ours:
        raise ValueError('there is no config.json with the network beside it')
    network, options = torch_names.recognised({name: own.shape for name, own in arrays.items()})
    heads = (said.get('model_args') or {}).get('num_heads')
    options |= {} if heads is None else {'heads': int(heads)}
    if network == 'vit' and 'heads' not in options:
        raise ValueError('the weights do not show how many heads an attention has: give the folder')
    return network, options, norm


def _encoder(
    path: Path, arrays: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The arrays of the encoder by its own names, and the names of the rest.

    ValueError: two encoders in one file, or arrays in one that no network here has.
    """
    prefixes = {
        name.removesuffix(mark)
        for name in arrays
        for mark in torch_names.MARKS
        if name == mark or name.endswith(f'.{mark}')
    }
    if len(prefixes) > 1:
        raise ValueError(
            f'{path} holds several encoders, {faults.listed(sorted(prefixes))}: save the one that'
            ' is meant alone'
        )
    prefix = next(iter(prefixes), '')
    inside = {name[len(prefix) :]: own for name, own in arrays.items() if name.startswith(prefix)}
    heads = {name for name in inside if name.split('.')[0] in HEADS}
    ignored = {name for name in arrays if not name.startswith(prefix)}
    ignored |= {prefix + name for name in heads}
    return {name: own for name, own in inside.items() if name not in heads}, tuple(sorted(ignored))


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    lacking = [f'lacks {name}' for name in wanted if name not in found]
    foreign = [f'has {name}, which the network has not' for name in found if name not in wanted]
    other = [
        f'{name} is {own.shape}, not {wanted[name].shape}'
        for name, own in found.items()
        if name in wanted and own.shape != wanted[name].shape
    ]
    return [*other, *lacking, *foreign]


def _checked(path: Path, variables: Mapping[str, Any]) -> Variables:
    """The variables in float32. ValueError for other than real, finite numbers."""

    def one(place: Any, leaf: Any) -> np.ndarray:
        array = np.asarray(leaf, np.float32)
        if not np.isfinite(array).all():
            name = '.'.join(str(entry.key) for entry in place)
            raise ValueError(f'{path}: {name} is not finite')
        return array

    return jax.tree_util.tree_map_with_path(one, dict(variables))


def _nested(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The inverse of `own_names`."""
    found: dict[str, Any] = {name: {} for name in COLLECTIONS}
    for name, array in arrays.items():
        first, *modules, last = name.split('.')
        if first not in COLLECTIONS:
            raise ValueError(f"{path} has an array '{name}' beside {' and '.join(COLLECTIONS)}")
        node = found[first]
        for module in modules:
            node = node.setdefault(module, {})
        node[last] = array
    return found


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .safetensors file. ValueError in one line."""
    if path.suffix in PICKLES:
        raise ValueError(
            f'{path} is a pickle, which may run any code, and is not read: where it comes from,'
            ' torch.load it and save its state dict by safetensors.torch.save_file'
        )
    if path.suffix != '.safetensors' or not path.exists():
        what = 'is no .safetensors file' if path.exists() else 'is not there'
        raise ValueError(
            f'{path} {what}: give FILE.safetensors, a folder with {TENSORS} or the folder of a run'
        )
    with faults.reading(path):
        found = safetensors.numpy.load_file(path)
    return {name: np.asarray(array) for name, array in found.items()}


def _zipped(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file; nothing in it is executed. ValueError in one line."""
    with faults.reading(path):
        if not zipfile.is_zipfile(path):
            raise ValueError('it is no .npz file: it is damaged')
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
