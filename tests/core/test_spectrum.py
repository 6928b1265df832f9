"""Figures of spectra against slow float64 oracles and spectra that are known."""

import functools

import jax
import numpy as np
import pytest

from mi_ssl_jax.core import spectrum
from tests.helpers import oracles

RNG = np.random.default_rng(5)


def decaying(n, width, alpha):
    """Features (n, width) whose covariance has nearly the eigenvalues rank^-alpha, rotated."""
    rotation = np.linalg.qr(RNG.normal(size=(width, width)))[0]
    scale = np.arange(1.0, width + 1) ** (-alpha / 2)
    return (3.0 + RNG.normal(size=(n, width)) * scale @ rotation).astype(np.float32)


def views(n, q, width, *, noise, directions=None):
    """Features (n, q, width) of samples along some directions, and of noise along all."""
    centres = RNG.normal(size=(n, width))
    centres[:, width if directions is None else directions :] = 0
    return (centres[:, None] + noise * RNG.normal(size=(n, q, width))).astype(np.float32)


FAR = 300 * views(30, 10, 12, noise=0.3)
DEAD = views(30, 10, 12, noise=0.3) * np.float32(np.arange(12) < 7)


@pytest.mark.parametrize(
    'z',
    [views(6, 4, 9, noise=0.5), views(50, 10, 7, noise=0.5), views(20, 3, 5, noise=0.0), FAR, DEAD],
    ids=['few samples', 'many samples', 'no noise', 'large features', 'dead features'],
)
def test_lidar_equals_the_oracle(z):
    np.testing.assert_allclose(jax.jit(spectrum.lidar)(z), oracles.lidar(z), rtol=2e-4)


def test_lidar_counts_the_directions_that_tell_samples_apart():
    lidar = jax.jit(spectrum.lidar)
    wide, plane = views(100, 10, 32, noise=0.1), views(100, 10, 32, noise=0.01, directions=2)
    assert lidar(wide) > 20 and 1.9 < lidar(plane) < 2.1
    np.testing.assert_allclose(lidar(plane), oracles.lidar(plane), rtol=2e-4)


def test_delta_is_on_the_diagonal():
    z = views(6, 4, 9, noise=0.1)
    actual = jax.jit(functools.partial(spectrum.lidar, delta=0.5))(z)
    np.testing.assert_allclose(actual, oracles.lidar(z, delta=0.5), rtol=1e-5)
    assert abs(actual - oracles.lidar(z)) > 1e-2


@pytest.mark.parametrize(
    'z',
    [decaying(500, 64, 2.0), decaying(900, 300, 1.0), decaying(40, 5, 1.0)],
    ids=['steep', 'wide', 'fewest'],
)
def test_alpha_req_equals_the_oracle(z):
    actual = jax.jit(spectrum.alpha_req)(z)
    np.testing.assert_allclose(actual, oracles.alpha_req(z), rtol=1e-3, atol=1e-4)


def test_alpha_req_of_a_known_decay():
    z = np.diag(np.arange(1.0, 41) ** (-1.3 / 2)).astype(np.float32)
    z = np.concatenate([z, -z])  # centred: eigenvalues rank^-1.3 / n
    np.testing.assert_allclose(jax.jit(spectrum.alpha_req)(z), 1.3, rtol=1e-4)


def test_directions_that_rounding_alone_made_are_left_out():
    live = decaying(400, 12, 1.0)
    copies = live[:, :3] @ RNG.normal(size=(3, 8)).astype(np.float32)
    z = np.concatenate([live, copies], axis=1)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(np.float64(z).T)))[::-1]
    ranks = np.arange(4, 13)
    slope = np.polyfit(np.log(ranks), np.log(eigenvalues[3:12]), 1, w=ranks**-0.5)[0]
    alpha_req = jax.jit(spectrum.alpha_req)
    np.testing.assert_allclose(alpha_req(z), -slope, rtol=2e-3)
    line = np.outer(z[:, 0], z[0])  # one direction has no decay
    assert np.isnan(alpha_req(line))


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda: spectrum.lidar(np.ones((1, 5, 3), np.float32)), '5 of 1'),
        (lambda: spectrum.lidar(np.ones((5, 1, 3), np.float32)), 'at least 2 views'),
        (lambda: spectrum.alpha_req(np.ones((9, 4), np.float32)), '9 examples of 4 features'),
    ],
)
def test_too_few_are_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
