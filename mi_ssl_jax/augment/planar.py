"""Colour formulas on separate red, green and blue arrays of one shape, values in [0, 1].

Planar arrays vectorise where a channel axis of length 3 does not (measured: 4 times faster). The
semantics are torchvision's for tensors; `ops` has the same functions for one image (H, W, 3).
"""

import jax.numpy as jnp
from jax import Array

Planes = tuple[Array, ...]  # red, green and blue where a formula is of colours


def luma(planes: Planes) -> Array:
    """Grey value 0.2989 R + 0.587 G + 0.114 B (torchvision's rounding of ITU-R 601-2)."""
    red, green, blue = planes
    return 0.2989 * red + 0.587 * green + 0.114 * blue


def blend(planes: Planes, base: Array | float, factor: Array | float) -> Planes:
    """clip(factor * planes + (1 - factor) * base, 0, 1): brightness, contrast and saturation are
    this.
    """
    rest = (1 - factor) * base
    return tuple(jnp.clip(factor * plane + rest, 0, 1) for plane in planes)


def hue(planes: Planes, shift: Array | float) -> Planes:
    """Turns the hue by `shift` full circles, saturation and value kept.

    The hexcone model written without its six cases: with h in sixths of a circle, channel n is
    max - (max - min) * clip(min(k, 4 - k), 0, 1), k = (n + h) mod 6, n = 5, 3, 1 for red, green,
    blue.
    """
    turned = hue_sixths(planes) + 6 * shift
    top = _largest(planes)
    spread = top - _smallest(planes)

    def channel(n: int) -> Array:
        k = turned + n
        k = k - 6 * jnp.floor(k / 6)
        return top - spread * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)

    return channel(5), channel(3), channel(1)


def hue_sixths(planes: Planes) -> Array:
    """Hue in sixths of a circle, in (-1, 5] (0 red, 2 green, 4 blue); 0 for grey."""
    red, green, blue = planes
    spread = _largest(planes) - _smallest(planes)
    scale = 1 / jnp.where(spread > 0, spread, 1)
    from_red, from_green = (green - blue) * scale, (blue - red) * scale + 2
    from_blue = (red - green) * scale + 4
    # Comparing colours, not `top == red`: inside a fusion the same value may be rounded differently
    # twice.
    red_leads = (red >= green) & (red >= blue)
    return jnp.where(red_leads, from_red, jnp.where(green >= blue, from_green, from_blue))


def hsv(planes: Planes) -> Planes:
    """Hue in [0, 1), saturation and value; hue and saturation of grey are 0."""
    top = _largest(planes)
    spread = top - _smallest(planes)
    circle = hue_sixths(planes) / 6
    return circle - jnp.floor(circle), spread / jnp.where(top > 0, top, 1), top


def solarize(planes: Planes, threshold: Array | float) -> Planes:
    """Inverts the values at or above the threshold."""
    return tuple(jnp.where(plane >= threshold, 1 - plane, plane) for plane in planes)


def _largest(planes: Planes) -> Array:
    return jnp.maximum(jnp.maximum(planes[0], planes[1]), planes[2])


def _smallest(planes: Planes) -> Array:
    return jnp.minimum(jnp.minimum(planes[0], planes[1]), planes[2])
