"""Every operation against torchvision's tensor path, batched, with and without jit.

Not compared, since no pipeline has them: crops without antialiasing, and Pillow's operations on
uint8 images, which round after every step and blur by boxes.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.augment import ops, resample
from tests.helpers import goldens

# float32 in another order of operations; the blur and the cubic sum up to 23 terms
TORCHVISION = 2e-5

CASES = list(goldens.cases('augment_ops'))
COLOURS = {name: getattr(ops, name) for name in ('brightness', 'contrast', 'saturation', 'hue')}
FIXED = {'gray': ops.grayscale, 'hsv': ops.rgb_to_hsv, 'hflip': ops.horizontal_flip}


def _batch(chosen):
    """Stacked inputs and outputs, channels last, float32."""

    def stack(arrays):
        return np.moveaxis(np.stack(arrays), 1, -1).astype(np.float32)

    assert chosen
    return stack([case.inputs['img'] for case in chosen]), stack(
        [case.outputs['out'] for case in chosen]
    )


def _family(prefix):
    return [case for case in CASES if case.id.startswith(f'{prefix}_') and 'out' in case.outputs]


def _kinds(prefix, *fields):
    """The static settings of a family, shape included: one compiled program each."""
    kinds = {
        (case.inputs['img'].shape, *(case.args[field] for field in fields))
        for case in _family(prefix)
    }
    return sorted(kinds)


class GoldenOpsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(*COLOURS)
    def test_colour(self, name):
        chosen = _family(name)
        images, expected = _batch(chosen)
        argument = 'hue' if name == 'hue' else 'factor'
        amounts = jnp.asarray([case.args[argument] for case in chosen], jnp.float32)
        actual = self.variant(jax.vmap(COLOURS[name]))(images, amounts)
        np.testing.assert_allclose(actual, expected, atol=TORCHVISION)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(*FIXED)
    def test_fixed(self, name):
        images, expected = _batch(_family(name))
        np.testing.assert_allclose(
            self.variant(jax.vmap(FIXED[name]))(images), expected, atol=TORCHVISION
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_solarize(self):
        chosen = _family('solarize')
        images, expected = _batch(chosen)
        thresholds = jnp.asarray([case.args['threshold'] for case in chosen], jnp.float32)
        actual = self.variant(jax.vmap(ops.solarize))(images, thresholds)
        np.testing.assert_allclose(actual, expected, atol=1e-7)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(*_kinds('blur', 'kernel'))
    def test_blur(self, shape, kernel):
        chosen = [
            case
            for case in _family('blur')
            if case.inputs['img'].shape == shape and case.args['kernel'] == kernel
        ]
        images, expected = _batch(chosen)
        sigmas = jnp.asarray([case.args['sigma'] for case in chosen], jnp.float32)
        blur = jax.vmap(
            lambda image, sigma: ops.gaussian_blur(image, kernel_size=kernel, sigma=sigma)
        )
        np.testing.assert_allclose(self.variant(blur)(images, sigmas), expected, atol=TORCHVISION)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(*_kinds('rrc', 'size', 'interpolation'))
    def test_crop(self, shape, size, method):
        chosen = [
            case
            for case in _family('rrc')
            if case.inputs['img'].shape == shape
            and (case.args['size'], case.args['interpolation']) == (size, method)
        ]
        images, expected = _batch(chosen)
        boxes = resample.Box(
            *jnp.asarray(
                [[case.args[field] for field in ('top', 'left', 'h', 'w')] for case in chosen]
            ).T
        )
        crop = jax.vmap(lambda image, box: ops.resized_crop(image, box, size=size, method=method))
        # Tighter than the other operations: crops are promised to 1e-5.
        np.testing.assert_allclose(self.variant(crop)(images, boxes), expected, atol=1e-5)


class RandomCropTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_views_are_crops_inside_the_image(self):
        """A ramp keeps its order under a crop: values stay inside and increase to the right."""
        ramp = jnp.broadcast_to(jnp.linspace(0, 1, 40)[None, :, None], (30, 40, 3))
        crop = jax.vmap(lambda key: ops.random_resized_crop(key, ramp, size=8, scale=(0.1, 1.0)))
        crops = np.asarray(self.variant(crop)(jax.random.split(jax.random.key(0), 16)))
        chex.assert_shape(crops, (16, 8, 8, 3))
        assert crops.min() >= 0 and crops.max() <= 1 + 1e-6
        assert (np.diff(crops, axis=2) > 0).all()
        assert len(np.unique(crops[:, 0, 0, 0])) > 8

    @parameterized.parameters(*(case for case in CASES if case.id.startswith('rrc_params')))
    def test_law_of_the_box(self, *case):
        """20,000 boxes against 20,000 of torchvision's.

        0.02 bounds the two-sample Kolmogorov distance at 1 in 1,000; the means have four standard
        errors.
        """
        case = goldens.Case(*case)
        height, width, scale = case.args['H'], case.args['W'], tuple(case.args['scale'])
        keys = jax.random.split(jax.random.key(0), 20000)
        draw = jax.jit(
            jax.vmap(
                lambda key: resample.random_box(
                    key, height, width, scale=scale, ratio=(3 / 4, 4 / 3)
                )
            )
        )
        top, left, h, w = (np.asarray(field, np.int64) for field in draw(keys))
        assert (top >= 0).all() and (h > 0).all() and (top + h <= height).all()
        assert (left >= 0).all() and (w > 0).all() and (left + w <= width).all()
        for lengths, name in ((h, 'h_hist'), (w, 'w_hist')):
            histogram = np.bincount(lengths, minlength=len(case.outputs[name])) / len(lengths)
            assert np.abs(np.cumsum(histogram - case.outputs[name])).max() < 0.02
        levels = np.linspace(0, 1, 21)
        for values, name in ((h * w / (height * width), 'area'), (np.log(w / h), 'logratio')):
            quantiles = case.outputs[f'{name}_quantiles']
            below = (values[:, None] < quantiles - 1e-9).mean(axis=0)
            up_to = (values[:, None] <= quantiles + 1e-9).mean(axis=0)
            assert (below <= levels + 0.02).all() and (up_to >= levels - 0.02).all()
            error = 4 * case.outputs[f'{name}_std'] * np.sqrt(2 / len(values)) + 1e-9
            assert abs(values.mean() - case.outputs[f'{name}_mean']) <= error
        for start, room, name in ((top, height - h, 'top'), (left, width - w, 'left')):
            # Spread of a uniform place: 0.29; two samples of 20,000; four standard errors.
            assert (
                abs((start / np.maximum(room, 1)).mean() - case.outputs[f'rel_{name}_mean']) < 0.012
            )
        whole = ((h == height) & (w == width)).mean()
        assert abs(whole - case.outputs['full_image_fraction']) < 0.0025


def test_crops_renormalise_and_can_run_backwards():
    rows = resample.crop_matrix(3, 9, source=20, size=6, method='bicubic')
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    assert (rows[:, :3] == 0).all() and (rows[:, 12:] == 0).all()
    flipped = resample.crop_matrix(3, 9, source=20, size=6, method='bicubic', flip=True)
    np.testing.assert_array_equal(flipped, rows[::-1])
    whole = resample.crop_matrix(0, 20, source=20, size=20, method='bicubic')
    np.testing.assert_allclose(whole, np.eye(20), atol=1e-6)


def test_hue_does_not_jump_where_two_colours_lead_together():
    """The six cases of the hexcone meet continuously: 1e-6 in a colour moves the result by 1e-5 at
    most."""
    leading = jnp.asarray([[0.7, 0.7, 0.2], [0.2, 0.7, 0.7], [0.7, 0.2, 0.7], [0.5, 0.5, 0.5]])
    image = jnp.broadcast_to(leading[:, None], (4, 2, 3))
    nudge = 1e-6 * np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    for shift in (-0.5, -0.1, 0.07, 0.33):
        np.testing.assert_allclose(ops.hue(image + nudge, shift), ops.hue(image, shift), atol=1e-5)


def test_blur_can_be_left_out_exactly():
    np.testing.assert_array_equal(
        resample.blur_matrix(1.0, kernel_size=3, length=5, apply=False), np.eye(5)
    )


def test_errors():
    image = jnp.zeros((8, 8, 3))
    with pytest.raises(ValueError, match='blur kernel must be odd and at most 15 taps, not 4'):
        ops.gaussian_blur(image, kernel_size=4, sigma=1.0)
    with pytest.raises(ValueError, match='at most 15 taps, not 17'):
        ops.gaussian_blur(image, kernel_size=17, sigma=1.0)
    with pytest.raises(
        ValueError, match="unknown resize method 'lanczos'; use 'bilinear' or 'bicubic'"
    ):
        ops.resized_crop(image, resample.Box(0, 0, 8, 8), size=4, method='lanczos')
    with pytest.raises(AssertionError):
        ops.brightness(jnp.zeros((8, 8, 1)), 1.0)
    with pytest.raises(AssertionError):
        ops.brightness(jnp.zeros((8, 8, 3), jnp.uint8), 1.0)
