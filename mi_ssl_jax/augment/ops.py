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


def brightness(image: Array, factor: Array | float) -> Array:
    """clip(factor * image): 0 is black, 1 the image."""
    return _join(planar.blend(_split(image), 0.0, factor))


def contrast(image: Array, factor: Array | float) -> Array:
    """Blends with the image's mean grey value: 0 is flat grey, 1 the image; clipped."""
    planes = _split(image)
    return _join(planar.blend(planes, planar.luma(planes).mean(), factor))


def saturation(image: Array, factor: Array | float) -> Array:
    """Blends with the grey image: 0 is grey, 1 the image; clipped."""
    planes = _split(image)
    return _join(planar.blend(planes, planar.luma(planes), factor))


def hue(image: Array, shift: Array | float) -> Array:
    """Turns the hue by `shift` full circles, usually in [-0.5, 0.5]."""
    return _join(planar.hue(_split(image), shift))


def rgb_to_hsv(image: Array) -> Array:
    """Hue in [0, 1), saturation and value, each as a channel."""
    return _join(planar.hsv(_split(image)))


def grayscale(image: Array) -> Array:
    """The grey image in all three channels."""
    return _join((planar.luma(_split(image)),) * 3)


def solarize(image: Array, threshold: Array | float) -> Array:
    """Inverts the values at or above the threshold."""
    return _join(planar.solarize(_split(image), threshold))


def horizontal_flip(image: Array) -> Array:
    """Mirrors left and right."""
    _split(image)
    return image[:, ::-1]


def gaussian_blur(image: Array, *, kernel_size: int, sigma: Array | float) -> Array:
    """Separable Gaussian blur, borders reflected; kernel_size is odd.

    Raises:
      ValueError: kernel_size is even or too large for the image.
    """
    _split(image)
    height, width, _ = image.shape
    rows = resample.blur_matrix(sigma, kernel_size=kernel_size, length=height)
    columns = resample.blur_matrix(sigma, kernel_size=kernel_size, length=width)
    return _two_products(rows, image, columns)


def resized_crop(image: Array, box: Box, *, size: int, method: str) -> Array:
    """Cuts box = (top, left, height, width) out and resizes it, antialiased, to (size, size, 3).

    Args:
      image: (H, W, 3).
      box: the crop in pixels, inside the image; may be traced.
      size: side of the result.
      method: 'bilinear' or 'bicubic' (a = -0.5, not clipped).

    Raises:
      ValueError: unknown method.
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
    """torchvision's RandomResizedCrop (its defaults): a random box, resized to (size, size, 3).

    Args:
      key: random key.
      image: (H, W, 3).
      size: side of the result.
      scale: range of the box's area, in fractions of the image's.
      ratio: range of the box's width / height.
      method: 'bilinear' or 'bicubic'.

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
