"""Views of vectors and series against slow float64 oracles and their declared distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import augment
from mi_ssl_jax.augment import series
from mi_ssl_jax.core.statistics import Statistics

MEAN, STD = (1.0, -2.0, 5.0), (0.5, 2.0, 1.0)
KNOWN = Statistics((0.0,) * 3, (1.0,) * 3, MEAN, STD)
VECTOR = np.array([2.0, 2.0, 6.0], np.float32)  # standardised: 2, 2, 1
SERIES = np.random.default_rng(0).normal(MEAN, STD, (12, 3)).astype(np.float32)
KEYS = jax.random.split(jax.random.PRNGKey(0), 4000)
NONE = {'vectors': dict(noise=0.0, mask=0.0, scaling=0.0)}
NONE['series'] = dict(crop=(1.0, 1.0), noise=0.0, scaling=0.0, time_mask=0.0)
EXAMPLE = {'vectors': VECTOR, 'series': SERIES}


def views(name, keys=KEYS, **changes):
    """(keys, 2, ...) views of the example, all strengths 0 but the given ones."""
    pipeline = augment.load(name, statistics=KNOWN, **{**NONE[name], **changes})
    made = jax.jit(jax.vmap(pipeline, (0, None)))(keys, jnp.asarray(EXAMPLE[name]))
    return np.stack(made, axis=1)


def standardised(name):
    return (EXAMPLE[name].astype(np.float64) - MEAN) / STD


@pytest.mark.parametrize('name', EXAMPLE)
def test_without_strengths_a_view_is_the_standardised_example(name):
    plain = augment.evaluation(name, statistics=KNOWN, **NONE[name])(EXAMPLE[name])
    np.testing.assert_allclose(plain, standardised(name), rtol=1e-6, atol=1e-6)
    made = views(name, KEYS[:3])
    np.testing.assert_allclose(made, np.broadcast_to(plain, made.shape), rtol=1e-6, atol=1e-6)
    assert made.dtype == plain.dtype == jnp.float32


@pytest.mark.parametrize('name', EXAMPLE)
def test_noise_is_in_standard_deviations_and_drawn_for_each_view(name):
    """The mean of n = 24,000 or more squares of a normal is 1 +- 5 sqrt(2 / n)."""
    eps = (views(name, noise=0.3) - standardised(name)) / 0.3
    assert abs(eps.mean()) < 5 / np.sqrt(eps.size)
    assert abs((eps**2).mean() - 1) < 5 * np.sqrt(2 / eps.size)
    assert abs((eps[:, 0] * eps[:, 1]).mean()) < 5 / np.sqrt(eps[:, 0].size)


@pytest.mark.parametrize('name', EXAMPLE)
def test_scaling_is_uniform_about_one(name):
    """Of a vector one factor, of a series one a channel."""
    factors = views(name, scaling=0.2) / standardised(name)
    axis = -1 if name == 'vectors' else -2
    np.testing.assert_allclose(factors.std(axis), 0, atol=1e-4)
    each = factors.mean(axis)
    assert 0.8 - 1e-3 <= each.min() < 0.805 and 1.195 < each.max() <= 1.2 + 1e-3
    np.testing.assert_allclose(each.mean(), 1, atol=5 * 0.2 / np.sqrt(3 * each.size))
    if name == 'series':
        assert np.abs(np.corrcoef(each[:, 0].T) - np.eye(3)).max() < 0.1


def test_masked_features_become_the_mean_each_by_itself():
    masked = views('vectors', mask=0.25) == 0
    np.testing.assert_allclose(masked.mean(axis=(0, 1)), 0.25, atol=5 * np.sqrt(0.25 * 0.75 / 8000))
    assert np.abs(np.corrcoef(masked.reshape(-1, 3).T) - np.eye(3)).max() < 0.1


def test_a_time_mask_is_one_span_in_all_channels():
    masked = views('series', time_mask=0.5) == 0
    assert (masked == masked[..., :1]).all()
    spans = masked[..., 0].reshape(-1, len(SERIES)).astype(int)
    edges = np.abs(np.diff(spans, axis=1, prepend=0, append=0)).sum(axis=1)
    assert set(edges) == {0, 2} and spans.sum(axis=1).max() <= 6
    # the span's length is uniform in 0 to 6 of 12 steps: 3 on average
    np.testing.assert_allclose(spans.sum(axis=1).mean(), 3, atol=5 * np.sqrt(3.25 / len(spans)))


def test_a_crop_is_a_linear_interpolation_of_a_part():
    """Against numpy's interpolation, at the start and the length that the view's ends tell."""
    line = np.arange(12, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    crop = jax.jit(jax.vmap(lambda key, x: series._crop(key, x, 0.5, 0.9), (0, None)))
    at = np.asarray(crop(KEYS, line), np.float64)[..., 0]
    made = np.asarray(crop(KEYS, SERIES), np.float64)
    for where, own in zip(at[:200], made[:200], strict=True):
        np.testing.assert_allclose(np.diff(where), where[1] - where[0], atol=1e-5)
        for channel in range(3):
            expected = np.interp(where, np.arange(12), SERIES[:, channel])
            np.testing.assert_allclose(own[:, channel], expected, atol=1e-5)
    length = (at[:, -1] - at[:, 0]) / 11
    assert 0.5 <= length.min() < 0.51 and 0.89 < length.max() <= 0.9 + 1e-6
    assert at.min() >= 0 and at.max() <= 11 + 1e-5


@pytest.mark.parametrize(
    'name, example, changes, message',
    [
        ('vectors', VECTOR, {'noise': -1.0}, 'noise=-1.0: give a number of at least 0'),
        ('vectors', VECTOR, {'mask': 1.5}, 'mask=1.5: give a number from 0 to 1'),
        ('series', SERIES, {'time_mask': 2.0}, 'time_mask=2.0: give a number from 0 to 1'),
        ('series', SERIES, {'crop': (0.0, 1.0)}, 'give two shares with 0 < low <= high <= 1'),
        ('series', SERIES, {'crop': (0.9, 0.5)}, 'give two shares with 0 < low <= high <= 1'),
        ('series', VECTOR, {}, r'need examples \(steps, channels\), not \(3,\)'),
        ('vectors', SERIES, {}, r'need examples \(features,\), not \(12, 3\)'),
        ('vectors', VECTOR[:2], {}, r'need examples \(features,\), not \(2,\)'),
        ('vectors', VECTOR, {'statistics': None}, 'need the statistics of their data set'),
        ('series', SERIES, {'rotation': 1.0}, 'do not take rotation; options: statistics, crop'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(name, example, changes, message):
    with pytest.raises(ValueError, match=message):
        pipeline = augment.load(name, **{'statistics': KNOWN, **changes})
        pipeline(KEYS[0], jnp.asarray(example))
