"""Operations on ONE float image (H, W, 3) with values in [0, 1], with torchvision's semantics for
tensors.

Factors, shifts, sigmas and boxes may be traced; sizes are static. Batches go through vmap. Only
what
torchvision clips is clipped: a bicubic crop overshoots [0, 1] and `rgb` clips it.
"""

import chex
import jax.numpy as jnp
from jax import Array

from mi_ssl_jax.augment import planar, resample
from mi_ssl_jax.augment.resample import Box

__all__ = [
    'brightness',
    'contrast',
    'gaussian_blur',
    'grayscale',
    'horizontal_flip',
    'hue',
    'random_resized_crop',
    'resized_crop',
    'rgb_to_hsv',
    'saturation',
    'solarize',
]


def brightness(image: Array, factor: Array | float) -> Array:
    """Scale the values: clip(factor * image).

    Args:
        image: (H, W, 3) float, values in [0, 1].
        factor: 0 is black, 1 the image.

    Returns:
        (H, W, 3) float.
    """
    return _join(planar.blend(_split(image), 0.0, factor))


def contrast(image: Array, factor: Array | float) -> Array:
    """Blend with the image's mean grey value and clip.

    Args:
        image: (H, W, 3) float, values in [0, 1].
        factor: 0 is flat grey, 1 the image.

    Returns:
        (H, W, 3) float.
    """
    planes = _split(image)
    return _join(planar.blend(planes, planar.luma(planes).mean(), factor))


def saturation(image: Array, factor: Array | float) -> Array:
    """Blend with the grey image and clip.

    Args:
        image: (H, W, 3) float, values in [0, 1].
        factor: 0 is grey, 1 the image.

    Returns:
        (H, W, 3) float.
    """
    planes = _split(image)
    return _join(planar.blend(planes, planar.luma(planes), factor))


def hue(image: Array, shift: Array | float) -> Array:
    """Turn the hue.

    Args:
        image: (H, W, 3) float, values in [0, 1].
        shift: in full circles, usually in [-0.5, 0.5].

    Returns:
        (H, W, 3) float.
    """
    return _join(planar.hue(_split(image), shift))


def rgb_to_hsv(image: Array) -> Array:
    """Convert to hue in [0, 1), saturation and value.

    Args:
        image: (H, W, 3) float, values in [0, 1].

    Returns:
        (H, W, 3) float: hue, saturation, value.

    >>> ms.augment.ops.rgb_to_hsv(jnp.array([[[1.0, 0.0, 0.0]]])).tolist()
    [[[0.0, 1.0, 1.0]]]
    """
    return _join(planar.hsv(_split(image)))


def grayscale(image: Array) -> Array:
    """Repeat the grey image in all three channels.

    Args:
        image: (H, W, 3) float, values in [0, 1].

    Returns:
        (H, W, 3) float.
    """
    return _join((planar.luma(_split(image)),) * 3)


def solarize(image: Array, threshold: Array | float) -> Array:
    """Invert the values at or above a threshold.

    Args:
        image: (H, W, 3) float, values in [0, 1].
        threshold: in [0, 1].

    Returns:
        (H, W, 3) float.
    """
    return _join(planar.solarize(_split(image), threshold))


def horizontal_flip(image: Array) -> Array:
    """Mirror left and right.

    Args:
        image: (H, W, 3) float, values in [0, 1].

    Returns:
        (H, W, 3) float.

    >>> ms.augment.ops.horizontal_flip(jnp.eye(2)[..., None] * jnp.ones(3))[..., 0].tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    _split(image)
    return image[:, ::-1]


def gaussian_blur(image: Array, *, kernel_size: int, sigma: Array | float) -> Array:
    """Blur by a separable Gaussian, borders reflected.

    Args:
        image: (H, W, 3) float, values in [0, 1].
        kernel_size: odd, in pixels.
        sigma: standard deviation, in pixels.

    Returns:
        (H, W, 3) float.

    Raises:
        ValueError: kernel_size is even or too large for the image.
    """
    _split(image)
    height, width, _ = image.shape
    rows = resample.blur_matrix(sigma, kernel_size=kernel_size, length=height)
    columns = resample.blur_matrix(sigma, kernel_size=kernel_size, length=width)
    return _two_products(rows, image, columns)


def resized_crop(image: Array, box: Box, *, size: int, method: str) -> Array:
    """Cut out a box and resize it, antialiased.

    Args:
        image: (H, W, 3) float.
        box: (top, left, height, width) in pixels, inside the image; may be traced.
        size: side of the result, in pixels.
        method: 'bilinear' or 'bicubic' (a = -0.5, not clipped).

    Returns:
        (size, size, 3) float.

    Raises:
        ValueError: unknown method.

    >>> ms.augment.ops.resized_crop(
    ...     jnp.ones((4, 4, 3)), (0, 0, 2, 2), size=1, method='bilinear'
    ... ).tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    _split(image)
    top, left, height, width = box
    rows = resample.crop_matrix(top, height, source=image.shape[0], size=size, method=method)
    columns = resample.crop_matrix(left, width, source=image.shape[1], size=size, method=method)
    return _two_products(rows, image, columns)


def random_resized_crop(
    key: Array,
    image: Array,
    *,
    size: int,
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    method: str = 'bilinear',
) -> Array:
    """Cut out a random box and resize it, as torchvision's RandomResizedCrop (its defaults).

    Args:
        key: random key.
        image: (H, W, 3) float.
        size: side of the result, in pixels.
        scale: range of the box's area, in fractions of the image's.
        ratio: range of the box's width / height.
        method: 'bilinear' or 'bicubic'.

    Returns:
        (size, size, 3) float.

    Raises:
        ValueError: unknown method.
    """
    box = resample.random_box(key, image.shape[0], image.shape[1], scale=scale, ratio=ratio)
    return resized_crop(image, box, size=size, method=method)


def _two_products(rows: Array, image: Array, columns: Array) -> Array:
    """(h, H), (H, W, C), (w, W) -> (h, w, C)."""
    half = jnp.einsum('hi,iwc->hwc', rows, image, precision='highest')
    return jnp.einsum('wj,hjc->hwc', columns, half, precision='highest')


def _split(image: Array) -> planar.Planes:
    chex.assert_shape(image, (None, None, 3))
    chex.assert_type(image, float)
    return image[..., 0], image[..., 1], image[..., 2]


def _join(planes: planar.Planes) -> Array:
    return jnp.stack(planes, axis=-1)
