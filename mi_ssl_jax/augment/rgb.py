"""Random views of one RGB image: crop, flip, colour jitter, grey, blur, solarize, normalise.

Images of other channels and types have the same views without what is made of colours.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from mi_ssl_jax.augment import jitter, planar, resample
from mi_ssl_jax.augment.planar import Planes


class Norm(NamedTuple):
    """Channel means and standard deviations of pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Scale(NamedTuple):
    """Values of each channel that become 0 and 1, for images of any channels and type."""

    low: tuple[float, ...]
    high: tuple[float, ...]


class View(NamedTuple):
    """Strengths of one view. A probability of 0 leaves the operation out of the program.

    Attributes:
      size: side of the view in pixels.
      scale: range of the crop's area, in fractions of the image's.
      method: 'bilinear' or 'bicubic'.
      jitter: strengths of brightness, contrast, saturation and hue (torchvision's ColorJitter).
      jitter_p, grey_p, blur_p, solarize_p: probabilities. Solarize inverts from 0.5 up.
      blur_sigma: range of the blur's standard deviation in pixels; the kernel has about size / 10
      taps.
      crop_last: crop and flip after the colours instead of before (W-MSE).
      grey_first: turn grey before the colour jitter instead of after (MoCo v1).
      ratio: range of the crop's width over its height, torchvision's; (1, 1) for squares.
    """

    size: int
    scale: tuple[float, float]
    method: str
    jitter: tuple[float, float, float, float]
    jitter_p: float = 0.8
    grey_p: float = 0.2
    blur_p: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarize_p: float = 0.0
    crop_last: bool = False
    grey_first: bool = False
    ratio: tuple[float, float] = (3 / 4, 4 / 3)


def make(
    key: Array, image: Array, *, views: tuple[View, ...], norm: Norm, scale: Scale | None = None
) -> tuple[Array, ...]:
    """The views of one image (H, W, C), in the order of `views`, as normalised float32 (size, size,
    C).

    Neighbouring views of one kind are one vmapped program.
    scale: None for uint8 RGB.

    Raises:
      ValueError: not a uint8 image with three channels or, with a scale, not of its channels.
    """
    _check(image, scale)
    keys = jax.random.split(key, len(views))
    made, start = [], 0
    for view, group in itertools.groupby(views):
        count = len(list(group))
        batch = jax.vmap(lambda key: one(key, image, view=view, norm=norm, scale=scale))(
            keys[start : start + count]
        )
        made.extend(batch[i] for i in range(count))
        start += count
    return tuple(made)


def one(key: Array, image: Array, *, view: View, norm: Norm, scale: Scale | None = None) -> Array:
    """One view of one image (H, W, C) -> (size, size, C), normalised float32."""
    key_box, key_jitter, key_chances = jax.random.split(key, 3)
    flip, grey, blur, sigma, solarize = jax.random.uniform(key_chances, (5,), jnp.float32)
    planes = _planes(image, scale)
    if view.crop_last:
        planes = _crop(key_box, _colour(key_jitter, planes, view, grey=grey), view, flip=flip)
    else:
        planes = _colour(key_jitter, _crop(key_box, planes, view, flip=flip), view, grey=grey)
    if view.blur_p > 0:
        planes = _blur(planes, view, chance=blur, strength=sigma)
    if view.solarize_p > 0:
        planes = planar.solarize(planes, jnp.where(solarize < view.solarize_p, 0.5, jnp.inf))
    return _normalise(planes, norm)


def centre(
    image: Array, *, size: int, fraction: float, norm: Norm, scale: Scale | None = None
) -> Array:
    """The network input without augmentation: a centre square, `fraction` of the short side, made
    `size` px.

    fraction 0.875 is Resize(256) and CenterCrop(224) in one step (up to the rounding of the
    border). An image that has the size already passes unchanged but for the normalisation.

    Raises:
      ValueError: as `make`.
    """
    _check(image, scale)
    height, width, _ = image.shape
    side = round(fraction * min(height, width))
    planes = _planes(image, scale)
    if (height, width, side) != (size, size, size):
        box = resample.Box((height - side) // 2, (width - side) // 2, side, side)
        planes = _resize(planes, box, size=size, method='bilinear', flip=False)
    return _normalise(planes, norm)


def blur_taps(size: int) -> int:
    """Taps of the blur kernel: 23 at 224 px, 9 at 96, 7 at 64, 3 at 32 (SimCLR, BYOL) and below."""
    return 2 * max(1, size // 20) + 1


def _check(image: Array, scale: Scale | None) -> None:
    if scale is not None:
        if image.ndim != 3 or image.shape[-1] != len(scale.low):
            raise ValueError(
                f'views of images need (H, W, {len(scale.low)}), not {image.dtype} {image.shape}'
            )
    elif image.dtype != jnp.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(
            f'views of images need uint8 (H, W, 3), not {image.dtype} {image.shape}; for others'
            " set views.options.data='own'"
        )


def _crop(key: Array, planes: Planes, view: View, *, flip: Array) -> Planes:
    height, width = planes[0].shape
    box = resample.random_box(key, height, width, scale=view.scale, ratio=view.ratio)
    cropped = _resize(planes, box, size=view.size, method=view.method, flip=flip < 0.5)
    return (
        tuple(jnp.clip(plane, 0, 1) for plane in cropped) if view.method == 'bicubic' else cropped
    )


def _resize(
    planes: Planes, box: resample.Box, *, size: int, method: str, flip: Array | bool
) -> Planes:
    height, width = planes[0].shape
    rows = resample.crop_matrix(box.top, box.height, source=height, size=size, method=method)
    columns = resample.crop_matrix(
        box.left, box.width, source=width, size=size, method=method, flip=flip
    )
    return _two_products(rows, planes, columns)


def _colour(key: Array, planes: Planes, view: View, *, grey: Array) -> Planes:
    if view.grey_first:
        return _jitter(key, _grey(planes, view, chance=grey), view)
    return _grey(_jitter(key, planes, view), view, chance=grey)


def _jitter(key: Array, planes: Planes, view: View) -> Planes:
    if view.jitter_p == 0:
        return planes
    drawn = jitter.draw(key, strength=view.jitter, probability=view.jitter_p)
    return jitter.apply(planes, drawn) if len(planes) == 3 else jitter.apply_each(planes, drawn)


def _grey(planes: Planes, view: View, *, chance: Array) -> Planes:
    if view.grey_p == 0:
        return planes
    luma = planar.luma(planes)
    return tuple(jnp.where(chance < view.grey_p, luma, plane) for plane in planes)


def _blur(planes: Planes, view: View, *, chance: Array, strength: Array) -> Planes:
    low, high = view.blur_sigma
    matrix = resample.blur_matrix(
        low + (high - low) * strength,
        kernel_size=blur_taps(view.size),
        length=view.size,
        apply=chance < view.blur_p,
    )
    return _two_products(matrix, planes, matrix)


def _two_products(rows: Array, planes: Planes, columns: Array) -> Planes:
    """rows @ plane @ columns^T of each plane; by TF32 on NVIDIA's GPUs, a tenth of a grey level
    from the whole precision that all others have.
    """

    def products(rows: Array, planes: Planes, columns: Array, *, precision: str) -> Planes:
        matmul = functools.partial(jnp.matmul, precision=precision)
        return tuple(matmul(matmul(rows, plane), columns.T) for plane in planes)

    return lax.platform_dependent(
        rows,
        planes,
        columns,
        cuda=functools.partial(products, precision='default'),
        default=functools.partial(products, precision='highest'),
    )


def _planes(image: Array, scale: Scale | None) -> Planes:
    if scale is not None:
        low, high = (jnp.asarray(own, jnp.float32) for own in scale)
        own = (image.astype(jnp.float32) - low) / (high - low)
        return tuple(own[..., channel] for channel in range(len(scale.low)))
    scaled = image.astype(jnp.float32) / 255
    return scaled[..., 0], scaled[..., 1], scaled[..., 2]


def _normalise(planes: Planes, norm: Norm) -> Array:
    return jnp.stack([(plane - m) / s for plane, m, s in zip(planes, *norm, strict=True)], axis=-1)
