"""Weights by PyTorch's names and in its layouts, and the networks that such names are of.

ResNets go by torchvision's names, which are timm's too, ViTs by timm's (`vit`), the small
convolutional networks by those of an nn.Sequential of convolution, batch norm and ReLU, layer after
layer. PyTorch's kernels are (out, in, height, width) and (out, in), those here (height, width, in,
out) and (in, out). A running variance here is that of the batches, PyTorch's is n / (n - 1) times
it; either is used as it stands, so neither is changed.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from mi_ssl_jax.core.types import Variables
from mi_ssl_jax.nets import vit

COUNTER = 'num_batches_tracked'  # of PyTorch's batch norm, which computes nothing with it
RESNETS = {  # blocks of each stage, whether they are bottlenecks -> name
    ((2, 2, 2, 2), False): 'resnet18',
    ((3, 4, 6, 3), True): 'resnet50',
}
STEMS = {3: 'small', 7: 'imagenet'}  # by the side of the first kernel
SMALL = {(1, 2, 2, 4): 'conv4', (1, 2, 4): 'digits_conv'}  # widths over the first
HEAD_WIDTH = 64  # of an attention head in all of timm's plain ViTs
LEAVES = {  # ours -> PyTorch's
    'kernel': 'weight',
    'scale': 'weight',
    'bias': 'bias',
    'mean': 'running_mean',
    'var': 'running_var',
}
# Parameters by which a network is known, wherever in a larger model it stands.
MARKS = ('layer1.0.conv1.weight', 'blocks.0.attn.qkv.weight')

State = Mapping[str, Any]
Shapes = Mapping[str, tuple[int, ...]]


class Names(NamedTuple):
    """Names of modules, joined by dots. theirs: of ours; ours: of theirs."""

    theirs: Callable[[str], str]
    ours: Callable[[str], str]


def _resnet_theirs(module: str) -> str:
    module = re.sub(r'^stage(\d)_block(\d+)', lambda m: f'layer{m[1]}.{int(m[2]) - 1}', module)
    module = module.replace('shortcut_conv', 'downsample.0').replace(
        'shortcut_norm', 'downsample.1'
    )
    module = module.replace('stem_conv', 'conv1').replace('stem_norm', 'bn1')
    return re.sub(r'\bnorm(\d)$', r'bn\1', module)


def _resnet_ours(module: str) -> str:
    if not module.startswith('layer'):
        return {'conv1': 'stem_conv', 'bn1': 'stem_norm'}.get(module, module)
    module = re.sub(r'^layer(\d)\.(\d+)', lambda m: f'stage{m[1]}_block{int(m[2]) + 1}', module)
    module = module.replace('downsample.0', 'shortcut_conv').replace(
        'downsample.1', 'shortcut_norm'
    )
    return re.sub(r'\bbn(\d)$', r'norm\1', module)


def _small_theirs(module: str) -> str:
    kind, _, number = module.partition('_')
    return f'{3 * int(number) + ("Conv", "BatchNorm").index(kind)}'


def _small_ours(module: str) -> str:
    if not module.isdigit() or int(module) % 3 == 2:
        return module
    return f'{("Conv", "BatchNorm")[int(module) % 3]}_{int(module) // 3}'


NAMES = {
    **dict.fromkeys(RESNETS.values(), Names(_resnet_theirs, _resnet_ours)),
    **dict.fromkeys(SMALL.values(), Names(_small_theirs, _small_ours)),
}


def networks() -> list[str]:
    """List the networks that have names in PyTorch."""
    return sorted([*NAMES, 'vit'])


def to_torch(network: str, variables: Variables) -> dict[str, np.ndarray]:
    """Name and lay out a network's variables as PyTorch does.

    Args:
        network: one of resnet18, resnet50 (torchvision's and timm's names), vit (timm's), conv4 and
            digits_conv (those of an nn.Sequential).
        variables: {'params', 'batch_stats'} of `nets.load(network, ...)`.

    Returns:
        The state dict: PyTorch's key -> array.

    Raises:
        ValueError: another network.

    >>> net = ms.nets.load('digits_conv', width=2)
    >>> variables = net.init(jax.random.PRNGKey(0), jnp.ones((1, 8, 8, 1)), train=False)
    >>> state = ms.nets.to_torch('digits_conv', variables)
    >>> state['0.weight'].shape, state['1.running_var'].shape
    ((2, 1, 3, 3), (2,))
    """
    if network == 'vit':
        return vit.to_timm(variables['params'])
    names, found = _names(network), dict[str, np.ndarray]()
    for collection in ('params', 'batch_stats'):
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables.get(collection, {})):
            *modules, last = (str(entry.key) for entry in path)
            module, array = names.theirs('.'.join(modules)), np.asarray(leaf)
            axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim)
            found[f'{module}.{LEAVES[last]}'] = array if axes is None else array.transpose(axes)
            if last == 'var':
                found[f'{module}.{COUNTER}'] = np.zeros((), np.int64)
    return found


def from_torch(network: str, state: State) -> dict[str, Any]:
    """Build a network's variables from PyTorch's state dict.

    Args:
        network: as of `to_torch`.
        state: PyTorch's key -> array, of the encoder alone.

    Returns:
        {'params', 'batch_stats'}, in numpy.

    Raises:
        ValueError: another network, or a key that no convolution, linear layer or batch norm has.

    >>> found = ms.nets.from_torch('resnet18', {'layer1.0.bn1.running_mean': jnp.zeros(64)})
    >>> found['batch_stats']['stage1_block1']['norm1']['mean'].shape
    (64,)
    """
    if network == 'vit':
        return {'params': jax.tree.map(np.asarray, vit.from_timm(state)), 'batch_stats': {}}
    names = _names(network)
    found: dict[str, Any] = {'params': {}, 'batch_stats': {}}
    for name, value in state.items():
        module, _, last = name.rpartition('.')
        if last == COUNTER:
            continue
        array = np.asarray(value)
        leaves = [ours for ours, theirs in LEAVES.items() if theirs == last]
        if not leaves or not module:
            raise ValueError(f"'{name}' is of no convolution, linear layer or batch norm")
        leaf = leaves[0] if array.ndim > 1 else leaves[-1]
        axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim)
        node = found['batch_stats' if leaf in ('mean', 'var') else 'params']
        for part in names.ours(module).split('.'):
            node = node.setdefault(part, {})
        node[leaf] = array if axes is None else array.transpose(axes)
    return found


def _names(network: str) -> Names:
    if network not in NAMES:
        raise ValueError(f"'{network}' has no names in PyTorch: use {', '.join(networks())}")
    return NAMES[network]


def recognised(shapes: Shapes) -> tuple[str, dict[str, Any]]:
    """Recognise a network by its weights' names and shapes.

    Returns:
        Its name and its options in nets.load; without a ViT's heads where these are not to be seen.

    Raises:
        ValueError: weights of another network.
    """
    for mark, known in ((MARKS[0], _resnet), (MARKS[1], _vit), ('0.weight', _small)):
        if mark in shapes:
            return known(shapes)
    raise ValueError(f'these are the weights of none of {", ".join(networks())}')


def _resnet(shapes: Shapes) -> tuple[str, dict[str, Any]]:
    blocks = {m.groups() for name in shapes if (m := re.match(r'layer(\d)\.(\d+)\.', name))}
    depths = tuple(sum(stage == own for own, _ in blocks) for stage in '1234')
    bottleneck = 'layer1.0.conv3.weight' in shapes
    if (depths, bottleneck) not in RESNETS:
        kind = 'bottlenecks' if bottleneck else 'basic blocks'
        raise ValueError(f'a ResNet of {depths} {kind} is none of {", ".join(RESNETS.values())}')
    stem = shapes.get('conv1.weight', ())
    if len(stem) != 4 or stem[-1] not in STEMS:
        raise ValueError(f'a stem other than one convolution of 3x3 or 7x7: conv1.weight is {stem}')
    width = {} if stem[0] == 64 else {'width': stem[0]}
    return RESNETS[depths, bottleneck], {'stem': STEMS[stem[-1]], **width}


def _vit(shapes: Shapes) -> tuple[str, dict[str, Any]]:
    needed = ('cls_token', 'patch_embed.proj.weight', 'blocks.0.mlp.fc1.weight')
    lacking = [name for name in needed if name not in shapes]
    if lacking:
        raise ValueError(f'a ViT without {", ".join(lacking)} is none of those that are known here')
    width, patch = shapes['cls_token'][-1], shapes['patch_embed.proj.weight'][-1]
    blocks = {m[1] for name in shapes if (m := re.match(r'blocks\.(\d+)\.', name))}
    heads = {} if width % HEAD_WIDTH else {'heads': width // HEAD_WIDTH}
    return 'vit', {
        'patch': patch,
        'width': width,
        'depth': len(blocks),
        **heads,
        'mlp_ratio': _ratio(shapes['blocks.0.mlp.fc1.weight'][0], width),
        'pool': 'cls' if 'norm.weight' in shapes else 'mean',
        'positions': 'learned' if 'pos_embed' in shapes else 'fixed',
        'fixed_patches': False,
    }


def _ratio(hidden: int, width: int) -> float:
    """The ratio that gives `hidden` when the network multiplies by it and rounds down."""
    ratio = hidden / width
    return ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)


def _small(shapes: Shapes) -> tuple[str, dict[str, Any]]:
    numbers = sorted(int(m[1]) for name in shapes if (m := re.fullmatch(r'(\d+)\.weight', name)))
    widths = [shapes[f'{number}.weight'][0] for number in numbers[::2]]
    ratios = tuple(width / widths[0] for width in widths)
    if ratios not in SMALL:
        raise ValueError(f'layers of {widths} channels are none of {", ".join(SMALL.values())}')
    return SMALL[ratios], {'width': widths[0]}
