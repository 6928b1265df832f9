"""The formats of an exported encoder: its file of weights, and the lines of Python that use it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors.numpy
from jax import export

from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.nets import torch_names, vit
from mi_ssl_jax.runs import encoders, weights

PROGRAM = 'model.stablehlo'
PLATFORMS = ('cpu', 'cuda')
RESNETS, SMALL = tuple(torch_names.RESNETS.values()), tuple(torch_names.SMALL.values())
STRIDES = {'conv4': (1, 2, 2, 2), 'digits_conv': (1, 2, 2)}

SMALL_STEM = """
model.conv1 = torch.nn.Conv2d({channels}, 64, 3, padding=1, bias=False)
model.maxpool = torch.nn.Identity()
"""
LARGE_STEM = 'model.conv1 = torch.nn.Conv2d({channels}, 64, 7, stride=2, padding=3, bias=False)'


class Encoder(NamedTuple):
    """What is exported: a backbone on examples of one shape."""

    ready: experiments.Setup
    branch: str
    variables: Mapping[str, Any]  # of the branch
    epoch: float
    image: tuple[int, ...]  # the network's input without augmentation, (H, W, C)
    width: int  # of the features

    @property
    def network(self) -> str:
        return self.ready.config.net.name

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.ready.config.net.options.get(self.network, {}))

    @property
    def backbone(self) -> dict[str, Any]:
        """{'params', 'batch_stats'} of the backbone alone."""
        return encoders.backbone(self.variables)

    @property
    def plain(self) -> Callable:
        """Example -> network input without augmentation."""
        return inputs.plain(self.ready.config, self.ready.source)


# The formats: (encoder, folder) -> the file of weights, lines of Python that use it
# --------------------------------------------------------------------------------------------------


def _timm(found: Encoder, out: Path) -> tuple[Path, str]:
    path = _save(out / weights.TENSORS, state(found))
    if not small_stem(found):
        lines = """
import timm

model = timm.create_model('local-dir:.', pretrained=True).eval()
"""
        return path, lines
    lines = f"""
import timm
import torch

model = timm.create_model('local-dir:.', pretrained=False)
{SMALL_STEM.format(channels=found.image[-1]).strip()}
timm.models.load_checkpoint(model, '{weights.TENSORS}')
model.eval()
"""
    return path, lines


def _torchvision(found: Encoder, out: Path) -> tuple[Path, str]:
    path = _save(out / weights.TENSORS, state(found))
    channels = found.image[-1]
    if found.network in SMALL:
        kernels = [leaf for leaf in jax.tree.leaves(found.backbone['params']) if leaf.ndim == 4]
        widths = (channels, *(kernel.shape[-1] for kernel in kernels))
        build = f"""
widths, layers = {widths}, []
for before, after, stride in zip(widths, widths[1:], {STRIDES[found.network]}):
    layers.append(torch.nn.Conv2d(before, after, 3, stride, 1, bias=False))
    layers += [torch.nn.BatchNorm2d(after), torch.nn.ReLU()]
model = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
"""
        imports = 'import torch'
    else:
        stem = SMALL_STEM if small_stem(found) else LARGE_STEM if channels != 3 else ''
        build = f"""
model = torchvision.models.{found.network}()
model.fc = torch.nn.Identity()
{stem.format(channels=channels).strip()}
"""
        imports = 'import torch\nimport torchvision'
    lines = f"""
import safetensors.torch
{imports}

{build.strip()}
model.load_state_dict(safetensors.torch.load_file('{weights.TENSORS}'))
model.eval()
"""
    return path, lines


def _npz(found: Encoder, out: Path) -> tuple[Path, str]:
    path = out / weights.ARRAYS
    with whole(path) as scratch, open(scratch, 'wb') as file:
        np.savez(file, **weights.own_names(found.backbone))
    lines = """
import numpy as np

arrays = np.load('weights.npz')  # 'params.stem_conv.kernel', ...: (height, width, in, out)

from mi_ssl_jax.runs import weights  # or, with mi_ssl_jax

variables = weights.load('.').variables
"""
    return path, lines


def _stablehlo(found: Encoder, out: Path) -> tuple[Path, str]:
    path = out / PROGRAM
    with whole(path) as scratch:
        scratch.write_bytes(program(found))
    example = found.ready.source.example
    sizes = ', '.join(['n', *map(str, example.shape)])
    lines = f"""
from pathlib import Path

from jax import export  # needs flatbuffers

model = export.deserialize(bytearray(Path('{PROGRAM}').read_bytes()))
# model.call(examples): ({sizes}) {example.dtype} -> features (n, {found.width})
"""
    return path, lines


WRITERS: dict[str, Callable[[Encoder, Path], tuple[Path, str]]] = {
    'timm': _timm,
    'torchvision': _torchvision,
    'npz': _npz,
    'stablehlo': _stablehlo,
}


def program(found: Encoder) -> bytes:
    """The encoder as a StableHLO program of raw examples (n, ...) of any number -> features (n, F)
    float32, by jax.export, for CPUs and CUDA.
    """
    network, prepare = experiments.backbone(found.ready.config), jax.vmap(found.plain)
    (count,) = export.symbolic_shape('n')
    example = found.ready.source.example
    examples = jax.ShapeDtypeStruct((count, *example.shape), example.dtype)

    def features(x: jax.Array) -> jax.Array:
        return network.apply(found.backbone, prepare(x), train=False)

    return bytes(export.export(jax.jit(features), platforms=PLATFORMS)(examples).serialize())


def state(found: Encoder) -> dict[str, np.ndarray]:
    """The backbone by PyTorch's names; a ViT with fixed positions has them as if learned."""
    arrays = weights.named(found.network, found.backbone)
    if found.network == 'vit' and 'pos_embed' not in arrays:
        height, width, _ = found.image
        patch = found.options['patch']
        size = (height // patch, width // patch, found.width)
        arrays['pos_embed'] = vit.fixed_positions(*size)
    return arrays


def small_stem(found: Encoder) -> bool:
    """Whether it is a ResNet that torchvision and timm build with two lines more."""
    return found.network in RESNETS and found.options.get('stem') == 'small'


def _save(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a .safetensors file as PyTorch's libraries read it."""
    dense = {name: np.asarray(array, order='C') for name, array in arrays.items()}
    with whole(path) as scratch:
        safetensors.numpy.save_file(dense, scratch, metadata={'format': 'pt'})
    return path


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write in the place of `path`, which becomes it when all is written."""
    scratch = path.with_name(f'{path.name}.tmp')
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
