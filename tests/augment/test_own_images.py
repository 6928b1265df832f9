"""Image views of any channels and type: alike with RGB where they can be, refused where colours are
needed."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import augment
from mi_ssl_jax.augment import jitter, recipes
from mi_ssl_jax.core.statistics import Statistics
from mi_ssl_jax.data import statistics

NORM = recipes.IMAGES['cifar10'].norm
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 20, 24, 3), dtype=np.uint8)
KEYS = jax.random.split(jax.random.key(0), len(IMAGES))


@pytest.mark.slow
def test_8_bit_rgb_as_own_data_has_the_same_views():
    """At the range 0 to 255 and the norm of CIFAR-10, all of SimCLR's operations are those of the
    data set."""
    mean, std = (tuple(255 * value for value in own) for own in NORM)
    known = Statistics((0.0,) * 3, (255.0,) * 3, mean, std)
    ours = augment.load('simclr', data='own', size=32, statistics=known)
    theirs = augment.load('simclr', data='cifar10')
    for one, other in zip(ours(KEYS[0], IMAGES[0]), theirs(KEYS[0], IMAGES[0]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    plain = augment.evaluation('simclr', data='own', size=32, statistics=known)
    other = augment.evaluation('simclr', data='cifar10')
    np.testing.assert_allclose(plain(IMAGES[0]), other(IMAGES[0]), atol=1e-4)


COLOURLESS = {'jitter': (0.4, 0.4, 0.0, 0.0), 'grey_p': 0.0}


@pytest.mark.parametrize(
    'channels, dtype', [pytest.param(1, np.uint16, marks=pytest.mark.slow), (5, np.float32)]
)
def test_images_of_other_channels_and_bits(channels, dtype):
    """Un-augmented they are standardised over the training set; every channel is treated alike."""
    made = np.random.default_rng(1).integers(0, 60_000, (30, 24, 24, channels)).astype(dtype)
    known = statistics.of(made)
    options = dict(data='own', size=24, statistics=known)
    plain = jax.vmap(augment.evaluation('simclr', **options, **COLOURLESS))(made)
    np.testing.assert_allclose(plain.mean(axis=(0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(plain.std(axis=(0, 1, 2)), 1, atol=1e-3)
    pipeline = augment.load('byol', **options, **COLOURLESS)  # with solarize
    both = jax.jit(jax.vmap(pipeline))(KEYS[:4], made[:4])
    chex.assert_shape(both, (4, 24, 24, channels))
    chex.assert_tree_all_finite(both)
    alike = np.repeat(made[..., :1], channels, axis=-1)  # the same in every channel
    same = augment.load('simclr', **{**options, 'statistics': statistics.of(alike)}, **COLOURLESS)
    view = same(KEYS[0], alike[0])[0]
    np.testing.assert_allclose(view, np.repeat(view[..., :1], channels, axis=-1), atol=1e-5)


@pytest.mark.parametrize('first', ['brightness', 'contrast'])
def test_brightness_and_contrast_of_each_plane(first):
    planes = np.random.default_rng(2).uniform(size=(5, 8, 8))
    ranks = (0, 1, 2, 3) if first == 'brightness' else (1, 0, 2, 3)
    drawn = jitter.Jitter(jnp.float32([1.3, 0.6, 1.0]), jnp.float32(0), jnp.array(ranks))
    expected = []
    for plane in planes:
        for name in (first, 'contrast' if first == 'brightness' else 'brightness'):
            factor, base = (1.3, 0.0) if name == 'brightness' else (0.6, plane.mean())
            plane = np.clip(factor * plane + (1 - factor) * base, 0, 1)
        expected.append(plane)
    found = jitter.apply_each(tuple(jnp.float32(planes)), drawn)
    np.testing.assert_allclose(np.stack(found), np.stack(expected), atol=1e-6)


@pytest.mark.parametrize(
    'options, message',
    [
        ({}, r'change saturation and hue, which needs 3 channels, and the images have 5'),
        ({'jitter_p': 0.0}, r'change grey, which needs 3 channels.*grey_p=0\.0'),
        ({'statistics': None}, "data='own' need the statistics"),
        ({'size': None}, "data='own' need size"),
    ],
)
def test_what_own_images_cannot_have_is_said_in_one_line(options, message):
    known = Statistics(*(((0.0,) * 5, (1.0,) * 5) * 2))
    with pytest.raises(ValueError, match=message):
        augment.load('simclr', **{'data': 'own', 'size': 16, 'statistics': known, **options})


def test_own_images_of_another_number_of_channels_are_refused():
    known = Statistics(*(((0.0,) * 5, (1.0,) * 5) * 2))
    pipeline = augment.load('simclr', data='own', size=16, statistics=known, **COLOURLESS)
    with pytest.raises(ValueError, match=r'need \(H, W, 5\), not uint8 \(20, 24, 3\)'):
        pipeline(KEYS[0], IMAGES[0])
    with pytest.raises(ValueError, match="for others set views.options.data='own'"):
        augment.load('simclr', data='cifar10')(KEYS[0], IMAGES[0].astype(np.uint16))
