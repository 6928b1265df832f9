"""Views of 8x8 grey images: random affine maps, contrast, brightness, noise."""

import jax
import jax.numpy as jnp
from jax import Array

# Mean and standard deviation of all pixels of scikit-learn's digits, scaled to [0, 1].
DIGITS_MEAN, DIGITS_STD = 0.3053, 0.3760


def digits(
    key: Array,
    image: Array,
    *,
    rotation: float = 15.0,
    shift: float = 1.0,
    scale: tuple[float, float] = (0.85, 1.15),
    shear: float = 0.15,
    contrast: float = 0.3,
    brightness: float = 0.1,
    noise_std: float = 0.2,
    views: int = 2,
) -> tuple[Array, ...]:
    """Views of one grey uint8 image (H, W, 1), normalised float32; black beyond the border.

    Each view is warped by a random affine map, its intensities changed by gain * x + offset, and
    noise added.
    The strengths are ours: nothing published fixes them for 8x8 digits.

    Args:
      key: random key of this example.
      image: (H, W, 1) uint8.
      rotation: largest angle in degrees, either way.
      shift: largest shift in pixels, per axis, either way.
      scale: range of the size factor.
      shear: largest horizontal shear, either way.
      contrast: gain is uniform in 1 +- contrast.
      brightness: offset is uniform in +- brightness, in units of the full intensity range.
      noise_std: standard deviation of the Gaussian noise, in the same units.
      views: their number.
    """

    def view(key: Array) -> Array:
        key_warp, key_gain, key_offset, key_noise = jax.random.split(key, 4)
        matrix, offset = _affine(key_warp, rotation=rotation, shift=shift, scale=scale, shear=shear)
        warped = warp(image[..., 0] / jnp.float32(255), matrix, offset)
        gain = jax.random.uniform(key_gain, minval=1 - contrast, maxval=1 + contrast)
        level = jax.random.uniform(key_offset, minval=-brightness, maxval=brightness)
        eps = jax.random.normal(key_noise, warped.shape)
        return _normalise_digits(gain * warped + level + noise_std * eps)

    return tuple(view(own) for own in jax.random.split(key, views))


def digit(image: Array) -> Array:
    """The un-augmented network input of one grey uint8 image (H, W, 1)."""
    return _normalise_digits(image[..., 0] / jnp.float32(255))


def warp(image: Array, matrix: Array, offset: Array) -> Array:
    """Bilinear warp of one image (H, W): output pixel p reads the input at matrix @ (p - c) + c +
    offset.

    c is the image's centre; coordinates are (row, column); beyond the border the image is 0.
    Bilinear weights are triangles, hence a product of two small matrices and no gather.
    """
    height, width = image.shape
    rows, columns = jnp.arange(height), jnp.arange(width)
    centre = jnp.asarray([(height - 1) / 2, (width - 1) / 2])
    grid = jnp.stack(jnp.meshgrid(rows, columns, indexing='ij'), axis=-1).reshape(-1, 2)
    source = jnp.matmul(grid - centre, matrix.T, precision='highest') + centre + offset
    down = jnp.maximum(0, 1 - jnp.abs(source[:, :1] - rows))
    across = jnp.maximum(0, 1 - jnp.abs(source[:, 1:] - columns))
    return (jnp.matmul(down, image, precision='highest') * across).sum(-1).reshape(height, width)


def _affine(
    key: Array, *, rotation: float, shift: float, scale: tuple[float, float], shear: float
) -> tuple[Array, Array]:
    """A random inverse map (2, 2) and offset (2,) in pixels: rotation @ shear / scale."""
    key_angle, key_size, key_shear, key_shift = jax.random.split(key, 4)
    angle = jnp.deg2rad(jax.random.uniform(key_angle, minval=-rotation, maxval=rotation))
    size = jax.random.uniform(key_size, minval=scale[0], maxval=scale[1])
    slant = jax.random.uniform(key_shear, minval=-shear, maxval=shear)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])
    lean = jnp.stack([jnp.stack([1.0, 0.0]), jnp.stack([slant, 1.0])])
    offset = jax.random.uniform(key_shift, (2,), minval=-shift, maxval=shift)
    return jnp.matmul(turn, lean, precision='highest') / size, offset


def _normalise_digits(image: Array) -> Array:
    return ((image - DIGITS_MEAN) / DIGITS_STD).astype(jnp.float32)[..., None]
