"""Views of points and of 8x8 digits, and the registry of pipelines."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax import augment
from mi_ssl_jax.augment import digits


def own_views(key, example, *, amount=1.0):
    return example + amount, example - amount


def evaluation(example, *, amount=1.0):
    return example * amount


class SmallViewsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(('noise', (2,), jnp.float32), ('digits', (8, 8, 1), jnp.uint8))
    def test_batch_of_views(self, name, shape, dtype):
        examples = jnp.ones((5, *shape), dtype)
        pipeline = self.variant(jax.vmap(augment.load(name)))
        first, second = pipeline(jax.random.split(jax.random.key(0), 5), examples)
        chex.assert_shape([first, second], (5, *shape))
        chex.assert_type([first, second], jnp.float32)
        chex.assert_tree_all_finite((first, second))
        everything = np.concatenate([first, second]).reshape(10, -1)
        assert (
            len(np.unique(everything, axis=0)) == 10
        )  # every view of every example has its own randomness
        again = pipeline(jax.random.split(jax.random.key(0), 5), examples)
        chex.assert_trees_all_equal((first, second), again)

    @chex.variants(with_jit=True, without_jit=True)
    def test_warp_is_exact_for_turns_and_shifts(self):
        image = np.random.default_rng(0).uniform(size=(8, 8)).astype(np.float32)
        warp = self.variant(digits.warp)
        quarter = jnp.asarray([[0.0, -1.0], [1.0, 0.0]])
        zero, one = jnp.zeros(2), jnp.eye(2)
        np.testing.assert_allclose(warp(image, one, zero), image, atol=1e-6)
        np.testing.assert_allclose(warp(image, quarter, zero), np.rot90(image, -1), atol=1e-6)
        shifted = warp(image, one, jnp.asarray([1.0, -0.5]))
        expected = np.zeros((8, 8))
        expected[:7, 1:] = (image[1:, 1:] + image[1:, :-1]) / 2
        expected[:7, 0] = (
            image[1:, 0] / 2
        )  # the other half lies beyond the border, where the image is 0
        np.testing.assert_allclose(shifted, expected, atol=1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_without_strength_the_views_are_the_evaluation_input(self):
        image = np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8)
        still = augment.load(
            'digits',
            rotation=0.0,
            shift=0.0,
            scale=(1.0, 1.0),
            shear=0.0,
            contrast=0.0,
            brightness=0.0,
            noise_std=0.0,
        )
        expected = augment.evaluation('digits')(image)
        for view in self.variant(still)(jax.random.key(0), image):
            np.testing.assert_allclose(view, expected, atol=1e-5)


def test_as_many_views_as_are_asked_for():
    """Each with randomness of its own."""
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    made = jax.jit(augment.load('digits', views=5))(jax.random.key(0), image)
    assert [view.shape for view in made] == [(8, 8, 1)] * 5
    assert len(np.unique(np.reshape(made, (5, -1)), axis=0)) == 5


def test_noise_has_the_asked_spread():
    point = jnp.asarray([3.0, -2.0])
    pipeline = jax.vmap(augment.load('noise', sigma=0.3), in_axes=(0, None))
    first, second = pipeline(jax.random.split(jax.random.key(0), 20000), point)
    for view in (first, second):
        # 20,000 draws: the mean is known to 0.002 (4 se: 0.009), the spread to 0.5 % (4 se: 2 %).
        np.testing.assert_allclose(view.mean(0), point, atol=0.009)
        np.testing.assert_allclose(view.std(0), 0.3, rtol=0.02)
    noise = np.stack([first - point, second - point])
    assert abs((noise[0] * noise[1]).mean()) < 0.003  # independent: 0.09 / sqrt(40000) times 6


def test_digits_constants_are_those_of_the_data():
    datasets = pytest.importorskip('sklearn.datasets')
    pixels = datasets.load_digits().data / 16
    np.testing.assert_allclose(pixels.mean(), digits.DIGITS_MEAN, atol=5e-5)
    np.testing.assert_allclose(pixels.std(), digits.DIGITS_STD, atol=5e-5)


def test_own_views_and_errors():
    name = 'tests.augment.test_points_digits:own_views'
    assert augment.load(name, amount=2.0)(None, 1.0) == (3.0, -1.0)
    assert augment.evaluation(name, amount=2.0)(3.0) == 6.0
    with pytest.raises(ValueError, match="unknown views 'simcrl'; use one of .*noise"):
        augment.load('simcrl')
    with pytest.raises(ValueError, match="views 'noise' do not take spread; options: sigma"):
        augment.load('noise', spread=1.0)
    with pytest.raises(ValueError, match="cannot load the views 'no_such_module:f'"):
        augment.load('no_such_module:f')
