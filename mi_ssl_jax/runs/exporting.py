"""A run's trained backbone as a folder for use without this package, or with it.

timm: config.json and model.safetensors for timm.create_model('local-dir:...'). torchvision:
model.safetensors by its names; of the small convolutional networks by those of an nn.Sequential.
npz: weights.npz by the names that the parameters have here. stablehlo: model.stablehlo, a program
of raw examples by jax.export, with normalisation and weights inside. Each has config.json and a
card, README.md, whose lines of Python are how it is used. Nothing is pickled.
"""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.runs import encoders, export_formats, run_folder, weights
from mi_ssl_jax.runs.export_formats import RESNETS, SMALL, Encoder

# Exported programs convolve as every platform does; their features are those of float32.
PLAIN = {'net.convolution': 'xla', 'net.dtype': 'float32'}
FORMATS = tuple(export_formats.WRITERS)
RESNET_WIDTH = 64  # torchvision's and timm's
# A timm model that takes all of a plain ViT's sizes as arguments.
VIT = 'vit_tiny_patch16_224'
POOLS = {'cls': 'token', 'mean': 'avg'}  # ours, timm's

LAYERS = {  # that timm must know of
    **dict.fromkeys(RESNETS, {'first_conv': 'conv1', 'classifier': 'fc'}),
    'vit': {'first_conv': 'patch_embed.proj', 'classifier': 'head'},
}


def check(config: ConfigDict, form: str, field: str = 'export') -> None:
    """Refuse a format that the configuration's network does not have. field: that names it.

    Raises:
        ValueError: such a format.
    """
    if form == 'none':
        return
    if form not in FORMATS:
        raise ValueError(f"{field}='{form}': use one of {', '.join(FORMATS)}")
    name = config.net.name
    options = config.net.options.get(name, {})
    fits = {
        'timm': (*RESNETS, 'vit'),
        'torchvision': (*RESNETS, *SMALL),
        'stablehlo': None if name != 'gcn' else (),
    }.get(form)
    if fits is not None and name not in fits:
        known = f' ({", ".join(fits)} have)' if fits else ': it takes graphs'
        raise ValueError(
            f"{field}='{form}': net.name='{name}' has no such form{known}; use 'npz'"
            + (" or 'stablehlo'" if name != 'gcn' else '')
        )
    width = options.get('width', RESNET_WIDTH)
    if form in ('timm', 'torchvision') and name in RESNETS and width != RESNET_WIDTH:
        raise ValueError(
            f"{field}='{form}': its {name} begins with {RESNET_WIDTH} channels, and"
            f" net.options.{name}.width={width}; use 'npz' or 'stablehlo'"
        )


def write(
    workdir: Path,
    out: Path,
    *,
    form: str,
    branch: str | None = None,
    seed: int = 0,
    best: bool = False,
    field: str = 'export',
) -> list[Path]:
    """Write one of a finished run's encoders into the folder `out`.

    Args:
        workdir: the run's folder.
        out: the folder to write; its files of the same names are replaced.
        form: one of FORMATS.
        branch: which encoder; None for the first that is trained.
        seed: which of the run's seeds, counted from 0.
        best: whether to take the best evaluation instead of the end.
        field: that names the format, for messages.

    Returns:
        The files.

    Raises:
        ValueError: no such run or encoder, a network that has no such format, or `out` is the
            folder of a run.
    """
    check(run_folder.read_config(workdir), form, field)
    from mi_ssl_jax.figures import card  # imports matplotlib, which is slow

    if (out / 'checkpoints').exists() or (out / 'metrics.jsonl').exists():
        raise ValueError(f'{out} is the folder of a run: name another for the exported encoder')
    ready = encoders.setup(workdir, PLAIN)
    chosen = encoders.chosen(ready, workdir, branch=branch, seed=seed, best=best)
    found = _encoder(ready, chosen)
    out.mkdir(parents=True, exist_ok=True)
    _clear(out)
    main, use = export_formats.WRITERS[form](found, out)
    described = description(found, form)
    run_folder.write_json(out / 'config.json', described)
    page = card.text(
        workdir,
        use=use,
        about=_about(found, described, form),
        branch=chosen.branch,
        epoch=chosen.epoch,
        best=best,
    )
    with export_formats.whole(out / 'README.md') as scratch:
        scratch.write_text(page)
    return [main, out / 'config.json', out / 'README.md']


def _clear(out: Path) -> None:
    """Remove the weights of an earlier export, which may be of another format."""
    try:
        ours = weights.SECTION in json.loads((out / 'config.json').read_text())
    except (OSError, ValueError, TypeError):
        return
    for name in (weights.TENSORS, weights.ARRAYS, export_formats.PROGRAM) if ours else ():
        (out / name).unlink(missing_ok=True)


def _encoder(ready: experiments.Setup, chosen: encoders.Chosen) -> Encoder:
    x = experiments.batch_of(2, ready.source.example)
    shapes = jax.eval_shape(jax.vmap(inputs.plain(ready.config, ready.source)), x)
    output = jax.eval_shape(
        functools.partial(encoders.encoder(ready, chosen.branch), chosen.variables), x
    )
    image = () if isinstance(shapes, dict) else shapes.shape[1:]
    return Encoder(
        ready, chosen.branch, chosen.variables, chosen.epoch, image, output.features.shape[1]
    )


def description(found: Encoder, form: str) -> dict[str, Any]:
    """config.json: timm's fields, and by which network of this package the weights are read."""
    options, image = found.options, found.image
    if found.network == 'vit' and form == 'timm':
        options |= {'positions': 'learned', 'fixed_patches': False}
    own = {'network': found.network, 'options': options, 'form': form}
    described: dict[str, Any] = {
        'architecture': found.network,
        'num_classes': 0,
        'num_features': found.width,
        weights.SECTION: own,
    }
    if len(image) != 3:
        return described
    height, width, channels = image
    known = inputs.normalisation(found.ready.config, found.ready.source)
    norm = {} if known is None else known.norm._asdict()
    pool = POOLS[options['pool']] if found.network == 'vit' else 'avg'
    arguments = {} if channels == 3 else {'in_chans': channels}
    if found.network == 'vit':
        arguments |= {
            'img_size': [height, width],
            'patch_size': options['patch'],
            'embed_dim': options['width'],
            'depth': options['depth'],
            'num_heads': options['heads'],
            'mlp_ratio': options['mlp_ratio'],
            'global_pool': pool,
        }
        described['architecture'] = VIT
    described |= {
        'global_pool': pool,
        'model_args': arguments,
        'pretrained_cfg': {
            'input_size': [channels, height, width],
            'fixed_input_size': found.network == 'vit',
            'interpolation': 'bilinear',
            'crop_pct': _fraction(found.plain),
            'crop_mode': 'center',
            **{name: list(own) for name, own in norm.items()},
            'num_classes': 0,
            **LAYERS.get(found.network, {}),
        },
    }
    return described


def _about(found: Encoder, described: Mapping[str, Any], form: str) -> list[str]:
    """What a reader must know of the encoder's inputs and outputs."""
    example = found.ready.source.example
    lines = [f'Features: {found.width}, float32']
    if form == 'stablehlo':
        kinds = 'images' if example.ndim == 3 else 'examples'
        return [
            f'Inputs: {kinds} {example.dtype} (n, {", ".join(map(str, example.shape))}) as the data'
            ' set holds them; the normalisation is inside',
            f'Platforms: {", ".join(export_formats.PLATFORMS)}; any number of {kinds}; plain'
            ' convolutions',
            *lines,
        ]
    known = described.get('pretrained_cfg', {})
    if known.get('mean'):
        height, width, channels = found.image
        shape = (
            f'(n, {height}, {width}, {channels})'
            if form == 'npz'
            else f'(n, {channels}, {height}, {width})'
        )
        scale = inputs.normalisation(found.ready.config, found.ready.source).scale
        span = '0 to 255' if scale is None else f'{list(scale.low)} to {list(scale.high)}'
        lines.append(
            f'Inputs: images {shape}, pixels scaled from {span} to 0 to 1, then minus'
            f' {known["mean"]}, over {known["std"]}; evaluated on a centre crop of'
            f' {known["crop_pct"]:g} of the short side'
        )
    if form == 'torchvision' and found.network in RESNETS and not export_formats.small_stem(found):
        lines.append('Stem: 7x7 of stride 2 and max-pool, as torchvision has it')
    if export_formats.small_stem(found):
        lines.append('Stem: 3x3 of stride 1 without max-pool, for small images; two lines build it')
    return lines


def _fraction(evaluation: Callable) -> float:
    """Share of the short side that an evaluation sees."""
    return float(getattr(evaluation, 'keywords', {}).get('fraction', 1.0))
