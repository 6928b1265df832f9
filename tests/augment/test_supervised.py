"""Augmentation for training with labels: crops and flips of images, and no other colours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import augment


@pytest.mark.parametrize('name', ['simclr', 'byol', 'wmse'])
def test_images_are_cropped_and_their_colours_left_alone(name):
    view = jax.jit(augment.supervised(name, data='cifar10', size=16))
    key, colour = jax.random.PRNGKey(0), jnp.array([200, 100, 30], jnp.uint8)
    plain = augment.evaluation(name, data='cifar10', size=16)
    flat = jnp.broadcast_to(colour, (32, 32, 3))
    np.testing.assert_allclose(view(key, flat), plain(flat), atol=1e-4)
    ramp = jnp.broadcast_to(8 * jnp.arange(32, dtype=jnp.uint8)[:, None], (32, 32))
    image = jnp.stack([ramp.T, ramp, ramp], axis=-1)
    seen = [np.asarray(view(jax.random.fold_in(key, number), image)) for number in range(12)]
    widths = [np.ptp(own[8, :, 0]) for own in seen]  # of the part of the image that is left
    rising = [own[8, -1, 0] > own[8, 0, 0] for own in seen]
    assert max(widths) > 1.5 * min(widths) and len(set(rising)) == 2  # flipped, or not


def test_others_have_the_first_view_of_their_pipeline():
    key, point = jax.random.PRNGKey(1), jnp.ones(3)
    first, _ = augment.load('noise', sigma=0.5)(key, point)
    np.testing.assert_array_equal(augment.supervised('noise', sigma=0.5)(key, point), first)
