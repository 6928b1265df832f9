"""Brightness, contrast, saturation and hue in a random order for each image, at the price of one
hue turn.

Trying every operation in each of four places would cost four hue turns. Here three places for
blends come before the hue and three after it; each blend finds its own, the others have factor 1:
exactly the identity.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from mi_ssl_jax.augment import planar
from mi_ssl_jax.augment.planar import Planes


class Jitter(NamedTuple):
    """The colour jitter of one image.

    Attributes:
      factors: (3,) of brightness, contrast and saturation; 1 leaves the image as it is.
      shift: () of the hue, in full circles; 0 leaves the image as it is.
      ranks: (4,) int, the place 0 to 3 of brightness, contrast, saturation and hue in the order.
    """

    factors: Array
    shift: Array
    ranks: Array


def draw(key: Array, *, strength: tuple[float, float, float, float], probability: float) -> Jitter:
    """torchvision's ColorJitter(*strength), applied with `probability`.

    Factors are uniform in [max(0, 1 - x), 1 + x], the hue's shift in [-x, x]; the order is uniform.
    """
    draw = jax.random.uniform(key, (9,), jnp.float32)
    widths = jnp.asarray(strength[:3], jnp.float32)
    low = jnp.maximum(0, 1 - widths)
    factors = low + (1 + widths - low) * draw[:3]
    shift = strength[3] * (2 * draw[3] - 1)
    chosen, times = draw[4] < probability, draw[5:]
    ranks = (times[:, None] > times).sum(axis=1)
    return Jitter(jnp.where(chosen, factors, 1), jnp.where(chosen, shift, 0), ranks)


def apply(planes: Planes, jitter: Jitter) -> Planes:
    """The four operations on planes (H, W) of one image in [0, 1], in the order of their ranks."""
    # Loops rather than straight code on a CPU: a loop's values are stored once, where XLA's CPU
    # fusions would compute each of them again for every plane that uses it (measured: 5 times
    # slower). On other devices each turn of a loop would be kernels of its own.
    return lax.platform_dependent(planes, jitter, cpu=_in_loops, default=_straight)


def apply_each(planes: tuple[Array, ...], jitter: Jitter) -> tuple[Array, ...]:
    """Brightness and contrast alone, in their order, of any number of planes (H, W) in [0, 1]; the
    contrast of each plane is about its own mean.
    """
    bright, contrast = jitter.factors[:2]
    bright_first = jitter.ranks[0] < jitter.ranks[1]

    def one(plane: Array) -> Array:
        plane = jnp.clip(plane * jnp.where(bright_first, bright, 1), 0, 1)
        plane = jnp.clip(contrast * plane + (1 - contrast) * plane.mean(), 0, 1)
        return jnp.clip(plane * jnp.where(bright_first, 1, bright), 0, 1)

    return tuple(one(plane) for plane in planes)


def _in_loops(planes: Planes, jitter: Jitter) -> Planes:
    planes = lax.fori_loop(0, 3, lambda i, p: _blend(p, jitter, i, after_hue=False), planes)
    planes = _turn(planes, jitter)
    return lax.fori_loop(1, 4, lambda i, p: _blend(p, jitter, i, after_hue=True), planes)


def _straight(planes: Planes, jitter: Jitter) -> Planes:
    for place in range(3):
        planes = _blend(planes, jitter, place, after_hue=False)
    planes = _turn(planes, jitter)
    for place in range(1, 4):
        planes = _blend(planes, jitter, place, after_hue=True)
    return planes


def _blend(planes: Planes, jitter: Jitter, place: Array | int, *, after_hue: bool) -> Planes:
    """The blend of this place in the order, if it is on this side of the hue; else the identity."""
    here = (jitter.ranks[:3] == place) & ((place > jitter.ranks[3]) == after_hue)
    factor = jnp.where(here, jitter.factors, 1).prod()
    luma = planar.luma(planes)
    base = jnp.where(here[1], luma.mean(), jnp.where(here[2], luma, 0))
    return planar.blend(planes, base, factor)


def _turn(planes: Planes, jitter: Jitter) -> Planes:
    turned = planar.hue(planes, jitter.shift)
    return tuple(
        jnp.where(jitter.shift == 0, old, new) for old, new in zip(planes, turned, strict=True)
    )
