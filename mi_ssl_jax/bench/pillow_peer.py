"""The same views by Pillow and numpy, image by image, as data loaders make them.

The operations, their order and their random laws are those of torchvision's transforms on PIL
images.
"""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from mi_ssl_jax.augment.rgb import Norm, View

_METHODS = {'bilinear': Image.Resampling.BILINEAR, 'bicubic': Image.Resampling.BICUBIC}


def batch(
    random: Random,
    images: Sequence[np.ndarray],
    *,
    views: Sequence[View],
    norm: Norm,
) -> list[np.ndarray]:
    """The views of uint8 images (H, W, 3): for each view a normalised float32 (N, size, size,
    3).
    """
    made = [
        [one(random, image, view=view, norm=norm) for view in views]
        for image in map(Image.fromarray, images)
    ]
    return [np.stack(column) for column in zip(*made, strict=True)]


def one(random: Random, image: Image.Image, *, view: View, norm: Norm) -> np.ndarray:
    """One view of one image -> (size, size, 3), normalised float32."""
    if view.crop_last:
        image = _crop(random, _colour(random, image, view), view)
    else:
        image = _colour(random, _crop(random, image, view), view)
    if random.random() < view.blur_p:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(*view.blur_sigma)))
    if random.random() < view.solarize_p:
        image = ImageOps.solarize(image)
    scale = 1 / (255 * np.asarray(norm.std, np.float32))
    return np.asarray(image, np.float32) * scale - np.divide(norm.mean, norm.std, dtype=np.float32)


def _crop(random: Random, image: Image.Image, view: View) -> Image.Image:
    left, top, width, height = _box(random, *image.size, view.scale)
    box = (left, top, left + width, top + height)
    image = image.resize((view.size, view.size), _METHODS[view.method], box=box)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image


def _box(
    random: Random, width: int, height: int, scale: tuple[float, float]
) -> tuple[int, int, int, int]:
    """torchvision's RandomResizedCrop with ratios from 3/4 to 4/3: left, top, width, height."""
    low, high = math.log(3 / 4), math.log(4 / 3)
    for _ in range(10):
        area = width * height * random.uniform(*scale)
        aspect = math.exp(random.uniform(low, high))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, width - w), random.randint(0, height - h), w, h
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return (width - w) // 2, (height - h) // 2, w, h


def _colour(random: Random, image: Image.Image, view: View) -> Image.Image:
    def jittered(image: Image.Image) -> Image.Image:
        return _jitter(random, image, view.jitter) if random.random() < view.jitter_p else image

    def greyed(image: Image.Image) -> Image.Image:
        return image.convert('L').convert('RGB') if random.random() < view.grey_p else image

    return jittered(greyed(image)) if view.grey_first else greyed(jittered(image))


def _jitter(
    random: Random, image: Image.Image, strength: tuple[float, float, float, float]
) -> Image.Image:
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for place in random.sample(range(4), 4):
        if place == 3:
            image = _turn_hue(image, random.uniform(-strength[3], strength[3]))
        else:
            factor = random.uniform(max(0, 1 - strength[place]), 1 + strength[place])
            image = enhancers[place](image).enhance(factor)
    return image


def _turn_hue(image: Image.Image, shift: float) -> Image.Image:
    """shift: in full circles."""
    hue, saturation, value = image.convert('HSV').split()
    turned = np.asarray(hue) + np.uint8(round(shift * 255) % 256)  # wraps around, as hues do
    return Image.merge('HSV', (Image.fromarray(turned), saturation, value)).convert('RGB')
